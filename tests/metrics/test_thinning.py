import math

import numpy as np
import pytest
from metric_examples import gaussian, heavy_tailed, rounded

from deepcheck.metrics import of_tally, thinning
from deepcheck.metrics.tally import Tally, tally
from deepcheck.metrics.thinning import STEP, thinned

BETA = 1.9
THRESHOLDS = (-math.log(BETA), 0.123456, 1e9, -1e9)
LARGE = (4000, 12_000)


@pytest.fixture(autouse=True)
def _thin_all(monkeypatch):
    monkeypatch.setattr(thinning, "FEW", 100)


def step_of(share, size):
    """How many standard errors lie below a share, on the scale on which each of them is as long."""
    return np.arcsin(np.sqrt(share)) * 2 * math.sqrt(size)


def test_few_places_are_left_alone():
    trials = tally(*gaussian(40, 60))
    assert thinned(trials) is trials


@pytest.mark.parametrize("scores", [gaussian, rounded, heavy_tailed])
def test_the_points_that_remain_are_points_of_the_curve(scores):
    trials = scores(*LARGE)
    thresholds = (*THRESHOLDS, trials[0][0], trials[1][0])
    whole = tally(*trials)
    few = thinned(whole, thresholds)
    at = np.searchsorted(whole.thresholds, few.thresholds)
    assert np.array_equal(whole.thresholds[at], few.thresholds)
    assert np.array_equal(whole.frr[at], few.frr)
    assert np.array_equal(whole.fars[0][at], few.fars[0])
    for threshold in thresholds:
        assert of_tally.rates(few, threshold) == of_tally.rates(whole, threshold)


@pytest.mark.parametrize("scores", [gaussian, rounded, heavy_tailed])
def test_points_left_out_lie_less_than_a_step_below_one_that_remains(scores):
    whole = tally(*scores(*LARGE))
    few = thinned(whole)
    above = np.searchsorted(few.thresholds, whole.thresholds)
    for rates, kept, size in zip((whole.frr, *whole.fars), (few.frr, *few.fars), LARGE, strict=True):
        assert np.all(np.abs(step_of(rates, size) - step_of(kept[above], size))[1:] < STEP)


def test_the_number_of_places_grows_with_the_root_of_the_number_of_trials():
    for size in (10_000, 40_000):
        few = thinned(tally(*gaussian(size, 2 * size)))
        most = math.pi / STEP * (math.sqrt(size) + math.sqrt(2 * size))
        assert 0.5 * most < few.edges.size < most + 3


def test_rare_errors_keep_every_trial():
    few = thinned(tally(*gaussian(*LARGE)))
    errors = np.arange(math.floor(1 / STEP**2) + 1)
    assert np.isin(errors / LARGE[0], few.frr).all()
    assert np.isin(errors / LARGE[1], few.fars[0]).all()


def test_counts_and_means_are_those_of_the_trials_at_a_place():
    bonafide, spoof = heavy_tailed(*LARGE)
    few = thinned(tally(bonafide, spoof))
    for scores, counts, means in zip((bonafide, spoof), few.counts, few.means, strict=True):
        place = np.searchsorted(few.edges, scores)
        assert np.array_equal(np.bincount(place, minlength=few.edges.size), counts)
        sums = np.bincount(place, scores, minlength=few.edges.size)
        assert counts * means == pytest.approx(sums, abs=1e-9)


def test_ties_of_any_size():
    bonafide = np.concatenate([np.zeros(3000), np.linspace(0, 1, 1000)])
    spoof = np.concatenate([np.full(9000, 0.5), np.linspace(-1, 0.5, 3000)])
    whole = tally(bonafide, spoof)
    few = thinned(whole)
    assert few.edges.size < whole.edges.size
    for name in ("auc", "min_cllr", "cllr"):
        assert getattr(of_tally, name)(few) == pytest.approx(getattr(of_tally, name)(whole), abs=1e-4)


METRICS = {
    "eer": lambda trials: of_tally.eer(trials)[0],
    "auc": of_tally.auc,
    "min_dcf": lambda trials: of_tally.min_dcf(trials, BETA),
    "act_dcf": lambda trials: of_tally.act_dcf(trials, BETA),
    "cllr": of_tally.cllr,
    "min_cllr": of_tally.min_cllr,
}


@pytest.mark.parametrize("scores", [gaussian, rounded, heavy_tailed])
def test_what_thinning_misses_of_a_resample_is_bounded_and_much_less_than_chance(scores):
    trials = scores(*LARGE)
    whole = tally(*trials)
    few = thinned(whole, THRESHOLDS)
    place = np.searchsorted(few.edges, whole.edges)
    draw = np.random.default_rng(0)
    values = []
    for _ in range(30):
        drawn = [scores[draw.integers(scores.size, size=scores.size)] for scores in trials]
        counts = [np.bincount(np.searchsorted(whole.edges, one), minlength=whole.edges.size) for one in drawn]
        merged = [np.bincount(place, one, minlength=few.edges.size).astype(np.int64) for one in counts]
        exact, seen = Tally(whole.edges, tuple(counts), whole.means), Tally(few.edges, tuple(merged), few.means)
        pair = {name: (float(of(exact)), float(of(seen))) for name, of in METRICS.items()}
        missed = {name: abs(first - second) for name, (first, second) in pair.items()}
        shares = [one / one.sum() for one in merged]
        g, s = (share.max() for share in shares)
        rounding = 1e-12
        assert missed["eer"] <= (g + s) / 2 + rounding
        assert missed["min_dcf"] <= np.minimum(BETA * shares[0], shares[1]).max() + rounding
        assert missed["min_cllr"] <= (g + s) / 2 + rounding
        assert missed["auc"] <= (shares[0] * shares[1]).sum() / 2 + rounding
        assert missed["act_dcf"] == 0
        # Points are only left out, so that a minimum over them cannot fall.
        assert pair["min_dcf"][1] >= pair["min_dcf"][0]
        assert pair["min_cllr"][1] >= pair["min_cllr"][0] - rounding
        values.append([pair[name] for name in METRICS])
    exact, seen = np.moveaxis(values, 2, 0)
    chance = exact.std(axis=0)
    assert np.all(np.abs(seen - exact).mean(axis=0) < 0.1 * chance)
