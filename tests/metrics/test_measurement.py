import time

import numpy as np
import pytest
from metric_examples import CONSTANT, PERFECT, SINGLE, gaussian, heavy_tailed, rounded

from deepcheck.errors import ConfigError, DataError
from deepcheck.metrics import thinning
from deepcheck.metrics.intervals import Interval, bias_corrected, bootstrap
from deepcheck.metrics.measurement import measure
from deepcheck.metrics.table import (
    ACT_DCF,
    AUC,
    CLLR,
    EER,
    METRICS,
    MIN_CLLR,
    MIN_DCF,
    carried_over,
    min_a_dcf_of,
    min_t_dcf_of,
)
from deepcheck.metrics.tandem import ASVSPOOF5_ASV

ALL = [*METRICS.values(), *carried_over(0.3), min_t_dcf_of(ASVSPOOF5_ASV)]


def error_of(interval):
    return (interval.high - interval.low) / (2 * 1.96)


@pytest.mark.parametrize("scores", [gaussian, rounded, heavy_tailed])
def test_values_are_those_of_the_metrics_and_lie_in_their_intervals(scores):
    trials = scores(70, 90)
    measured = measure(ALL, *trials, resamples=100)
    assert [one.metric for one in measured] == ALL
    for one in measured:
        assert one.value == one.metric(*trials)
        assert one.interval.low <= one.value <= one.interval.high
        assert str(one) == one.metric.text(one.value, one.interval)


def test_the_seed_decides_and_not_what_else_is_measured():
    trials = gaussian(50, 60)
    assert measure([EER], *trials, seed=3) == measure([EER], *trials, seed=3)
    assert measure([EER], *trials, seed=3) != measure([EER], *trials, seed=4)
    assert measure([AUC, EER], *trials)[1] == measure([EER, CLLR], *trials)[0]


@pytest.mark.parametrize("metric", [*METRICS.values()], ids=lambda metric: metric.title)
def test_intervals_are_those_of_drawing_the_scores_one_by_one(metric):
    trials = gaussian(120, 180)
    draw = np.random.default_rng(1)
    values = [metric(*(draw.choice(scores, scores.size) for scores in trials)) for _ in range(3000)]
    plain = bias_corrected(np.array(values), metric(*trials), 0.95)
    ours = measure([metric], *trials, resamples=3000)[0].interval
    assert ours.low == pytest.approx(plain.low, abs=0.4 * error_of(plain))
    assert ours.high == pytest.approx(plain.high, abs=0.4 * error_of(plain))


def test_an_interval_of_a_mean_has_the_normal_width():
    bonafide, spoof = gaussian(400, 100)
    losses = [np.logaddexp(0, -bonafide) / np.log(4), np.logaddexp(0, spoof) / np.log(4)]
    error = np.sqrt(losses[0].var() / 400 + losses[1].var() / 100)
    assert error_of(measure([CLLR], bonafide, spoof, resamples=4000)[0].interval) == pytest.approx(error, rel=0.06)


def test_intervals_cover_the_truth():
    metrics = [EER, AUC, MIN_DCF, ACT_DCF, CLLR, carried_over(0.3)[0]]
    truth = [metric(*gaussian(400_000, 400_000, seed=99)) for metric in metrics]
    covered = np.zeros(len(metrics))
    for seed in range(200):
        measured = measure(metrics, *gaussian(150, 200, seed=seed), resamples=200, seed=seed)
        covered += [one.interval.low <= true <= one.interval.high for one, true in zip(measured, truth, strict=True)]
    # Three standard errors of 200 draws are below 0.05; a minimum over thresholds keeps a little less than promised.
    low = [0.84 if metric is MIN_DCF else 0.9 for metric in metrics]
    assert np.all(covered / 200 >= low)
    assert np.all(covered / 200 <= 0.995)


def test_without_the_correction_the_intervals_of_minima_would_lie_too_low():
    trials = gaussian(150, 150)
    for metric in (MIN_DCF, MIN_CLLR):
        plain, ours = bootstrap(metric, *trials), measure([metric], *trials)[0].interval
        assert ours.low > plain.low
        assert ours.high > plain.high


@pytest.mark.parametrize("scores", [gaussian, rounded, heavy_tailed])
def test_large_sets_give_what_they_would_give_if_nothing_were_left_out(monkeypatch, scores):
    trials = scores(2000, 3000)
    monkeypatch.setattr(thinning, "FEW", 100)
    thin = measure(ALL, *trials, resamples=1600)
    monkeypatch.setattr(thinning, "FEW", 10**9)
    whole = measure(ALL, *trials, resamples=1600, seed=1)
    for ours, exact in zip(thin, whole, strict=True):
        assert ours.value == exact.value
        error = error_of(exact.interval)  # of which chance alone moves an end by 0.09, in either
        assert ours.interval.low == pytest.approx(exact.interval.low, abs=0.5 * error)
        assert ours.interval.high == pytest.approx(exact.interval.high, abs=0.5 * error)


def test_three_classes():
    draw = np.random.default_rng(0)
    classes = [draw.normal(mean, 1, size) for mean, size in ((3, 300), (0, 200), (1, 100))]
    [measured] = measure([min_a_dcf_of()], *classes)
    assert measured.value == min_a_dcf_of()(*classes)
    assert 0.1 < measured.interval.high - measured.interval.low < 0.3
    with pytest.raises(ConfigError):
        measure([min_a_dcf_of(), EER], *classes)


def test_a_perfect_detector_and_one_that_says_nothing_have_points():
    assert [one.interval for one in measure([EER, AUC, MIN_CLLR], *PERFECT)] == [
        Interval(0, 0),
        Interval(1, 1),
        Interval(0, 0),
    ]
    for one in measure(ALL, *CONSTANT, resamples=20) + measure(ALL, *SINGLE, resamples=20):
        assert one.interval.low == one.interval.high == pytest.approx(one.value)


def test_more_confidence_is_wider():
    trials = gaussian(100, 100)
    narrow, wide = (measure([EER], *trials, confidence=confidence)[0].interval for confidence in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_a_hundred_thousand_trials_take_seconds():
    trials = gaussian(20_000, 80_000)
    start = time.process_time()
    measure(ALL, *trials)
    assert time.process_time() - start < 12  # 2 s on an idle machine


def test_nothing_to_measure():
    assert measure([], *gaussian(3, 3)) == []


@pytest.mark.parametrize("wrong", [{"confidence": 0}, {"confidence": 95}, {"resamples": 0}])
def test_meaningless_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        measure([EER], [1.0], [0.0], **wrong)


def test_unusable_scores_are_refused():
    with pytest.raises(DataError):
        measure([EER], [], [0.0])
    with pytest.raises(DataError):
        measure([EER], [1.0], [np.nan])
