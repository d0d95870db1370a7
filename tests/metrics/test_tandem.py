import math

import numpy as np
import pytest
from hypothesis import given
from metric_examples import (
    CONSTANT,
    INVERTED,
    PERFECT,
    TIED,
    examples,
    gaussian,
    heavy_tailed,
    literal_min_a_dcf,
    literal_min_t_dcf,
    operating_points,
    rounded,
)

from deepcheck.errors import ConfigError, DataError
from deepcheck.metrics.detection import min_dcf
from deepcheck.metrics.tandem import (
    ADCF1,
    ASVSPOOF5_ASV,
    ASVSPOOF2019,
    AsvRates,
    TandemCosts,
    a_dcf,
    asv_rates,
    min_a_dcf,
    min_t_dcf,
    t_dcf_weights,
)

# The organisers' verifier on the evaluation part of ASVspoof 2019 LA, as their package prints its rates.
ASVSPOOF2019_LA = AsvRates(0.024581005586592177, 0.024604674888228765, 1 - 0.23934754703985472)


def three_classes(seed=0, sizes=(40, 50, 60)):
    draw = np.random.default_rng(seed)
    return [draw.normal(mean, 1, size) for mean, size in zip((2, 0, 1), sizes, strict=True)]


def test_weights_are_those_that_the_packages_print_for_asvspoof_2019():
    _, c1, c2 = t_dcf_weights(ASVSPOOF2019_LA, legacy=True)
    assert f"{c1 / c2:.5f}" == "2.40595"  # tDCF_norm(s) =  2.40595 x Pmiss_cm(s) + Pfa_cm(s)
    assert f"{min_t_dcf(*PERFECT, ASVSPOOF2019_LA):.5f}" == "0.06273"  # that of an error-free countermeasure


def test_weights_by_hand():
    asv = AsvRates(miss=0.1, false_alarm=0.2, spoof_false_alarm=0.4)
    c0 = 0.9405 * 0.1 + 0.0095 * 10 * 0.2
    assert t_dcf_weights(asv) == pytest.approx((c0, 0.9405 - c0, 0.05 * 10 * 0.4))
    assert t_dcf_weights(asv, legacy=True) == pytest.approx((0, 0.9405 - c0, 0.2))


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("asv", [ASVSPOOF2019_LA, ASVSPOOF5_ASV, AsvRates(0, 0, 1), AsvRates(0.3, 0.9, 0.001)])
@pytest.mark.parametrize("scores", [gaussian, rounded, heavy_tailed])
def test_min_t_dcf_is_its_published_definition(legacy, asv, scores):
    for seed, sizes in enumerate([(1, 1), (3, 70), (50, 60)]):
        trials = scores(*sizes, seed=seed)
        assert min_t_dcf(*trials, asv, legacy=legacy) == pytest.approx(
            literal_min_t_dcf(*trials, asv, legacy), rel=1e-12, abs=1e-12
        )


@pytest.mark.parametrize("asv", [ASVSPOOF2019_LA, AsvRates(0.3, 0.9, 0.001)])
def test_tandem_cost_of_the_perfect_and_the_useless(asv):
    c0, c1, c2 = t_dcf_weights(asv)
    assert min_t_dcf(*PERFECT, asv) == pytest.approx(c0 / (c0 + min(c1, c2)))
    assert min_t_dcf(*PERFECT, asv, legacy=True) == 0
    for useless in (CONSTANT, INVERTED):
        assert min_t_dcf(*useless, asv) == min_t_dcf(*useless, asv, legacy=True) == 1


@examples(100)
@given(TIED, TIED)
def test_min_t_dcf_with_ties(bonafide, spoof):
    for legacy in (False, True):
        ours = min_t_dcf(bonafide, spoof, ASVSPOOF2019_LA, legacy=legacy)
        assert ours == pytest.approx(literal_min_t_dcf(bonafide, spoof, ASVSPOOF2019_LA, legacy), rel=1e-12, abs=1e-12)
        assert 0 <= ours <= 1


def test_behind_a_perfect_verifier_that_accepts_every_spoof_the_tandem_cost_is_the_dcf():
    # Nothing but the prior of bona fide differs: 0.9405 of targets, where the DCF has 0.95 of bona fide trials.
    costs = TandemCosts(p_target=0.95, p_nontarget=0, p_spoof=0.05)
    trials = gaussian(70, 80)
    assert min_t_dcf(*trials, AsvRates(0, 0, 1), costs) == pytest.approx(min_dcf(*trials))


def test_asv_rates_by_hand():
    # Targets and nontargets meet at 2, where a third of either is in error; the target at 2 itself is accepted.
    rates = asv_rates([2, 3, 4], [0, 1, 2.5], [0, 2, 2, 5])
    assert rates == AsvRates(miss=0, false_alarm=1 / 3, spoof_false_alarm=3 / 4)


