import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcheck.errors import DataError
from deepcheck.metrics.calibration import Calibration, Thresholds, fit_calibration, fit_thresholds
from deepcheck.metrics.detection import cllr
from deepcheck.metrics.fusion import AT_LEAST, Common, Development, Fusion, common, fit_fusion


def of(labels, *columns):
    return Common(np.asarray(labels, bool), np.column_stack(columns).astype(np.float64))


def cost(trials, llrs):
    return cllr(llrs[trials.labels], llrs[~trials.labels])


def calibrated(labels, scores):
    return fit_calibration(scores[labels], scores[~labels]).llr(scores)


def gaussians(qualities, seed=0, count=400):
    """Calibrated models with independent errors; each tells the labels apart by so many standard deviations."""
    draw = np.random.default_rng(seed)
    labels = np.arange(2 * count) % 2 == 0
    columns = [np.where(labels, q / 2, -q / 2) + draw.standard_normal(2 * count) for q in qualities]
    return of(labels, *(calibrated(labels, column) for column in columns))


@pytest.fixture(scope="module")
def independent():
    """Two models that are right in 80 % and in 90 % of all cases, whatever the other says; 100 of each label.

    A says +-ln 4, B says +-ln 9, and what the two say together is worth the sum.
    """
    a, b = np.log(4), np.log(9)
    rows = [(a, b)] * 72 + [(a, -b)] * 8 + [(-a, b)] * 18 + [(-a, -b)] * 2
    llrs = np.array([*rows, *(-np.array(rows))])
    return Common(np.repeat([True, False], 100), llrs)


def test_independent_models_add_up(independent):
    fusion = fit_fusion(independent)
    # The ridge takes some thousandths.
    assert fusion.weights == pytest.approx((1, 1), abs=5e-3)
    assert fusion.offset == pytest.approx(0, abs=1e-9)
    assert fusion.llr(np.array([np.log(4), np.log(9)])) == pytest.approx(np.log(36), abs=0.02)
    assert fusion.llr(np.array([[np.log(4), -np.log(9)], [0, 0]])) == pytest.approx([np.log(4 / 9), 0], abs=0.02)


def test_a_model_and_its_copy_share_a_weight(independent):
    a = independent.llrs[:, 0]
    assert fit_fusion(of(independent.labels, a, a)).weights == pytest.approx((0.5, 0.5), abs=5e-3)


def test_what_is_not_calibrated_is_put_right(independent):
    a, b = independent.llrs.T
    fusion = fit_fusion(of(independent.labels, 0.5 * a, 2 * b + 1))
    assert fusion.weights == pytest.approx((2, 0.5), abs=0.02)
    assert fusion.offset == pytest.approx(-0.5, abs=0.02)


def test_a_model_that_knows_nothing_weighs_nothing():
    good = gaussians([3.0])
    noise = np.random.default_rng(5).standard_normal(good.labels.size)
    weights = fit_fusion(of(good.labels, good.llrs[:, 0], noise)).weights
    assert weights[0] == pytest.approx(1, abs=0.05)
    assert 0 <= weights[1] < 0.15
    constant = fit_fusion(of(good.labels, good.llrs[:, 0], np.full(good.labels.size, 0.3)))
    assert constant.weights[1] == pytest.approx(0, abs=1e-3)


def test_a_model_that_would_help_upside_down_is_left_out():
    both = gaussians([3.0, 1.5])
    fusion = fit_fusion(of(both.labels, both.llrs[:, 0], -both.llrs[:, 1]))
    assert fusion.weights[1] == 0
    alone = fit_fusion(of(both.labels, both.llrs[:, 0]))
    assert (fusion.weights[0], fusion.offset) == pytest.approx((alone.weights[0], alone.offset))
    with pytest.raises(DataError, match="None of the models tells"):
        fit_fusion(of(both.labels, *(-both.llrs.T)))


@pytest.mark.parametrize("qualities", [(2.0, 2.0), (3.0, 0.5), (1.0, 2.0, 3.0), (9.0, 12.0)])
def test_it_is_at_least_as_good_as_the_best_of_them(qualities):
    trials = gaussians(qualities)
    fused = cost(trials, fit_fusion(trials).llr(trials.llrs))
    assert fused <= min(cost(trials, column) for column in trials.llrs.T) + 1e-3
    if qualities == (2.0, 2.0):
        assert fused < 0.8 * min(cost(trials, column) for column in trials.llrs.T)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000),
    st.lists(st.floats(0.5, 6), min_size=2, max_size=4),
    st.integers(100, 160),
)
def test_order_means_nothing_and_no_weight_is_negative(seed, qualities, count):
    trials = gaussians(qualities, seed, count)
    fusion = fit_fusion(trials)
    order = np.random.default_rng(seed).permutation(len(qualities))
    turned = fit_fusion(Common(trials.labels, trials.llrs[:, order]))
    assert turned.weights == pytest.approx(np.array(fusion.weights)[order], abs=1e-6)
    assert (turned.offset, turned.thresholds.spoof) == pytest.approx((fusion.offset, fusion.thresholds.spoof), abs=1e-6)
    assert min(fusion.weights) >= 0
    assert cost(trials, fusion.llr(trials.llrs)) <= min(cost(trials, column) for column in trials.llrs.T) + 2e-3


