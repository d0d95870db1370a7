import math

import numpy as np
import pytest
from hypothesis import assume, given
from metric_examples import (
    CONSTANT,
    INVERTED,
    PERFECT,
    SINGLE,
    TIED,
    examples,
    heavy_tailed,
    literal_act_dcf,
    literal_auc,
    literal_cllr,
    literal_eer,
    literal_min_cllr,
    literal_min_dcf,
    operating_points,
    rounded,
)

from deepcheck.errors import ConfigError, DataError
from deepcheck.metrics.detection import (
    Costs,
    act_dcf,
    auc,
    cllr,
    det_curve,
    eer,
    error_rates,
    hter,
    min_cllr,
    min_dcf,
)

ALL = [
    det_curve,
    eer,
    auc,
    min_dcf,
    act_dcf,
    cllr,
    min_cllr,
    lambda b, s: error_rates(b, s, 0.0),
    lambda b, s: hter(b, s, 0.0),
]


def gaussian(bonafide=300, spoof=500, distance=2.0, seed=0):
    draw = np.random.default_rng(seed)
    return draw.normal(distance / 2, 1, bonafide), draw.normal(-distance / 2, 1, spoof)


LITERAL = [
    (eer, literal_eer),
    (auc, literal_auc),
    (min_dcf, literal_min_dcf),
    (act_dcf, literal_act_dcf),
    (cllr, literal_cllr),
]


