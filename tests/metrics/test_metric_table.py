import math

import numpy as np
import pytest
from metric_examples import gaussian, rounded

from deepcheck.errors import ConfigError, DataError
from deepcheck.metrics import detection, tandem, thinning
from deepcheck.metrics.intervals import Interval
from deepcheck.metrics.table import (
    AUC,
    CLLR,
    EER,
    METRICS,
    act_dcf_of,
    carried_over,
    min_a_dcf_of,
    min_dcf_of,
    min_t_dcf_of,
)
from deepcheck.metrics.tally import tally

ASV = tandem.ASVSPOOF5_ASV
TWO_CLASSES = [*METRICS.values(), *carried_over(0.25), min_t_dcf_of(ASV), min_t_dcf_of(ASV, legacy=True)]


def test_names_are_those_of_the_functions_and_of_the_rows():
    assert list(METRICS) == ["eer", "auc", "min_dcf", "act_dcf", "cllr", "min_cllr"]
    assert all(name == metric.name for name, metric in METRICS.items())


def test_each_metric_is_the_function_of_its_name():
    trials = rounded(40, 50)
    for name, metric in METRICS.items():
        value = getattr(detection, name)(*trials)
        assert metric(*trials) == (value[0] if name == "eer" else value)
    hter, frr, far = carried_over(0.25)
    assert hter(*trials) == detection.hter(*trials, 0.25)
    assert (frr(*trials), far(*trials)) == detection.error_rates(*trials, 0.25)
    assert min_t_dcf_of(ASV)(*trials) == tandem.min_t_dcf(*trials, ASV)
    assert min_t_dcf_of(ASV, legacy=True)(*trials) == tandem.min_t_dcf(*trials, ASV, legacy=True)
    costs = detection.Costs(0.3, 2, 3)
    assert min_dcf_of(costs)(*trials) == detection.min_dcf(*trials, costs)
    assert act_dcf_of(costs)(*trials) == detection.act_dcf(*trials, costs)
    three = (*trials, np.round(trials[1] + 1, 1))
    assert min_a_dcf_of()(*three) == tandem.min_a_dcf(*three)[0]
    assert min_a_dcf_of(tandem.ASVSPOOF2019)(*three) == tandem.min_a_dcf(*three, tandem.ASVSPOOF2019)[0]


@pytest.mark.parametrize("metric", TWO_CLASSES, ids=lambda metric: metric.title)
def test_metrics_say_truly_whether_they_need_likelihood_ratios(metric):
    trials = gaussian(200, 250)
    moved = metric(*(np.exp(scores) + 3 for scores in trials))
    if metric.needs_llr or metric.thresholds:
        assert moved != metric(*trials)
    else:
        assert moved == metric(*trials)


@pytest.mark.parametrize("metric", [m for m in TWO_CLASSES if m.name not in ("frr", "far")], ids=lambda m: m.title)
def test_metrics_say_truly_which_way_is_better(metric):
    worse, better = metric(*gaussian(200, 250, mean=0.5)), metric(*gaussian(200, 250, mean=2))
    assert (better < worse) == metric.lower_is_better


@pytest.mark.parametrize("metric", [METRICS["act_dcf"], *carried_over(0.25)], ids=lambda metric: metric.title)
def test_thinning_knows_the_thresholds_of_a_metric(monkeypatch, metric):
    monkeypatch.setattr(thinning, "FEW", 100)
    monkeypatch.setattr(thinning, "STEP", 10)
    trials = tally(*gaussian(3000, 3000))
    assert metric.of(thinning.thinned(trials, metric.thresholds)) == metric.of(trials)
    assert metric.of(thinning.thinned(trials)) != metric.of(trials)


def test_text():
    assert EER.text(0.0431) == "4.31 %"
    assert EER.text(0.0431, Interval(0.0402, 0.046)) == "4.31 % [4.02, 4.60]"
    assert AUC.text(0.98765432) == "0.9877"
    assert CLLR.text(1.25, Interval(1, 1.5)) == "1.2500 bit [1.0000, 1.5000]"


def test_wrong_classes_are_refused():
    with pytest.raises(ConfigError, match="EER takes 2 lists of scores, not 3") as caught:
        EER([1.0], [0.0], [0.0])
    assert "bona fide, spoof" in caught.value.hint
    with pytest.raises(DataError, match="nontarget scores"):
        min_a_dcf_of()([1.0], [], [0.0])
    with pytest.raises(ConfigError, match="threshold"):
        carried_over(math.nan)