def test_classes_weigh_the_same_however_many_trials_they_have(independent):
    more = np.r_[np.arange(200), np.arange(100, 200), np.arange(100, 200)]
    fusion = fit_fusion(Common(independent.labels[more], independent.llrs[more]))
    assert fusion.weights == pytest.approx((1, 1), abs=5e-3)
    assert fusion.offset == pytest.approx(0, abs=1e-6)


def test_thresholds_are_those_of_scores_from_the_other_folds():
    trials = gaussians([2.0, 2.0], count=500)
    fusion = fit_fusion(trials, false_alarm=0.02, miss=0.1, confidence=0.9)
    assert (fusion.false_alarm, fusion.miss, fusion.confidence) == (0.02, 0.1, 0.9)
    assert (fusion.bonafide, fusion.spoof) == (500, 500)
    fused = fusion.llr(trials.llrs)
    flattered = fit_thresholds(fused[trials.labels], fused[~trials.labels], false_alarm=0.02, miss=0.1, confidence=0.9)
    # Three numbers fitted on a thousand recordings: near to those on the fit itself, and not the same.
    assert fusion.thresholds.spoof == pytest.approx(flattered.spoof, abs=0.3)
    assert fusion.thresholds.bonafide == pytest.approx(flattered.bonafide, abs=0.3)
    assert fusion.thresholds != flattered
    assert (fused[trials.labels] <= fusion.thresholds.spoof).mean() < 0.02


def test_thresholds_hold_on_recordings_that_were_not_seen():
    rates = []
    for seed in range(20):
        fusion = fit_fusion(gaussians([2.0, 1.0], seed, count=400))
        fresh = gaussians([2.0, 1.0], 1000 + seed, count=2000)
        fused = fusion.llr(fresh.llrs)
        rates.append(
            (
                (fused[fresh.labels] <= fusion.thresholds.spoof).mean(),
                (fused[~fresh.labels] >= fusion.thresholds.bonafide).mean(),
            )
        )
    worst = np.sort(rates, axis=0)[-2]  # 95 % confidence: one in twenty may break the promise
    assert worst[0] <= 0.01
    assert worst[1] <= 0.05


def test_what_cannot_be_shown_gets_no_verdict():
    trials = gaussians([2.0, 2.0], count=150)  # 299 are needed for 1 % at 95 %
    fusion = fit_fusion(trials)
    assert fusion.false_alarm is None
    assert fusion.miss == 0.05
    assert fusion.thresholds.spoof < fusion.llr(trials.llrs).min() + 0.5
    assert fit_fusion(gaussians([2.0, 2.0], count=100), miss=0.01).thresholds.bonafide > 3


@pytest.mark.parametrize(("bonafide", "spoof"), [(99, 500), (500, 99), (0, 0)])
def test_too_few_recordings(bonafide, spoof):
    trials = of([True] * bonafide + [False] * spoof, np.zeros(bonafide + spoof), np.zeros(bonafide + spoof))
    assert not trials.enough
    with pytest.raises(DataError, match=f"have {bonafide} genuine and {spoof} synthetic .* in common") as caught:
        fit_fusion(trials)
    assert str(AT_LEAST) in caught.value.hint


def test_common_recordings_are_found_by_id():
    a = Development(np.array([5, -3, 9, 7]), np.array([1, 0, 1, 0]), np.array([0.5, -0.3, 0.9, 0.7]))
    b = Development(np.array([9, 1, 5, -3]), np.array([1, 1, 1, 0]), np.array([9.0, 1.0, 5.0, -3.0]))
    found = common([a, b])
    assert found.llrs.tolist() == [[-0.3, -3.0], [0.5, 5.0], [0.9, 9.0]]
    assert found.labels.tolist() == [False, True, True]
    assert (found.bonafide, found.spoof) == (2, 1)
    assert common([b, a]).llrs.tolist() == [row[::-1] for row in found.llrs.tolist()]
    assert common([a]).llrs.shape == (4, 1)
    nobody = Development(np.array([100]), np.array([1]), np.array([1.0]))
    assert common([a, b, nobody]).llrs.shape == (0, 3)


def test_recordings_that_cannot_be_told_apart_are_left_out():
    more = np.arange(1000, 1100)
    one = Development(np.r_[1, 2, 2, 3, 4, more], np.r_[1, 1, 1, 0, 1, 0 * more], np.r_[1.0, 2, 3, 4, np.nan, more])
    two = Development(np.r_[1, 2, 3, 4, more], np.r_[1, 1, 1, 1, 0 * more], np.r_[1.0, 2, 3, 4, -more])
    # 2 is there twice, 3 has two labels, 4 has no score.
    found = common([one, two])
    assert found.llrs.tolist() == [[1.0, 1.0], *([i, -i] for i in more)]
    assert (found.bonafide, found.spoof) == (1, 100)


def test_recordings_that_are_only_called_alike_are_not_the_same():
    ids = np.arange(1000)
    draw = np.random.default_rng(0)
    one, two = (Development(ids, draw.integers(0, 2, 1000), draw.standard_normal(1000)) for _ in range(2))
    assert common([one, two]).labels.size == 0


def test_the_fused_score_is_a_weighted_sum():
    fusion = Fusion((0.5, 0.25), -1.0, Thresholds(-1, 1), 100, 100, 0.95, None, None)
    assert fusion.llr(np.array([2.0, 4.0])) == 1.0
    assert fusion.llr(np.array([[2.0, 4.0], [0.0, 0.0]])).tolist() == [1.0, -1.0]
    assert Calibration(1.0, 0.0).llr(fusion.llr(np.array([0.0, 8.0]))) == 1.0
