import json
import math
from dataclasses import asdict
from statistics import NormalDist

import numpy as np
import pytest

from deepcheck.errors import ConfigError, DataError
from deepcheck.metrics.calibration import (
    Calibration,
    Thresholds,
    fit_calibration,
    fit_thresholds,
    probability_of_spoof,
)
from deepcheck.metrics.detection import cllr
from deepcheck.metrics.intervals import tolerated_errors


def gaussian(bonafide, spoof, mean=1.0, seed=0):
    """Scores x of unit variance around +mean and -mean, of which the true LLR is 2 * mean * x."""
    draw = np.random.default_rng(seed)
    return draw.normal(mean, 1, bonafide), draw.normal(-mean, 1, spoof)


@pytest.mark.parametrize("mean", [0.25, 1.0, 2.0])
@pytest.mark.parametrize("sizes", [(40_000, 40_000), (8_000, 72_000)])
def test_calibration_recovers_the_true_likelihood_ratio(mean, sizes):
    fitted = fit_calibration(*gaussian(*sizes, mean=mean))
    assert fitted.scale == pytest.approx(2 * mean, rel=0.05)
    assert fitted.offset == pytest.approx(0, abs=0.05)


def test_calibration_follows_an_affine_change_of_the_logits():
    bonafide, spoof = gaussian(500, 300)
    plain, moved = fit_calibration(bonafide, spoof), fit_calibration(3 * bonafide + 7, 3 * spoof + 7)
    assert moved.scale == pytest.approx(plain.scale / 3)
    assert moved.offset == pytest.approx(plain.offset - 7 * plain.scale / 3)


def test_calibration_has_the_lowest_cllr_of_all_affine_maps():
    bonafide, spoof = (np.sinh(scores) for scores in gaussian(2000, 700))
    best = fit_calibration(bonafide, spoof)

    def bits(scale, offset):
        moved = Calibration(scale, offset)
        return cllr(moved.llr(bonafide), moved.llr(spoof))

    assert bits(best.scale, best.offset) < 1
    for scale, offset in [(1.02, 0), (0.98, 0), (1, 0.02), (1, -0.02)]:
        assert bits(best.scale * scale, best.offset + offset) > bits(best.scale, best.offset)


def test_calibration_is_the_same_if_a_class_is_doubled():
    bonafide, spoof = gaussian(200, 150)
    once, twice = fit_calibration(bonafide, spoof), fit_calibration(np.tile(bonafide, 2), spoof)
    assert asdict(once) == pytest.approx(asdict(twice))


@pytest.mark.parametrize("trials", [1, 10, 1000, 50_000])
def test_separable_logits_stay_finite_and_claim_the_more_the_more_there_are(trials):
    fitted = fit_calibration(np.full(trials, 4.0), np.full(trials, 2.0))
    low, high = fitted.llr(np.array([2.0, 4.0]))
    assert low == pytest.approx(-high)
    assert math.log(trials) + 2 < high < math.log(trials) + 5
    barely = fit_calibration(np.linspace(1e-6, 1, trials), np.linspace(-1, -1e-6, trials))
    assert math.isfinite(barely.scale)
    assert barely.scale > 0


@pytest.mark.parametrize(
    ("bonafide", "spoof"),
    [([0.0, 1.0], [2.0, 3.0]), ([1.0, 1.0], [1.0]), ([0.1, 0.2, 0.3], [0.3, 0.2, 0.1]), ([5.0], [5.0])],
)
def test_a_detector_without_skill_is_refused(bonafide, spoof):
    with pytest.raises(DataError, match="no better than chance, or inverted"):
        fit_calibration(bonafide, spoof)


@pytest.mark.parametrize("fit", [fit_calibration, fit_thresholds])
def test_unusable_scores_are_refused(fit):
    with pytest.raises(DataError):
        fit([], [0.0])
    with pytest.raises(DataError):
        fit([1.0], [math.nan])


def test_probability_of_spoof_is_bayes_rule():
    assert probability_of_spoof(0.0) == 0.5
    assert probability_of_spoof(0.0, 0.05) == pytest.approx(0.05)
    assert probability_of_spoof(math.log(4), 0.2) == pytest.approx(1 / 17)  # odds 1:4 against spoof, LR 4 too
    assert probability_of_spoof(np.array([-math.log(3), math.log(3)])) == pytest.approx(np.array([0.75, 0.25]))
    assert isinstance(probability_of_spoof(1.0), float)


