"""Error rates and costs of telling bona fide from spoof by a score.

Everywhere a trial whose score is *at or below* the threshold is called spoof, one above it bona fide.
All functions take one-dimensional scores, higher = more bona fide, return fractions rather than percent,
and raise `DataError` for a class without scores and for scores that are not finite.
"""

import math
from dataclasses import dataclass

from deepcheck.errors import ConfigError
from deepcheck.metrics import of_tally
from deepcheck.metrics.arguments import Scores, both_classes, require_fraction
from deepcheck.metrics.tally import Tally, tally


def error_rates(bonafide: Scores, spoof: Scores, threshold: float) -> tuple[float, float]:
    """(false-rejection rate of bona fide, false-acceptance rate of spoof) at one threshold."""
    frr, far = of_tally.rates(_tally(bonafide, spoof), threshold)
    return float(frr), float(far)


def hter(bonafide: Scores, spoof: Scores, threshold: float) -> float:
    """The half total error rate: the mean of the two `error_rates` at a threshold carried over from another set.

    Bengio and Mariéthoz, "A statistical significance test for person authentication", 2004. At the threshold of
    the set's own EER it would be that EER; the distance between the two is what carrying over costs.
    """
    frr, far = error_rates(bonafide, spoof, threshold)
    return (frr + far) / 2


def det_curve(bonafide: Scores, spoof: Scores) -> tuple[Scores, Scores, Scores]:
    """(frr, far, thresholds) at every operating point that a threshold can reach, thresholds ascending.

    Point i holds the `error_rates` at `thresholds[i]`. The first threshold lies 0.001 below the lowest
    score and accepts everything; the others are the distinct scores, so the length is their number + 1.

    This is the curve of the ASVspoof 5 evaluation package (`compute_det_curve`), with one difference: the
    package steps through equal scores one by one, in the order in which they came in, and so visits points
    that no threshold can realise and that change if the trials are shuffled. Here equal scores fall together.
    Where no two scores are equal, the curve is the package's, to the last bit.
    """
    trials = _tally(bonafide, spoof)
    return trials.frr, trials.fars[0], trials.thresholds


def eer(bonafide: Scores, spoof: Scores) -> tuple[float, float]:
    """(equal error rate, its threshold): the mean of frr and far where the two differ least.

    The definition of the ASVspoof 5 evaluation package (`compute_eer`); the lowest such threshold if there
    are several. An inverted detector has an EER above 0.5, one that gives every trial the same score 0.5.
    """
    rate, threshold = of_tally.eer(_tally(bonafide, spoof))
    return float(rate), float(threshold)


def auc(bonafide: Scores, spoof: Scores) -> float:
    """The chance that a bona fide trial scores above a spoof one, equal scores counting half.

    The area under the ROC curve as a rank statistic (Mann and Whitney 1947; Hanley and McNeil 1982).
    """
    return float(of_tally.auc(_tally(bonafide, spoof)))


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

    @property
    def threshold(self) -> float:
        """The log-likelihood ratio above which accepting costs less: -ln beta, -0.642 by default."""
        return -math.log(self.beta)


ASVSPOOF5 = Costs()


def min_dcf(bonafide: Scores, spoof: Scores, costs: Costs = ASVSPOOF5) -> float:
    """The lowest detection cost that any threshold reaches; 1 is what a detector costs that hears nothing.

    c_miss (1 - p_spoof) frr + c_fa p_spoof far, over the lesser of the two weights (ASVspoof 5 evaluation
    plan and package, `compute_mindcf`), which by default is 1.9 frr + far.
    """
    return float(of_tally.min_dcf(_tally(bonafide, spoof), costs.beta))


def act_dcf(bonafide: Scores, spoof: Scores, costs: Costs = ASVSPOOF5) -> float:
    """The cost of `min_dcf` at the threshold -ln beta, the best one if the scores are what they claim.

    The scores are natural-log likelihood ratios of bona fide against spoof. The distance to `min_dcf` is
    what miscalibration costs; a result above 1 is worse than not listening at all (ASVspoof 5 evaluation
    package, `compute_actDCF`, which calls a score exactly at the threshold bona fide).
    """
    return float(of_tally.act_dcf(_tally(bonafide, spoof), costs.beta))


def cllr(bonafide: Scores, spoof: Scores) -> float:
    """What the natural-log likelihood ratios cost in bits, over all priors: 0 is perfect, 1 says nothing.

    C_llr of Brümmer and du Preez, "Application-independent evaluation of speaker detection", 2006.
    """
    return float(of_tally.cllr(_tally(bonafide, spoof)))


def min_cllr(bonafide: Scores, spoof: Scores) -> float:
    """The least `cllr` to which any monotone map could bring the scores: 0 to 1 bit, and never above `cllr`.

    The map is found by pooling adjacent violators, equal scores as one (Brümmer and du Preez 2006, section 6;
    Brümmer and de Villiers, "The BOSARIS toolkit", 2011). `cllr` less this is what miscalibration costs.
    """
    return float(of_tally.min_cllr(_tally(bonafide, spoof)))


def _tally(bonafide: Scores, spoof: Scores) -> Tally:
    return tally(*both_classes(bonafide, spoof))
