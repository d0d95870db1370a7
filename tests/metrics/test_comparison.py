import numpy as np
import pytest
from metric_examples import gaussian

from deepcheck.errors import ConfigError, DataError
from deepcheck.metrics import thinning
from deepcheck.metrics.comparison import compare
from deepcheck.metrics.intervals import Interval
from deepcheck.metrics.measurement import measure
from deepcheck.metrics.table import AUC, CLLR, EER, METRICS, MIN_DCF, min_a_dcf_of

ALL = list(METRICS.values())


def two_systems(bonafide=150, spoof=200, noise=(1.0, 1.0), seed=0):
    """Two systems that hear the same of a trial, and each a noise of its own besides."""
    draw = np.random.default_rng(seed)
    heard = [draw.normal(mean, 1, size) for mean, size in ((1, bonafide), (-1, spoof))]
    return [[scores + draw.normal(0, own, scores.size) for scores in heard] for own in noise]


def test_values_and_differences():
    first, second = two_systems()
    for comparison in compare(ALL, first, second, resamples=50):
        assert comparison.first == comparison.metric(*first)
        assert comparison.second == comparison.metric(*second)
        assert comparison.difference == comparison.second - comparison.first
        assert comparison.interval.low <= comparison.difference <= comparison.interval.high


def test_a_system_does_not_differ_from_itself():
    system, _ = two_systems()
    for comparison in compare(ALL, system, system, resamples=50):
        assert (comparison.difference, comparison.interval, comparison.p) == (0, Interval(0, 0), 1)


def test_nor_from_itself_on_another_scale():
    system, _ = two_systems()
    doubled = [2 * scores + 1 for scores in system]
    eer, cllr = compare([EER, CLLR], system, doubled, resamples=200)
    assert (eer.difference, eer.interval, eer.p) == (0, Interval(0, 0), 1)
    assert cllr.p < 0.02


def test_a_better_system_is_found_better():
    first, second = two_systems(400, 400, noise=(1.5, 0.3))
    for comparison in compare(ALL[:3], first, second):
        better = comparison.difference < 0 if comparison.metric.lower_is_better else comparison.difference > 0
        assert better
        assert comparison.p == pytest.approx(2 / 1001)
        assert comparison.interval.low > 0 or comparison.interval.high < 0


def test_the_order_of_the_systems_changes_the_sign_only():
    first, second = two_systems()
    for one, other in zip(compare(ALL, first, second), compare(ALL, second, first), strict=True):
        assert one.difference == -other.difference
        assert one.interval.low == pytest.approx(-other.interval.high)
        assert one.interval.high == pytest.approx(-other.interval.low)
        assert one.p == other.p


def test_a_pair_says_more_than_two_sets():
    first, second = two_systems(300, 300, noise=(0.3, 0.3))
    [paired] = compare([AUC], first, second)
    apart = [measure([AUC], *system)[0].interval for system in (first, second)]
    alone = np.hypot(*(interval.high - interval.low for interval in apart))
    assert paired.interval.high - paired.interval.low < 0.6 * alone


def test_the_interval_of_a_mean_difference_has_the_normal_width():
    first, second = two_systems(400, 400)
    losses = [
        np.logaddexp(0, sign * one) - np.logaddexp(0, sign * two)
        for sign, one, two in zip((-1, 1), first, second, strict=True)
    ]
    error = np.sqrt(sum(loss.var() / 400 for loss in losses)) / (2 * np.log(2))
    [found] = compare([CLLR], first, second, resamples=4000)
    assert (found.interval.high - found.interval.low) / (2 * 1.96) == pytest.approx(error, rel=0.06)


def test_p_is_uniform_where_the_systems_are_equally_good():
    metrics = [EER, AUC, MIN_DCF, CLLR]
    p = np.array(
        [
            [comparison.p for comparison in compare(metrics, *two_systems(seed=seed), resamples=199, seed=seed)]
            for seed in range(300)
        ]
    )
    # Standard errors of 300 draws: 0.013 at 0.05, 0.023 at 0.2, 0.029 at 0.5, and 0.017 for the mean. The rates of
    # few trials take few values, which makes their p a little too large rather than too small.
    for level, most in ((0.05, 0.09), (0.2, 0.27), (0.5, 0.59)):
        assert np.all((p <= level).mean(axis=0) < most)
        assert np.all((p <= level).mean(axis=0) > 0.5 * level)
    assert np.all(np.abs(p.mean(axis=0) - 0.5) < 0.07)


def test_large_sets_give_what_they_would_give_if_nothing_were_left_out(monkeypatch):
    first, second = two_systems(3000, 4000)
    monkeypatch.setattr(thinning, "FEW", 100)
    thin = compare(ALL, first, second, resamples=300)
    monkeypatch.setattr(thinning, "FEW", 10**9)
    for ours, exact in zip(thin, compare(ALL, first, second, resamples=300), strict=True):
        assert (ours.first, ours.second) == (exact.first, exact.second)
        error = (exact.interval.high - exact.interval.low) / (2 * 1.96)
        assert ours.interval.low == pytest.approx(exact.interval.low, abs=0.1 * error)
        assert ours.interval.high == pytest.approx(exact.interval.high, abs=0.1 * error)


def test_three_classes():
    draw = np.random.default_rng(0)
    first = [draw.normal(mean, 1, 100) for mean in (3, 0, 1)]
    second = [scores + draw.normal(0, 1, 100) for scores in first]
    [comparison] = compare([min_a_dcf_of()], first, second)
    assert comparison.difference > 0
    assert comparison.p < 0.05


def test_systems_that_scored_other_trials_are_refused():
    with pytest.raises(DataError, match="first system has scored 3 spoof trials, the second one 2"):
        compare([EER], ([1.0], [0.0, 1.0, 2.0]), ([1.0], [0.0, 1.0]))


def test_unusable_scores_and_settings_are_refused():
    system = gaussian(5, 5)
    with pytest.raises(DataError):
        compare([EER], system, (system[0], np.full(5, np.nan)))
    with pytest.raises(ConfigError):
        compare([EER], system, system, resamples=0)
    with pytest.raises(ConfigError):
        compare([EER], system, system, confidence=1)
    with pytest.raises(ConfigError):
        compare([EER], system, (*system, system[0]))
    assert compare([], system, system) == []
