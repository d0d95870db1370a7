"""Whether probabilities come true: of the trials said to be spoof with 80 %, about 80 % should be."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepcheck.errors import ConfigError
from deepcheck.metrics.arguments import Scores, both_classes
from deepcheck.metrics.calibration import probability_of_spoof
from deepcheck.metrics.intervals import Interval, proportion


@dataclass(frozen=True)
class ReliabilityBin:
    """The trials whose probability of spoof lies from `low` up to `high`: `spoof` of `total` are, `predicted` was
    said on average."""

    low: float
    high: float
    predicted: float
    spoof: int
    total: int

    @property
    def observed(self) -> float:
        """The share of spoof."""
        return self.spoof / self.total

    def interval(self, confidence: float = 0.95) -> Interval:
        """The interval of the share of spoof (Wilson)."""
        return proportion(self.spoof, self.total, confidence)


def reliability(bonafide: Scores, spoof: Scores, bins: int = 10) -> tuple[ReliabilityBin, ...]:
    """The reliability table of log-likelihood ratios: bins of equal width without the empty ones, the lowest first.

    The probabilities are those of spoof given each ratio, where spoof is as frequent as among these trials, so that
    good ones agree with the observed shares (Murphy and Winkler, "Reliability of subjective probability forecasts",
    1977). A bin holds its lower end, the last one both ends.

    `DataError` for empty or non-finite scores, `ConfigError` for less than one bin.
    """
    if bins < 1:
        raise ConfigError(f"The number of bins is {bins}.", "Give at least 1; 10 is usual.")
    bonafide, spoof = both_classes(bonafide, spoof)
    share = spoof.size / (spoof.size + bonafide.size)
    probabilities = probability_of_spoof(np.concatenate([bonafide, spoof]), share)
    place = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    totals, sums = np.bincount(place, minlength=bins), np.bincount(place, probabilities, minlength=bins)
    spoofs = np.bincount(place[bonafide.size :], minlength=bins)
    return tuple(
        ReliabilityBin(i / bins, (i + 1) / bins, float(sums[i] / totals[i]), int(spoofs[i]), int(totals[i]))
        for i in np.flatnonzero(totals).tolist()
    )


def expected_calibration_error(table: Sequence[ReliabilityBin]) -> float:
    """The mean distance, over the trials of a reliability table, of what was said from what was observed: 0 to 1.

    Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", 2015. It depends
    on the bins, and is above 0 by chance alone where they hold few trials.
    """
    return sum(row.total * abs(row.observed - row.predicted) for row in table) / sum(row.total for row in table)