def test_asv_rates_of_scores_without_ties_are_near_their_eer():
    target, nontarget, spoof = three_classes(sizes=(4000, 5000, 600))
    rates = asv_rates(target, nontarget, spoof)
    assert rates.miss == pytest.approx(rates.false_alarm, abs=1 / 4000 + 1 / 5000)
    assert rates.miss == pytest.approx(0.1587, abs=0.01)
    assert rates.spoof_false_alarm == pytest.approx(0.5, abs=0.05)


def test_a_verifier_that_leaves_nothing_to_improve_is_refused():
    with pytest.raises(DataError, match="nothing that a countermeasure could improve"):
        t_dcf_weights(AsvRates(0.99, 0.5, 0.5))
    with pytest.raises(DataError, match=r"0\.0 % of spoofs accepted"):
        min_t_dcf(*PERFECT, AsvRates(0.01, 0.01, 0))


@pytest.mark.parametrize("scores", [three_classes, lambda seed: [np.round(s, 1) for s in three_classes(seed)]])
def test_min_a_dcf_is_its_published_definition(scores):
    for seed in range(5):
        trials = scores(seed)
        cost, threshold = min_a_dcf(*trials)
        assert cost == pytest.approx(literal_min_a_dcf(*trials), rel=1e-12)
        assert a_dcf(*trials, threshold) == pytest.approx(cost, rel=1e-12)
        plan = literal_min_a_dcf(*trials, c_fa_spoof=10, p_target=0.9405, p_nontarget=0.0095)
        assert min_a_dcf(*trials, ASVSPOOF2019)[0] == pytest.approx(plan, rel=1e-12)


@examples(100)
@given(TIED, TIED, TIED)
def test_min_a_dcf_with_ties(target, nontarget, spoof):
    cost = min_a_dcf(target, nontarget, spoof)[0]
    assert cost == pytest.approx(literal_min_a_dcf(target, nontarget, spoof), rel=1e-12, abs=1e-12)
    assert 0 <= cost <= 1
    assert all(cost <= a_dcf(target, nontarget, spoof, t) + 1e-12 for t, *_ in operating_points(target, spoof))


def test_a_dcf_by_hand():
    trials = ([1, 3], [0, 2], [0, 0, 0, 2])
    # At 0: no miss, half of the nontargets, a quarter of the spoofs: (0.25 + 0.25) / 0.9. At 2: 0.45 / 0.9.
    assert a_dcf(*trials, 0) == pytest.approx(0.5 / 0.9)
    assert a_dcf(*trials, 2) == pytest.approx(0.5)
    assert min_a_dcf(*trials) == pytest.approx((0.5, 2))
    assert a_dcf(*trials, -1) == pytest.approx(1.5 / 0.9)  # accepts all
    assert a_dcf(*trials, 3) == 1  # rejects all


def test_without_nontargets_the_a_dcf_is_the_dcf():
    costs = TandemCosts(p_target=0.95, p_nontarget=0, p_spoof=0.05)
    target, nontarget, spoof = three_classes()
    assert min_a_dcf(target, nontarget, spoof, costs)[0] == pytest.approx(min_dcf(target, spoof))


@examples(50)
@given(TIED, TIED)
def test_where_spoofs_and_nontargets_are_the_same_only_their_sum_counts(target, spoof):
    both = TandemCosts(0.9, 0.05, 0.05, 1, 20, 10)
    assert min_a_dcf(target, spoof, spoof, both)[0] == pytest.approx(min_a_dcf(target, spoof, spoof, ADCF1)[0])


@pytest.mark.parametrize("bad", [[], [1.0, math.nan], [[1.0]]])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_unusable_scores_are_refused(bad, position):
    classes = [[1.0], [0.0], [0.5]]
    classes[position] = bad
    for metric in (asv_rates, min_a_dcf, lambda *c: a_dcf(*c, 0.0)):
        with pytest.raises(DataError, match=f"{('target', 'nontarget', 'spoof')[position]} scores"):
            metric(*classes)
    if position < 2:
        with pytest.raises(DataError):
            min_t_dcf(*classes[:2], ASVSPOOF5_ASV)


@pytest.mark.parametrize(
    "wrong",
    [
        {"p_target": 0.5},
        {"p_target": 1.0405, "p_nontarget": -0.0905},
        {"p_spoof": math.nan},
        {"c_miss": 0},
        {"c_fa": -1},
        {"c_fa_spoof": math.inf},
    ],
)
def test_meaningless_costs_are_refused(wrong):
    with pytest.raises(ConfigError):
        TandemCosts(**wrong)


@pytest.mark.parametrize("wrong", [(-0.1, 0, 0), (0, 1.1, 0), (0, 0, math.nan), (2.4, 2.4, 76)])
def test_meaningless_rates_are_refused(wrong):
    with pytest.raises(ConfigError, match="fractions"):
        AsvRates(*wrong)
