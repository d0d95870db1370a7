"""Measuring metrics, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepcheck.metrics.arguments import Scores
from deepcheck.metrics.intervals import Interval, bias_corrected, require_bootstrap
from deepcheck.metrics.metric import Metric, checked
from deepcheck.metrics.resampling import resampled
from deepcheck.metrics.tally import tally
from deepcheck.metrics.thinning import thinned


@dataclass(frozen=True)
class Measurement:
    """What a metric is on some trials, and its confidence interval."""

    metric: Metric
    value: float
    interval: Interval

    def __str__(self) -> str:
        return self.metric.text(self.value, self.interval)


def measure(
    metrics: Sequence[Metric],
    *scores: Scores,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> list[Measurement]:
    """Each metric of the scores, one array a class, with its bootstrap interval; the same for the same seed.

    All metrics are measured on the same resamples, each class drawn with replacement from its own trials, and their
    intervals are `bias_corrected` and hold the value. They know nothing of what the scores do not show: see
    `intervals.bootstrap`. Those of minima over thresholds remain somewhat too low where trials are few: in simulations
    with 50 to 1000 of a class, 95 % intervals held the true minDCF in about 90 %, the true min Cllr, of which the value
    itself is an optimist, in 65 to 90 %, and the other metrics in 92 to 97 %.

    The values are exact. So are the resamples of sets of at most `thinning.FEW` distinct scores; larger ones are
    `thinned` first. `DataError` for empty or non-finite scores, `ConfigError` for settings that have no meaning and
    if a metric takes other classes.
    """
    require_bootstrap(resamples, confidence)
    for metric in metrics:
        scores = checked(metric, scores)
    if not metrics:
        return []
    trials = tally(*scores)
    few = thinned(trials, (threshold for metric in metrics for threshold in metric.thresholds))
    draw = np.random.default_rng(seed)
    drawn = [[metric.of(batch) for metric in metrics] for batch in resampled(few, resamples, draw)]
    measured = []
    for metric, batches in zip(metrics, zip(*drawn, strict=True), strict=True):
        value = float(metric.of(trials))
        interval = bias_corrected(np.concatenate(batches), float(metric.of(few)), confidence)
        measured.append(Measurement(metric, value, interval.holding(value)))
    return measured
