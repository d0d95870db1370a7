"""The metrics by name: what an evaluation prints and exports, in this order.

Metrics that need more than the scores are made by the functions below: those at a threshold that was chosen on other
trials, and those of a countermeasure together with a speaker verifier.
"""

import math

from deepcheck.errors import ConfigError
from deepcheck.metrics import of_tally
from deepcheck.metrics.detection import ASVSPOOF5, Costs
from deepcheck.metrics.metric import Metric
from deepcheck.metrics.tandem import ADCF1, ASVSPOOF2019, AsvRates, TandemCosts, t_dcf_weights


def min_dcf_of(costs: Costs) -> Metric:
    """`detection.min_dcf` with given costs."""
    return Metric("min_dcf", "minDCF", lambda trials: of_tally.min_dcf(trials, costs.beta))


def act_dcf_of(costs: Costs) -> Metric:
    """`detection.act_dcf` with given costs."""
    return Metric(
        "act_dcf",
        "actDCF",
        lambda trials: of_tally.act_dcf(trials, costs.beta),
        needs_llr=True,
        thresholds=(costs.threshold,),
    )


EER = Metric("eer", "EER", lambda trials: of_tally.eer(trials)[0], unit="%")
AUC = Metric("auc", "AUC", of_tally.auc, lower_is_better=False)
MIN_DCF = min_dcf_of(ASVSPOOF5)
ACT_DCF = act_dcf_of(ASVSPOOF5)
CLLR = Metric("cllr", "Cllr", of_tally.cllr, unit="bit", needs_llr=True)
MIN_CLLR = Metric("min_cllr", "min Cllr", of_tally.min_cllr, unit="bit")

METRICS = {metric.name: metric for metric in (EER, AUC, MIN_DCF, ACT_DCF, CLLR, MIN_CLLR)}
"""What can be said of any scores of bona fide and spoof trials."""


def carried_over(threshold: float) -> tuple[Metric, Metric, Metric]:
    """HTER, and the shares of bona fide rejected and of spoof accepted, at a threshold chosen on other trials.

    It is fixed: of the uncertainty of its choice the intervals know nothing. For one of the shares alone, `proportion`
    gives an interval that is sound for 0 as well.
    """
    if math.isnan(threshold):
        raise ConfigError("The threshold is not a number.", "Choose it on labelled trials, for example at their EER.")
    fixed = (threshold,)
    return (
        Metric("hter", "HTER", lambda trials: of_tally.hter(trials, threshold), "%", thresholds=fixed),
        Metric("frr", "bona fide rejected", lambda trials: of_tally.rates(trials, threshold)[0], "%", thresholds=fixed),
        Metric("far", "spoof accepted", lambda trials: of_tally.rates(trials, threshold)[1], "%", thresholds=fixed),
    )


def min_t_dcf_of(asv: AsvRates, costs: TandemCosts = ASVSPOOF2019, *, legacy: bool = False) -> Metric:
    """`tandem.min_t_dcf` behind a given speaker verifier, whose rates the intervals take for exact."""
    weights = t_dcf_weights(asv, costs, legacy=legacy)
    title = "min t-DCF (2019)" if legacy else "min t-DCF"
    return Metric("min_t_dcf", title, lambda trials: of_tally.min_t_dcf(trials, *weights))


def min_a_dcf_of(costs: TandemCosts = ADCF1) -> Metric:
    """`tandem.min_a_dcf`: a metric of target, nontarget and spoof scores, in this order."""
    return Metric(
        "min_a_dcf",
        "min a-DCF",
        lambda trials: of_tally.min_a_dcf(trials, *costs.weights)[0],
        classes=("target", "nontarget", "spoof"),
    )
