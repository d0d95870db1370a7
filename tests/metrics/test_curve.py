import numpy as np
import pytest
from hypothesis import given
from metric_examples import TIED, examples, gaussian, heavy_tailed, is_convex, rounded

from deepcheck.errors import DataError
from deepcheck.metrics.curve import convex_hull, visible_points
from deepcheck.metrics.detection import Costs, auc, det_curve, min_dcf


def points(frr, far):
    return list(zip(frr.tolist(), far.tolist(), strict=True))


def log_odds(rate, size):
    rate = np.clip(rate, 0.5 / size, 1 - 0.5 / size)
    return np.log(rate / (1 - rate))


@pytest.mark.parametrize("scores", [gaussian, rounded, heavy_tailed])
def test_visible_points_are_points_of_the_curve_and_leave_no_visible_gap(scores):
    sizes = (3000, 20_000)
    bonafide, spoof = scores(*sizes)
    frr, far, _ = det_curve(bonafide, spoof)
    seen_frr, seen_far = visible_points(bonafide, spoof)
    seen = points(seen_frr, seen_far)
    assert seen[0] == (0, 1)
    assert seen[-1] == (1, 0)
    assert set(seen) <= set(points(frr, far))
    last = np.searchsorted(seen_frr - seen_far, frr - far, side="right") - 1
    for rate, kept, size in ((frr, seen_frr, sizes[0]), (far, seen_far, sizes[1])):
        assert np.all(np.abs(log_odds(rate, size) - log_odds(kept[last], size)) <= 0.02 + 1e-9)


def test_visible_points_are_few_however_many_the_trials():
    counts = [visible_points(*gaussian(size, size))[0].size for size in (10, 1000, 100_000)]
    assert counts[0] <= 21
    assert counts[2] < 2500
    assert visible_points(*gaussian(100_000, 100_000), step=0.2)[0].size < 300


@examples(150)
@given(TIED, TIED)
def test_the_hull_is_the_lowest_convex_curve_below_the_points(bonafide, spoof):
    frr, far, _ = det_curve(bonafide, spoof)
    hull_frr, hull_far = convex_hull(bonafide, spoof)
    hull = points(hull_frr, hull_far)
    assert hull[0] == (0, 1)
    assert hull[-1] == (1, 0)
    assert set(hull) <= set(points(frr, far))
    assert is_convex(hull_frr, hull_far)
    if len(np.unique(hull_frr)) == len(hull_frr):
        assert np.all(np.interp(frr, hull_frr, hull_far) <= far + 1e-12)
    for costs in (Costs(), Costs(0.5, 1, 1), Costs(0.9, 1, 3)):
        least = np.min(costs.beta * hull_frr + hull_far) / min(costs.beta, 1)
        assert least == pytest.approx(min_dcf(bonafide, spoof, costs), abs=1e-12)


def test_hull_by_hand():
    frr, far = convex_hull([1, 4], [0, 2, 3])
    assert frr.tolist() == pytest.approx([0, 0, 0.5, 1])
    assert far.tolist() == pytest.approx([1, 2 / 3, 0, 0])
    assert points(*convex_hull([0, 0], [0])) == [(0, 1), (1, 0)]
    assert points(*convex_hull([1], [0])) == [(0, 1), (0, 0), (1, 0)]


def test_the_area_above_the_hull_is_at_least_that_above_the_curve():
    for seed in range(5):
        trials = rounded(30, 40, seed=seed)
        frr, far = convex_hull(*trials)
        below = np.sum(np.diff(frr) * (far[1:] + far[:-1]) / 2)
        assert 1 - below >= auc(*trials)


@pytest.mark.parametrize("curve", [visible_points, convex_hull])
def test_unusable_scores_are_refused(curve):
    with pytest.raises(DataError):
        curve([], [0.0])


def test_one_trial_of_each_class_is_seen_as_separated():
    frr, far = visible_points(np.array([1.0]), np.array([0.0]))
    assert (0.0, 0.0) in set(zip(frr.tolist(), far.tolist(), strict=True))
