"""Error rates and costs of telling bona fide from spoof by a score.

Everywhere a trial whose score is *at or below* the threshold is called spoof, one above it bona fide.
All functions take one-dimensional scores, higher = more bona fide, return fractions rather than percent,
and raise `DataError` for a class without scores and for scores that are not finite.
"""

import math
from dataclasses import dataclass

import numpy as np

from deepcheck.errors import ConfigError
from deepcheck.metrics.arguments import Scores, both_classes, require_fraction


def error_rates(bonafide: Scores, spoof: Scores, threshold: float) -> tuple[float, float]:
    """(false-rejection rate of bona fide, false-acceptance rate of spoof) at one threshold."""
    bonafide, spoof = both_classes(bonafide, spoof)
    return float(np.mean(bonafide <= threshold)), float(np.mean(spoof > threshold))


def det_curve(bonafide: Scores, spoof: Scores) -> tuple[Scores, Scores, Scores]:
    """(frr, far, thresholds) at every operating point that a threshold can reach, thresholds ascending.

    Point i holds the `error_rates` at `thresholds[i]`. The first threshold lies 0.001 below the lowest
    score and accepts everything; the others are the distinct scores, so the length is their number + 1.

    This is the curve of the ASVspoof 5 evaluation package (`compute_det_curve`), with one difference: the
    package steps through equal scores one by one, in the order in which they came in, and so visits points
    that no threshold can realise and that change if the trials are shuffled. Here equal scores fall together.
    Where no two scores are equal, the curve is the package's, to the last bit.
    """
    bonafide, spoof = both_classes(bonafide, spoof)
    distinct = np.unique(np.concatenate([bonafide, spoof]))
    thresholds = np.concatenate([distinct[:1] - 0.001, distinct])
    rejected = np.searchsorted(np.sort(bonafide), thresholds, side="right")
    accepted = spoof.size - np.searchsorted(np.sort(spoof), thresholds, side="right")
    return rejected / bonafide.size, accepted / spoof.size, thresholds


def eer(bonafide: Scores, spoof: Scores) -> tuple[float, float]:
    """(equal error rate, its threshold): the mean of frr and far where the two differ least.

    The definition of the ASVspoof 5 evaluation package (`compute_eer`); the lowest such threshold if there
    are several. An inverted detector has an EER above 0.5, one that gives every trial the same score 0.5.
    """
    frr, far, thresholds = det_curve(bonafide, spoof)
    nearest = int(np.argmin(np.abs(frr - far)))
    return float(frr[nearest] + far[nearest]) / 2, float(thresholds[nearest])


def auc(bonafide: Scores, spoof: Scores) -> float:
    """The chance that a bona fide trial scores above a spoof one, equal scores counting half.

    The area under the ROC curve as a rank statistic (Mann and Whitney 1947; Hanley and McNeil 1982).
    """
    bonafide, spoof = both_classes(bonafide, spoof)
    ranked = np.sort(spoof)
    below = np.searchsorted(ranked, bonafide, side="left")
    at_or_below = np.searchsorted(ranked, bonafide, side="right")
    return float((below + at_or_below).mean() / (2 * spoof.size))


@dataclass(frozen=True)
class Costs:
    """The prior of spoof and the costs of the two errors; the defaults are those of ASVspoof 5, track 1."""

    p_spoof: float = 0.05
    c_miss: float = 1.0
    c_fa: float = 10.0

    def __post_init__(self) -> None:
        require_fraction("The prior probability of spoof", self.p_spoof)
        if not (0 < self.c_miss < math.inf and 0 < self.c_fa < math.inf):
            raise ConfigError(
                f"The costs of a miss and of a false acceptance are {self.c_miss} and {self.c_fa}.",
                "Give two positive numbers.",
            )

    @property
    def beta(self) -> float:
        """What false rejections weigh against false acceptances: 1.9 by default (evaluation plan, eq. 3)."""
        return self.c_miss * (1 - self.p_spoof) / (self.c_fa * self.p_spoof)


ASVSPOOF5 = Costs()


def min_dcf(bonafide: Scores, spoof: Scores, costs: Costs = ASVSPOOF5) -> float:
    """The lowest detection cost that any threshold reaches; 1 is what a detector costs that hears nothing.

    c_miss (1 - p_spoof) frr + c_fa p_spoof far, over the lesser of the two weights (ASVspoof 5 evaluation
    plan and package, `compute_mindcf`), which by default is 1.9 frr + far.
    """
    frr, far, _ = det_curve(bonafide, spoof)
    beta = costs.beta
    return float(np.min(beta * frr + far)) / min(beta, 1.0)


def act_dcf(bonafide: Scores, spoof: Scores, costs: Costs = ASVSPOOF5) -> float:
    """The cost of `min_dcf` at the threshold -ln beta, the best one if the scores are what they claim.

    The scores are natural-log likelihood ratios of bona fide against spoof. The distance to `min_dcf` is
    what miscalibration costs; a result above 1 is worse than not listening at all (ASVspoof 5 evaluation
    package, `compute_actDCF`, which calls a score exactly at the threshold bona fide).
    """
    beta = costs.beta
    frr, far = error_rates(bonafide, spoof, -math.log(beta))
    return (beta * frr + far) / min(beta, 1.0)


def cllr(bonafide: Scores, spoof: Scores) -> float:
    """What the natural-log likelihood ratios cost in bits, over all priors: 0 is perfect, 1 says nothing.

    C_llr of Brümmer and du Preez, "Application-independent evaluation of speaker detection", 2006.
    """
    bonafide, spoof = both_classes(bonafide, spoof)
    nats = np.logaddexp(0, -bonafide).mean() + np.logaddexp(0, spoof).mean()
    return float(nats) / (2 * math.log(2))
