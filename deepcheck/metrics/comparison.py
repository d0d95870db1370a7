"""Two systems on the same trials: whether one is better, or only luckier."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepcheck.errors import DataError
from deepcheck.metrics.arguments import Scores
from deepcheck.metrics.intervals import Interval, percentiles, require_bootstrap
from deepcheck.metrics.metric import Metric, checked
from deepcheck.metrics.resampling import resampled_pairs
from deepcheck.metrics.tally import tally
from deepcheck.metrics.thinning import thinned


@dataclass(frozen=True)
class Comparison:
    """A metric of two systems; `interval` is that of `difference`, and `p` says how well chance alone explains it.

    A `p` below 0.05 goes with a 95 % interval that leaves 0 out.
    """

    metric: Metric
    first: float
    second: float
    interval: Interval
    p: float

    @property
    def difference(self) -> float:
        """`second` less `first`: below 0 if the second system is better, where lower is better."""
        return self.second - self.first


def compare(
    metrics: Sequence[Metric],
    first: Sequence[Scores],
    second: Sequence[Scores],
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> list[Comparison]:
    """Each metric of two systems and of their difference; the same for the same seed.

    `first` and `second` hold one array of scores a class, as the metrics ask for them, and in both of them score i of
    a class belongs to the same trial. The trials are drawn again with replacement within each class, for both systems
    the same ones, so that what makes a trial easy or hard for both does not blur the comparison (Bisani and Ney,
    "Bootstrap estimates for confidence intervals in ASR performance evaluation", 2004). The interval is that of the
    percentiles; `p` is two-sided: twice the smaller share of resamples, the original one counted among them, in which
    the difference is at most 0 or at least 0 (Davison and Hinkley, "Bootstrap Methods and their Application", 1997,
    section 4.4). With 1000 resamples it cannot fall below 0.002. Sets of more than `thinning.FEW` distinct scores are
    `thinned`, which makes intervals too wide where two systems differ by less than a tenth of either's standard error.

    `DataError` for empty or non-finite scores and if the systems have not scored equally many trials; `ConfigError`
    for settings that have no meaning and if a metric takes other classes.
    """
    require_bootstrap(resamples, confidence)
    for metric in metrics:
        first, second = checked(metric, first), checked(metric, second)
    if not metrics:
        return []
    for name, one, other in zip(metrics[0].classes, first, second, strict=True):
        if one.size != other.size:
            raise DataError(
                f"The first system has scored {one.size} {name} trials, the second one {other.size}.",
                "Compare them on the trials that both have scored, in the same order.",
            )
    thresholds = [threshold for metric in metrics for threshold in metric.thresholds]
    systems = [(tally(*scores), scores) for scores in (first, second)]
    thinner = [(thinned(trials, thresholds), scores) for trials, scores in systems]
    draw = np.random.default_rng(seed)
    drawn = [
        [metric.of(two) - metric.of(one) for metric in metrics]
        for one, two in resampled_pairs(thinner[0], thinner[1], resamples, draw)
    ]
    compared = []
    for metric, batches in zip(metrics, zip(*drawn, strict=True), strict=True):
        differences = np.concatenate(batches)
        values = [float(metric.of(trials)) for trials, _ in systems]
        compared.append(
            Comparison(metric, values[0], values[1], percentiles(differences, confidence), _p_value(differences))
        )
    return compared


def _p_value(differences: Scores) -> float:
    rarer = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    return min(1.0, 2 * (1 + int(rarer)) / (1 + differences.size))
