import math
import time
from statistics import NormalDist

import numpy as np
import pytest

from deepcheck.errors import ConfigError, DataError
from deepcheck.metrics.detection import eer
from deepcheck.metrics.intervals import Interval, bias_corrected, bootstrap, proportion, tolerated_errors


def rate(bonafide, spoof):
    return eer(bonafide, spoof)[0]


def gap(bonafide, spoof):
    return float(bonafide.mean() - spoof.mean())


def gaussian(bonafide, spoof, seed=0):
    draw = np.random.default_rng(seed)
    return draw.normal(1, 1, bonafide), draw.normal(-1, 1, spoof)


def test_bootstrap_of_a_difference_of_means_has_the_normal_width():
    bonafide, spoof = gaussian(400, 100)
    error = math.sqrt(bonafide.var() / 400 + spoof.var() / 100)
    interval = bootstrap(gap, bonafide, spoof, resamples=4000)
    assert interval.low == pytest.approx(gap(bonafide, spoof) - 1.96 * error, abs=0.15 * error)
    assert interval.high == pytest.approx(gap(bonafide, spoof) + 1.96 * error, abs=0.15 * error)


def test_bootstrap_draws_within_each_class():
    sizes = set()
    bootstrap(lambda b, s: float(sizes.add((b.size, s.size, b.min() > 0, s.max() < 0)) or 0), [1, 2, 3], [-1, -2])
    assert sizes == {(3, 2, True, True)}


def test_bootstrap_repeats_itself_for_the_same_seed_only():
    scores = gaussian(50, 60)
    assert bootstrap(gap, *scores, seed=3) == bootstrap(gap, *scores, seed=3)
    assert bootstrap(gap, *scores, seed=3) != bootstrap(gap, *scores, seed=4)


def test_bootstrap_interval_covers_the_true_eer():
    true = 0.158655  # Phi(-1)
    intervals = [bootstrap(rate, *gaussian(150, 150, seed), resamples=150) for seed in range(80)]
    covered = sum(interval.low <= true <= interval.high for interval in intervals)
    assert 0.88 <= covered / 80 <= 1


def test_more_confidence_is_wider():
    scores = gaussian(100, 100)
    narrow, wide = bootstrap(rate, *scores, confidence=0.5), bootstrap(rate, *scores, confidence=0.99)
    assert wide.low < narrow.low < rate(*scores) < narrow.high < wide.high


def test_bootstrap_of_a_perfect_detector_or_of_single_scores_is_a_point():
    assert bootstrap(rate, [1, 2], [-1, 0], resamples=20) == Interval(0, 0)
    assert bootstrap(gap, [3.0], [1.0], resamples=20) == Interval(2, 2)


def test_bootstrap_of_a_usual_test_set_is_quick():
    scores = gaussian(614, 614)
    start = time.perf_counter()
    bootstrap(rate, *scores)
    assert time.perf_counter() - start < 5  # 0.1 s on an idle machine


def test_bias_correction_by_hand():
    values = np.arange(1001.0)
    middle = bias_corrected(values, 500.0, 0.95)
    assert (middle.low, middle.high) == pytest.approx((25, 975), abs=0.1)
    # An estimate one deviation above the median of the resamples: both ends move up by two.
    above = bias_corrected(values, 841.345, 0.95)
    assert above.low == pytest.approx(1000 * NormalDist().cdf(2 - 1.96), abs=2)
    assert above.high == pytest.approx(1000 * NormalDist().cdf(2 + 1.96), abs=2)


def test_bias_correction_of_values_that_are_all_the_same_or_all_beyond_the_estimate():
    assert bias_corrected(np.zeros(100), 0.0, 0.95) == Interval(0, 0)
    assert bias_corrected(np.linspace(1, 2, 100), 0.5, 0.95).high < 1.01
    assert bias_corrected(np.linspace(1, 2, 100), 3.0, 0.95).low > 1.99


def test_an_interval_stretches_to_hold_a_value():
    assert [Interval(1, 2).holding(value) for value in (0, 1.5, 3)] == [Interval(0, 2), Interval(1, 2), Interval(1, 3)]


@pytest.mark.parametrize("wrong", [{"confidence": 0}, {"confidence": 1}, {"confidence": 95}, {"resamples": 0}])
def test_meaningless_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        bootstrap(gap, [1.0], [0.0], **wrong)


def test_bootstrap_refuses_unusable_scores():
    with pytest.raises(DataError):
        bootstrap(gap, [], [0.0])
    with pytest.raises(DataError):
        bootstrap(gap, [1.0], [math.nan])


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (5, 10, 0.2366, 0.7634),
        (0, 10, 0, 0.2775),
        (10, 10, 0.7225, 1),
        (1, 100, 0.0018, 0.0545),
        (0, 1, 0, 0.7935),
    ],
)
def test_wilson_by_hand(successes, trials, low, high):
    interval = proportion(successes, trials)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)
    assert 0 <= interval.low <= successes / trials <= interval.high <= 1


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (-1, 5), (6, 5)])
def test_impossible_rates_are_refused(successes, trials):
    with pytest.raises(DataError):
        proportion(successes, trials)


def cumulative_binomial(errors, trials, rate):
    return sum(math.comb(trials, i) * rate**i * (1 - rate) ** (trials - i) for i in range(errors + 1))


@pytest.mark.parametrize(("trials", "rate"), [(299, 0.01), (59, 0.05), (100, 0.05), (500, 0.01), (200, 0.3), (5, 0.6)])
def test_tolerated_errors_are_the_most_that_the_binomial_allows(trials, rate):
    errors = tolerated_errors(trials, rate)
    assert cumulative_binomial(errors, trials, rate) <= 0.05 < cumulative_binomial(errors + 1, trials, rate)


def test_tolerated_errors_at_the_ends():
    assert tolerated_errors(298, 0.01) is None
    assert tolerated_errors(299, 0.01) == 0
    assert tolerated_errors(0, 0.5) is None
    # The normal approximation with its skewness term: 20000 - 1.645 * 140.7 + (1.645**2 - 1) / 6 * 0.98 - 0.5
    assert tolerated_errors(2_000_000, 0.01) == pytest.approx(19768, abs=1)