def test_probability_of_spoof_is_exact_in_the_tails():
    assert probability_of_spoof(1e4) == 0
    assert probability_of_spoof(-1e4) == 1
    assert probability_of_spoof(500.0) == pytest.approx(math.exp(-500), rel=1e-12)


@pytest.mark.parametrize("prior", [0, 1, -0.1, math.nan])
def test_an_impossible_prior_is_refused(prior):
    with pytest.raises(ConfigError):
        probability_of_spoof(0.0, prior)


def test_verdicts():
    thresholds = Thresholds(spoof=-1.0, bonafide=2.0)
    said = [thresholds.verdict(llr) for llr in (-9, -1, -0.999, 0, 1.999, 2, 9, math.nan)]
    assert said == ["spoof"] * 2 + ["inconclusive"] * 3 + ["bona fide"] * 2 + ["inconclusive"]
    assert [Thresholds(0.0, 0.0).verdict(llr) for llr in (-1e-9, 0, 1e-9)] == ["spoof", "spoof", "bona fide"]


def test_thresholds_by_hand():
    ranks = np.arange(1000.0)
    fitted = fit_thresholds(ranks - 1000, ranks)  # hopelessly inverted, so that nothing crosses
    assert tolerated_errors(1000, 0.01) == 4
    assert np.sum(ranks - 1000 <= fitted.spoof) == 4
    assert fitted.spoof == pytest.approx(4 - 1000)
    assert tolerated_errors(1000, 0.05) == 38
    assert np.sum(ranks >= fitted.bonafide) == 38
    assert fitted.bonafide == pytest.approx(1000 - 39)


def test_too_few_scores_put_the_thresholds_just_outside_them():
    fitted = fit_thresholds(np.array([-3.0, -2.0, 5.0]), np.array([-5.0, 1.0, 4.0]))
    assert fitted == Thresholds(np.nextafter(-3, -4), np.nextafter(4, 5))


def test_ties_at_the_threshold_all_stay_on_the_safe_side():
    genuine = np.repeat([-1.0, 0.0, 1.0], [3, 20, 977])  # 4 errors are tolerated; 23 scores are at most 0
    fitted = fit_thresholds(genuine, np.full(1000, 2.0))
    assert fitted.spoof == np.nextafter(0, -1)
    assert np.mean(genuine <= fitted.spoof) == 0.003


@pytest.mark.parametrize(
    ("bonafide", "spoof", "both"),
    [
        ([5.0] * 300, [-5.0] * 300, 0.0),
        ([5.0] * 300, [2.0] * 300, np.nextafter(2, 3)),
        ([-2.0] * 300, [-5.0] * 300, np.nextafter(-2, -3)),
    ],
)
def test_crossing_thresholds_meet_as_near_to_zero_as_they_can(bonafide, spoof, both):
    fitted = fit_thresholds(bonafide, spoof)
    assert fitted == Thresholds(both, both)
    assert {fitted.verdict(llr) for llr in bonafide} == {"bona fide"}
    assert {fitted.verdict(llr) for llr in spoof} == {"spoof"}


@pytest.mark.parametrize("grid", [None, 0.25])
def test_the_guarantee_holds_in_as_many_draws_as_promised(grid):
    normal, draws = NormalDist(), 600
    broken = np.zeros(2)
    for seed in range(draws):
        scores = gaussian(500, 200, mean=0.0, seed=seed)
        if grid:
            scores = tuple(np.round(x / grid) * grid for x in scores)
        fitted = fit_thresholds(*scores)
        # A score on the grid stands for all within half a step of it.
        half = grid / 2 if grid else 0
        broken += normal.cdf(fitted.spoof - half) > 0.01, normal.cdf(-fitted.bonafide - half) > 0.05
    # The binomial with the tolerated 1 of 500 and 4 of 200 errors; 3 standard errors are below 2.4 %.
    exact = np.array([0.0398, 0.0264])
    assert np.all(broken / draws < exact + 0.024)
    if not grid:
        assert np.all(broken / draws > exact - 0.024)


@pytest.mark.parametrize("wrong", [{"false_alarm": 0}, {"miss": 1}, {"confidence": 95}])
def test_meaningless_rates_are_refused(wrong):
    with pytest.raises(ConfigError):
        fit_thresholds([1.0], [0.0], **wrong)


@pytest.mark.parametrize("stored", [Calibration(1.5, -0.25), Thresholds(np.nextafter(-3, -4).item(), 2.0)])
def test_what_is_fitted_survives_json(stored):
    assert type(stored)(**json.loads(json.dumps(asdict(stored)))) == stored