@pytest.mark.parametrize(("metric", "literal"), LITERAL)
@pytest.mark.parametrize("scores", [gaussian, rounded, heavy_tailed])
@pytest.mark.parametrize("sizes", [(1, 1), (1, 90), (60, 3), (101, 83)])
def test_each_metric_is_its_published_definition(metric, literal, scores, sizes):
    for seed in range(5):
        trials = scores(*sizes, seed=seed)
        assert metric(*trials) == pytest.approx(literal(*trials), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("scores", [gaussian, rounded, heavy_tailed])
@pytest.mark.parametrize("sizes", [(1, 1), (1, 20), (14, 2), (17, 12)])
def test_min_cllr_is_what_the_best_monotone_map_costs(scores, sizes):
    for seed in range(5):
        trials = scores(*sizes, seed=seed)
        assert min_cllr(*trials) == pytest.approx(literal_min_cllr(*trials), rel=1e-12, abs=1e-12)


@examples(150)
@given(TIED, TIED)
def test_ties_within_and_across_classes(bonafide, spoof):
    for metric, literal in [*LITERAL, (min_cllr, literal_min_cllr)]:
        assert metric(bonafide, spoof) == pytest.approx(literal(bonafide, spoof), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("trials", "values"),
    [
        # eer, auc, min_dcf, act_dcf, cllr, min_cllr
        (PERFECT, (0, 1, 0, 0, 0.276291, 0)),
        (INVERTED, (1, 0, 1, 2.9, 2.801007, 1)),  # 1.9 + 1; the best map of such scores is a constant
        (CONSTANT, (0.5, 0.5, 1, 1, 1, 1)),  # at 0 all are accepted
        (SINGLE, (0, 1, 0, 1, math.log2(1 + math.exp(-0.5)), 0)),  # -0.5 lies above -ln 1.9
    ],
)
def test_degenerate_trials(trials, values):
    found = [metric(*trials) for metric in (lambda *t: eer(*t)[0], auc, min_dcf, act_dcf, cllr, min_cllr)]
    assert found == pytest.approx(values, abs=1e-6)


@examples(200)
@given(TIED, TIED)
def test_identities(bonafide, spoof):
    assert 0 <= min_dcf(bonafide, spoof) <= act_dcf(bonafide, spoof) <= 2.9
    assert 0 <= min_cllr(bonafide, spoof) <= min(1, cllr(bonafide, spoof)) + 1e-12
    negated = [-score for score in spoof], [-score for score in bonafide]
    assert auc(*negated) == pytest.approx(auc(bonafide, spoof), abs=1e-12)
    assert auc(spoof, bonafide) == pytest.approx(1 - auc(bonafide, spoof), abs=1e-12)
    assert min_cllr(*negated) == pytest.approx(min_cllr(bonafide, spoof), abs=1e-12)
    assert cllr(*negated) == pytest.approx(cllr(bonafide, spoof), abs=1e-12)
    assert hter(bonafide, spoof, eer(bonafide, spoof)[1]) == eer(bonafide, spoof)[0]


@examples(200)
@given(TIED, TIED)
def test_the_eer_is_the_same_seen_from_the_other_class(bonafide, spoof):
    distances = sorted(abs(frr - far) for _, frr, far in operating_points(bonafide, spoof))
    assume(distances[1] > distances[0])  # of two places that are as near, the definition takes the lower threshold
    negated = [-score for score in spoof], [-score for score in bonafide]
    assert eer(*negated)[0] == pytest.approx(eer(bonafide, spoof)[0], abs=1e-12)


def test_hter_by_hand():
    assert hter([0, 1, 2, 3], [0, 1], 1.0) == 0.25
    assert hter([0, 1, 2, 3], [0, 1], 0.5) == pytest.approx((0.25 + 0.5) / 2)
    assert hter([0, 1], [-1, 5], -9.0) == 0.5  # accepts all


def test_min_cllr_by_hand():
    # The three in the middle make one block: half of the bona fide and two thirds of the spoofs.
    half, more = 1 / 2, 2 / 3
    bits = half * math.log2((half + more) / half) + more * math.log2((half + more) / more)
    assert min_cllr([1, 4], [0, 2, 3]) == pytest.approx(bits / 2)
    assert min_cllr([1, 1], [1, 1, 1]) == 1


def test_min_cllr_survives_monotone_maps_and_cllr_does_not():
    bonafide, spoof = rounded(60, 70)
    for monotone in (np.exp, np.arctan, lambda x: 5 * x - 100):
        assert min_cllr(monotone(bonafide), monotone(spoof)) == min_cllr(bonafide, spoof)
        assert cllr(monotone(bonafide), monotone(spoof)) > cllr(bonafide, spoof) + 0.01


def test_min_cllr_is_the_least_cost_over_all_priors():
    # Integrated over the prior log-odds, the least expected cost of errors (Brümmer and du Preez 2006, section 4).
    bonafide, spoof = rounded(60, 70)
    frr, far, _ = det_curve(bonafide, spoof)
    odds = np.linspace(-40, 40, 80_001)
    prior = 1 / (1 + np.exp(-odds))
    least = np.min(prior[:, None] * frr + (1 - prior[:, None]) * far, axis=1)
    assert least.sum() * (odds[1] - odds[0]) / (2 * math.log(2)) == pytest.approx(min_cllr(bonafide, spoof), abs=1e-6)


def test_right_likelihood_ratios_leave_little_to_the_best_map():
    bonafide, spoof = (2 * scores for scores in gaussian(50_000, 50_000))
    assert min_cllr(bonafide, spoof) <= cllr(bonafide, spoof) <= min_cllr(bonafide, spoof) + 0.002
    assert cllr(bonafide + 3, spoof + 3) > min_cllr(bonafide, spoof) + 0.1


def test_error_rates_call_a_score_at_the_threshold_spoof():
    assert error_rates([0, 1, 2, 3], [0, 1], 1.0) == (0.5, 0.0)
    assert error_rates([0, 1, 2, 3], [0, 1], 0.999) == (0.25, 0.5)


def test_det_curve_by_hand():
    frr, far, thresholds = det_curve([1, 3], [0, 2])
    assert thresholds.tolist() == [-0.001, 0, 1, 2, 3]
    assert frr.tolist() == [0, 0, 0.5, 0.5, 1]
    assert far.tolist() == [1, 0.5, 0.5, 0, 0]


def test_det_curve_is_that_of_the_asvspoof_package_where_no_scores_tie():
    bonafide, spoof = gaussian(37, 61)
    frr, far, thresholds = [0.0], [1.0], [min(*bonafide, *spoof) - 0.001]
    rejected, accepted = 0, spoof.size
    for score, genuine in sorted([(s, True) for s in bonafide] + [(s, False) for s in spoof]):
        rejected, accepted = rejected + genuine, accepted - (not genuine)
        frr.append(rejected / bonafide.size)
        far.append(accepted / spoof.size)
        thresholds.append(score)
    ours = det_curve(bonafide, spoof)
    assert [curve.tolist() for curve in ours] == [frr, far, thresholds]
    nearest = int(np.argmin(np.abs(np.subtract(frr, far))))
    assert eer(bonafide, spoof) == (np.mean([frr[nearest], far[nearest]]), thresholds[nearest])


def test_every_point_of_the_curve_is_what_its_threshold_gives():
    bonafide, spoof = (np.round(scores, 1) for scores in gaussian(80, 50))
    frr, far, thresholds = det_curve(bonafide, spoof)
    assert thresholds.size == np.unique([*bonafide, *spoof]).size + 1
    assert [error_rates(bonafide, spoof, t) for t in thresholds] == list(zip(frr, far, strict=True))


@pytest.mark.parametrize(
    ("bonafide", "spoof", "rate", "threshold"),
    [
        ([1, 3, 4, 5], [-1, 0, 0.5, 2], 1 / 4, 1),
        ([1, 2, 3], [0, 1.5], (1 / 3 + 1 / 2) / 2, 1),  # the rates never meet
        ([0, 1, 1], [0, 0, 1], 1 / 3, 0),  # ties in and across the classes
        ([1, 2], [-1, 0], 0, 0),  # perfect
        ([-1, 0], [1, 2], 1, 0),  # inverted
        ([1], [0], 0, 0),
        ([0], [1], 1, 0),
    ],
)
def test_eer_by_hand(bonafide, spoof, rate, threshold):
    assert eer(bonafide, spoof) == pytest.approx((rate, threshold))


def test_a_constant_score_is_chance():
    # Stepping through the ties one by one would give an EER of 1 or of 0, by the order of the classes.
    constant = np.full(7, 0.3)
    assert eer(constant, constant)[0] == 0.5
    assert auc(constant, constant) == 0.5
    assert min_dcf(constant, constant) == 1.0


def test_ties_do_not_depend_on_the_order_of_the_trials():
    bonafide, spoof = (np.round(scores) for scores in gaussian())
    draw = np.random.default_rng(1)
    for metric in (eer, auc, min_dcf):
        assert metric(bonafide, spoof) == metric(draw.permutation(bonafide), draw.permutation(spoof))


def test_eer_auc_and_min_dcf_survive_monotone_maps():
    bonafide, spoof = gaussian()
    for monotone in (np.exp, np.arctan, lambda x: 5 * x - 100):
        assert eer(monotone(bonafide), monotone(spoof))[0] == eer(bonafide, spoof)[0]
        assert auc(monotone(bonafide), monotone(spoof)) == auc(bonafide, spoof)
        assert min_dcf(monotone(bonafide), monotone(spoof)) == min_dcf(bonafide, spoof)


def test_eer_and_auc_of_gaussians_approach_theory():
    bonafide, spoof = gaussian(100_000, 100_000)
    assert eer(bonafide, spoof)[0] == pytest.approx(0.15866, abs=0.003)  # Phi(-1)
    assert auc(bonafide, spoof) == pytest.approx(0.92135, abs=0.003)  # Phi(sqrt(2))


def test_auc_counts_ties_half():
    assert auc([1, 2], [1, 0]) == 3.5 / 4
    assert auc([1, 2], [-1, 0]) == 1
    assert auc([-1], [0, 3, 4]) == 0


def test_min_dcf_by_hand():
    assert min_dcf([1, 3], [0, 2]) == pytest.approx(0.5)  # 1.9 * 0 + 0.5, at the threshold 0
    assert min_dcf([1, 3], [0, 2], Costs(p_spoof=0.5, c_miss=1, c_fa=2)) == pytest.approx(0.5)  # (0.5*0.5+0)/0.5
    assert min_dcf([1, 2], [-1, 0]) == 0
    assert min_dcf([-1, 0], [1, 2]) == 1  # inverted: best to listen to nothing
    assert Costs().beta == pytest.approx(1.9)
    assert Costs().threshold == pytest.approx(-0.641854)


def test_act_dcf_by_hand():
    threshold = -math.log(1.9)
    assert act_dcf([threshold + 1e-9, 5], [threshold - 1e-9, -5]) == 0
    assert act_dcf([-1, 1], [-2, 0, 0, -2]) == pytest.approx(1.9 * 0.5 + 0.5)
    assert act_dcf([-1, -2], [0, 1]) == pytest.approx(2.9)  # inverted: worse than not listening
    assert act_dcf([0.5, 2], [0.1, -1], Costs(0.5, 1, 1)) == pytest.approx(0.5)


def test_act_dcf_of_true_likelihood_ratios_is_near_the_minimum():
    bonafide, spoof = (2 * scores for scores in gaussian(50_000, 50_000))  # means +-1: the LLR of x is 2x
    assert min_dcf(bonafide, spoof) <= act_dcf(bonafide, spoof) <= min_dcf(bonafide, spoof) + 0.005
    assert act_dcf(bonafide + 3, spoof + 3) > min_dcf(bonafide, spoof) + 0.1


def test_cllr_by_hand():
    assert cllr([0, 0], [0]) == pytest.approx(1)  # says nothing: one bit
    assert cllr([1e4], [-1e4]) == 0
    assert cllr([-1e4], [-1e4]) == pytest.approx(1e4 / (2 * math.log(2)))
    assert cllr([math.log(3)], [-math.log(7)]) == pytest.approx((math.log2(4 / 3) + math.log2(8 / 7)) / 2)


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("bad", [[], [1.0, math.nan], [math.inf], [[1.0, 2.0]]])
def test_unusable_scores_are_refused(metric, bad):
    with pytest.raises(DataError, match="bona fide scores"):
        metric(bad, [0.0])
    with pytest.raises(DataError, match="spoof scores"):
        metric([0.0], bad)


@pytest.mark.parametrize("wrong", [{"p_spoof": 0}, {"p_spoof": 1}, {"c_miss": 0}, {"c_fa": math.nan}])
def test_meaningless_costs_are_refused(wrong):
    with pytest.raises(ConfigError):
        Costs(**wrong)
