"""Costs of spoofing countermeasures together with a speaker verifier: the tandem DCF and the architecture-agnostic DCF.

A speaker verifier (ASV) has three kinds of trials: target (the claimed speaker), nontarget (somebody else) and spoof.
Scores are one-dimensional, higher = more to be accepted; `DataError` for a class without scores and for scores that
are not finite.
"""

import math
from dataclasses import dataclass

import numpy as np

from deepcheck.errors import ConfigError, DataError
from deepcheck.metrics import detection, of_tally
from deepcheck.metrics.arguments import Scores, both_classes, finite
from deepcheck.metrics.tally import tally


@dataclass(frozen=True)
class AsvRates:
    """Error rates of a speaker verifier at its threshold, as fractions.

    `miss`: targets rejected; `false_alarm`: nontargets accepted; `spoof_false_alarm`: spoofs accepted.
    """

    miss: float
    false_alarm: float
    spoof_false_alarm: float

    def __post_init__(self) -> None:
        if not all(0 <= rate <= 1 for rate in vars(self).values()):
            raise ConfigError(
                f"The error rates of the speaker verifier are {', '.join(map(str, vars(self).values()))}.",
                "Give fractions from 0 to 1.",
            )


ASVSPOOF5_ASV = AsvRates(
    miss=0.01880141010575793, false_alarm=0.01881016557566423, spoof_false_alarm=0.4607082907604729
)
"""The organisers' verifier, as the ASVspoof 5 evaluation package has it built in for track 2."""


def asv_rates(target: Scores, nontarget: Scores, spoof: Scores) -> AsvRates:
    """The rates of a verifier at the threshold of its EER of targets against nontargets.

    As in the ASVspoof packages (`obtain_asv_error_rates`) a score *at* this threshold is accepted, unlike elsewhere
    here, so that published tandem costs come out.
    """
    target, nontarget, spoof = finite("target", target), finite("nontarget", nontarget), finite("spoof", spoof)
    threshold = detection.eer(target, nontarget)[1]
    accepted = (float(np.mean(scores >= threshold)) for scores in (nontarget, spoof))
    return AsvRates(float(np.mean(target < threshold)), *accepted)


@dataclass(frozen=True)
class TandemCosts:
    """Priors of the three kinds of trials and costs of errors; the defaults are those of ASVspoof 2019 and 2021."""

    p_target: float = 0.9405
    p_nontarget: float = 0.0095
    p_spoof: float = 0.05
    c_miss: float = 1.0
    c_fa: float = 10.0
    c_fa_spoof: float = 10.0

    def __post_init__(self) -> None:
        priors = (self.p_target, self.p_nontarget, self.p_spoof)
        if not (all(0 <= prior <= 1 for prior in priors) and math.isclose(sum(priors), 1)):
            raise ConfigError(
                f"The priors of target, nontarget and spoof are {', '.join(map(str, priors))}.",
                "Give three numbers from 0 to 1 that add up to 1.",
            )
        costs = (self.c_miss, self.c_fa, self.c_fa_spoof)
        if not all(0 < cost < math.inf for cost in costs):
            raise ConfigError(
                f"The costs of a miss, a false alarm and an accepted spoof are {', '.join(map(str, costs))}.",
                "Give three positive numbers.",
            )

    @property
    def weights(self) -> tuple[float, float, float]:
        """What missing every target, accepting every nontarget, and accepting every spoof cost."""
        return self.p_target * self.c_miss, self.p_nontarget * self.c_fa, self.p_spoof * self.c_fa_spoof


ASVSPOOF2019 = TandemCosts()
ADCF1 = TandemCosts(p_target=0.9, p_nontarget=0.05, p_spoof=0.05, c_fa_spoof=20.0)
"""The setting "a-DCF1" of the paper that proposed the a-DCF, the default of its authors' package."""


def min_t_dcf(
    bonafide: Scores, spoof: Scores, asv: AsvRates, costs: TandemCosts = ASVSPOOF2019, *, legacy: bool = False
) -> float:
    """The least tandem cost of a countermeasure that decides which trials reach a verifier with the rates `asv`.

    `bonafide` and `spoof` are scores of the countermeasure. With the three `t_dcf_weights` the cost of a threshold is
    (C0 + C1 frr + C2 far) / (C0 + min(C1, C2)), where 1 is what the better of accepting and rejecting everything costs
    (Kinnunen et al., "Tandem assessment of spoofing countermeasures and automatic speaker verification", 2020; used
    in ASVspoof 2021). `legacy` leaves C0 out, the cost that the verifier's own errors have even behind a perfect
    countermeasure (Kinnunen et al., "t-DCF", 2018; used in ASVspoof 2019 and in track 2 of ASVspoof 5). Where no
    scores are equal this is the minimum of `compute_tDCF` and `compute_tDCF_legacy` of the ASVspoof packages.
    """
    trials = tally(*both_classes(bonafide, spoof))
    return float(of_tally.min_t_dcf(trials, *t_dcf_weights(asv, costs, legacy=legacy)))


def t_dcf_weights(asv: AsvRates, costs: TandemCosts = ASVSPOOF2019, *, legacy: bool = False) -> tuple[float, ...]:
    """(C0, C1, C2) of `min_t_dcf`, C0 = 0 if `legacy`: the verifier's own cost, that of bona fide trials rejected by
    the countermeasure, and that of spoofs accepted by it.

    `DataError` for a verifier so poor that rejecting everybody beats it, or that accepts no spoof.
    """
    target, nontarget, spoof = costs.weights
    own = target * asv.miss + nontarget * asv.false_alarm
    rejected, accepted = target - own, spoof * asv.spoof_false_alarm
    if rejected <= 0 or accepted <= 0:
        raise DataError(
            f"Behind this speaker verifier ({100 * asv.miss:.1f} % of targets rejected, {100 * asv.false_alarm:.1f} % "
            f"of nontargets and {100 * asv.spoof_false_alarm:.1f} % of spoofs accepted) there is nothing that a "
            "countermeasure could improve.",
            "Check that its scores are higher for targets, and that its trials include spoofs.",
        )
    return (0.0 if legacy else own), rejected, accepted


def min_a_dcf(target: Scores, nontarget: Scores, spoof: Scores, costs: TandemCosts = ADCF1) -> tuple[float, float]:
    """(least architecture-agnostic cost, its threshold): one score decides on the speaker and on spoofing at once.

    The cost of a threshold is c_miss p_target P_miss + c_fa p_nontarget P_fa + c_fa_spoof p_spoof P_fa,spoof, over that
    of the better of accepting and rejecting everything (Shim et al., "a-DCF: an architecture agnostic metric with
    application to spoofing-robust speaker verification", 2024, arXiv:2403.01355). The default costs are those of its
    authors' package (`a_dcf`) and of the package for ASVspoof 5, track 2.
    """
    classes = (finite("target", target), finite("nontarget", nontarget), finite("spoof", spoof))
    trials = tally(*classes)
    cost, threshold = of_tally.min_a_dcf(trials, *costs.weights)
    return float(cost), float(threshold)


def a_dcf(target: Scores, nontarget: Scores, spoof: Scores, threshold: float, costs: TandemCosts = ADCF1) -> float:
    """The cost of `min_a_dcf` at a given threshold, above which a score is accepted."""
    classes = (finite("target", target), finite("nontarget", nontarget), finite("spoof", spoof))
    return float(of_tally.a_dcf(tally(*classes), threshold, *costs.weights))
