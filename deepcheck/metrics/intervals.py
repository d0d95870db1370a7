"""How far a measured rate may be from the true one."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from deepcheck.errors import ConfigError, DataError
from deepcheck.metrics.arguments import Scores, both_classes, require_fraction


@dataclass(frozen=True)
class Interval:
    """The two ends of a confidence interval, in the unit of what was measured."""

    low: float
    high: float

    def holding(self, value: float) -> "Interval":
        """This interval, stretched as far as it takes to hold `value`."""
        return Interval(min(self.low, value), max(self.high, value))


def bootstrap(
    statistic: Callable[[Scores, Scores], float],
    bonafide: Scores,
    spoof: Scores,
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The interval of `statistic(bonafide, spoof)` over resamples of the trials; the same for the same seed.

    Each class is drawn with replacement from its own scores, so that its size stays; the ends are the
    percentiles (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13). The interval
    knows nothing of what the scores do not show: for a detector without errors it is [0, 0] (use
    `proportion` there), and recordings that share a speaker make it too narrow.

    `DataError` for empty or non-finite scores, `ConfigError` for settings that have no meaning.
    """
    require_bootstrap(resamples, confidence)
    bonafide, spoof = both_classes(bonafide, spoof)
    draw = np.random.default_rng(seed)
    values = [
        statistic(
            bonafide[draw.integers(bonafide.size, size=bonafide.size)],
            spoof[draw.integers(spoof.size, size=spoof.size)],
        )
        for _ in range(resamples)
    ]
    return percentiles(np.array(values), confidence)


def percentiles(values: Scores, confidence: float) -> Interval:
    """The interval that holds the middle share `confidence` of the values of resamples."""
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


def bias_corrected(values: Scores, estimate: float, confidence: float) -> Interval:
    """`percentiles`, moved by twice as far as the median of the resamples lies from the estimate.

    Efron and Tibshirani 1993, section 14.3, without acceleration. It matters for a minimum over thresholds, which is
    too low on few trials, and once more on their resamples.
    """
    normal = NormalDist()
    below = (np.mean(values < estimate) + np.mean(values <= estimate)) / 2
    bias = normal.inv_cdf(min(max(float(below), 0.5 / values.size), 1 - 0.5 / values.size))
    z = normal.inv_cdf((1 + confidence) / 2)
    low, high = np.quantile(values, [normal.cdf(2 * bias - z), normal.cdf(2 * bias + z)])
    return Interval(float(low), float(high))


def require_bootstrap(resamples: int, confidence: float) -> None:
    """`ConfigError` unless there is a resample, and a confidence between 0 and 1."""
    require_fraction("The confidence", confidence)
    if resamples < 1:
        raise ConfigError(f"The number of resamples is {resamples}.", "Give at least 1; 1000 is usual.")


def proportion(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """The interval of a rate of which `successes` out of `trials` were seen; sound for 0 and for all too.

    Wilson's score interval ("Probable inference, the law of succession, and statistical inference", 1927).
    `DataError` without trials or with more successes than trials.
    """
    require_fraction("The confidence", confidence)
    if trials < 1 or not 0 <= successes <= trials:
        raise DataError(
            f"{successes} out of {trials} is not a rate.",
            "Count at least one trial, and at most all of them.",
        )
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate, shrink = successes / trials, 1 + z * z / trials
    middle = (rate + z * z / (2 * trials)) / shrink
    half = z * math.sqrt(rate * (1 - rate) / trials + (z / (2 * trials)) ** 2) / shrink
    # Rounding may push an end of 0 or 1 to the wrong side of the rate itself.
    return Interval(max(0.0, min(rate, middle - half)), min(1.0, max(rate, middle + half)))


def tolerated_errors(trials: int, rate: float, confidence: float = 0.95) -> int | None:
    """How many errors in `trials` still show, with `confidence`, that the true rate is at most `rate`.

    The largest k with BinomialCDF(k; trials, rate) <= 1 - confidence (Clopper and Pearson 1934, one-sided).
    None if not even an error-free run is long enough: 1 % at 95 % takes 299 trials, 5 % takes 59.
    """
    require_fraction("The rate", rate)
    require_fraction("The confidence", confidence)
    log_odds = math.log(rate) - math.log1p(-rate)
    # The terms are kept as logarithms because (1 - rate) ** trials underflows for large corpora.
    log_term, cumulated = trials * math.log1p(-rate), 0.0
    tolerated = None
    for errors in range(trials):
        cumulated += math.exp(log_term)
        if cumulated > 1 - confidence:
            break
        tolerated = errors
        log_term += math.log((trials - errors) / (errors + 1)) + log_odds
    return tolerated
