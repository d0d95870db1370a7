import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepcheck.audio.quality import Quality
from deepcheck.engine.score import WindowScore
from deepcheck.metrics.calibration import NO_VERDICT, Thresholds, fit_thresholds
from deepcheck.scanner.pooling import find_stretches, pool, recording_llr, suspicious_level
from deepcheck.scanner.result import BONAFIDE, INCONCLUSIVE, SPOOF, Stretch

THRESHOLDS = Thresholds(-2.0, 1.0)
HOUR = 1799  # windows
LLRS = st.lists(st.floats(-20, 20), min_size=1, max_size=60)


def timeline(*llrs: float, start_s: float = 0.0) -> list[WindowScore]:
    """Windows of 4 s every 2 s."""
    starts = [start_s + 2.0 * i for i in range(len(llrs))]
    return [WindowScore(s, s + 4, float(llr), Quality.SPEECH, 1.0) for s, llr in zip(starts, llrs, strict=True)]


def spans(windows: list[WindowScore], thresholds: Thresholds = THRESHOLDS) -> list[tuple[float, float]]:
    return [(round(one.start_s, 3), round(one.end_s, 3)) for one in pool(windows, thresholds).stretches]


def hour_with(start_s: float, end_s: float, depth: float, seed: int = 0, spread: float = 0.4) -> list[WindowScore]:
    """An hour of speech around +1; each window is lower by the share of it that lies in the synthetic part."""
    starts = 2.0 * np.arange(HOUR)
    share = np.clip(np.minimum(starts + 4, end_s) - np.maximum(starts, start_s), 0, None) / 4
    return timeline(*(1 + np.random.default_rng(seed).normal(0, spread, HOUR) - depth * share))


@pytest.mark.parametrize(
    ("llr", "verdict"), [(-5.0, SPOOF), (-2.0, SPOOF), (-1.999, INCONCLUSIVE), (0.999, INCONCLUSIVE), (1.0, BONAFIDE)]
)
def test_a_single_window_is_judged_as_it_is(llr, verdict):
    pooled = pool([WindowScore(0.0, 2.7, llr, Quality.SPEECH, 1.0)], THRESHOLDS)
    assert (pooled.llr, pooled.verdict) == (llr, verdict)
    assert pooled.stretches == ((Stretch(0.0, 2.7, llr),) if verdict == SPOOF else ())


@pytest.mark.parametrize(
    ("llrs", "llr"),
    [
        ([-6.0, 4.0], -6.0 + math.log(2 / 1.5)),
        ([4.0, -3.0, 4.0], -3.0 + math.log(2)),
        ([-3.0, 4.0, -2.5], -2.5),  # 2 - 1/2 is more than a third of 3
        ([0.0, 0.0, 0.0, -3.0], -3.0 + math.log(4 / 1.5)),
        ([-3.0, -3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], -3.0 + math.log(8 / 4.5)),
        ([-3.0, -3.0, -3.0, -3.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0], -3.0),
        ([-4.0, *[0.0] * 28], -4.0 + math.log(29 / 1.5)),
        ([-1.0, *[0.0] * 28], 0.0),  # too little below the others to pay for it
        ([-12.0, *[2.0] * 1799], -12.0 + math.log(1200)),
    ],
)
def test_llr_of_a_recording_computed_by_hand(llrs, llr):
    assert recording_llr(np.array(llrs)) == pytest.approx(llr, abs=1e-12)


@given(st.floats(-20, 20), st.integers(1, 400))
def test_equal_windows_reduce_to_the_thresholds(llr, count):
    pooled = pool(timeline(*[llr] * count), THRESHOLDS)
    assert pooled.llr == llr
    assert pooled.verdict == THRESHOLDS.verdict(llr)
    assert pooled.stretches == ((Stretch(0.0, 2.0 * count + 2, pytest.approx(llr)),) if llr <= -2 else ())


@given(LLRS, st.lists(st.floats(-2, 20, exclude_min=True), max_size=60))
def test_windows_above_the_threshold_never_make_a_spoof(llrs, more):
    before, after = recording_llr(np.array(llrs)), recording_llr(np.array([*llrs, *more]))
    assert after > -2 or before <= -2


@given(LLRS, st.data())
def test_a_lower_window_never_raises_the_score(llrs, data):
    lower = list(llrs)
    lower[data.draw(st.integers(0, len(llrs) - 1))] -= data.draw(st.floats(0, 10))
    assert recording_llr(np.array(lower)) <= recording_llr(np.array(llrs))


@given(LLRS, st.randoms())
def test_the_order_in_which_windows_come_changes_nothing(llrs, random):
    windows = timeline(*llrs)
    shuffled = list(windows)
    random.shuffle(shuffled)
    assert pool(shuffled, THRESHOLDS) == pool(windows, THRESHOLDS) == pool(windows, THRESHOLDS)


@given(LLRS)
def test_stretches_are_in_order_apart_and_within_the_recording(llrs):
    pooled = pool(timeline(*llrs), THRESHOLDS)
    borders = [border for one in pooled.stretches for border in (one.start_s, one.end_s)]
    assert borders == sorted(borders)
    assert all(one.end_s - one.start_s >= 1 - 1e-9 for one in pooled.stretches)
    assert not borders or (borders[0] >= 0 and borders[-1] <= 2 * len(llrs) + 2)
    assert pooled.verdict != SPOOF or pooled.stretches
    assert pooled.verdict != BONAFIDE or not pooled.stretches
    for window in timeline(*llrs):  # no suspicious window lies outside of them
        overlaps = [min(window.end_s, one.end_s) - max(window.start_s, one.start_s) for one in pooled.stretches]
        assert window.llr > -2 or max(overlaps) > 0


def test_one_odd_window_does_not_condemn_an_hour():
    pooled = pool(timeline(*[2.0] * 900, -6.0, *[2.0] * 898), THRESHOLDS)
    assert (pooled.llr, pooled.verdict) == (pytest.approx(-6 + math.log(HOUR / 1.5)), INCONCLUSIVE)
    assert [one.llr for one in pooled.stretches] == [-6.0]


def test_but_it_does_if_it_is_beyond_doubt():
    assert pool(timeline(*[2.0] * 900, -9.2, *[2.0] * 898), THRESHOLDS).verdict == SPOOF


def test_nothing_with_a_suspicious_stretch_is_called_bona_fide():
    llrs = [2.0] * HOUR
    assert pool(timeline(*llrs), THRESHOLDS).verdict == BONAFIDE
    llrs[500] = -2.5
    pooled = pool(timeline(*llrs), THRESHOLDS)
    assert pooled.llr == 2.0
    assert (pooled.verdict, len(pooled.stretches)) == (INCONCLUSIVE, 1)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("start_s", "end_s"), [(1801.3, 1812.9), (0.0, 9.5), (3588.0, 3600.0), (777.7, 781.2)])
def test_a_synthetic_part_of_an_hour_is_found_and_placed(start_s, end_s, seed):
    pooled = pool(hour_with(start_s, end_s, depth=10.0, seed=seed), THRESHOLDS)
    [found] = pooled.stretches
    assert found.start_s == pytest.approx(start_s, abs=0.8)
    assert found.end_s == pytest.approx(end_s, abs=0.8)
    assert pooled.verdict == SPOOF or end_s - start_s < 4


def test_what_stands_out_of_its_recording_is_suspicious_above_the_threshold_too():
    windows = hour_with(1801.3, 1812.9, depth=2.8, spread=0.1)
    pooled = pool(windows, THRESHOLDS)
    assert min(window.llr for window in windows) > -2
    [found] = pooled.stretches
    assert (found.start_s, found.end_s) == (pytest.approx(1801.3, abs=0.8), pytest.approx(1812.9, abs=0.8))
    assert pooled.verdict == INCONCLUSIVE  # never more than that


@pytest.mark.parametrize(
    ("llrs", "level"),
    [
        ([0.9] * 13 + [-1.0], -2.0),  # too few to say what is usual
        ([0.9] * 14 + [-2.5], 0.9 - 0.4 * (math.sqrt(2 * math.log(15)) + 1)),
        ([3.0] * 14 + [0.5], 0.0),  # above 0 a window fits genuine speech better, however far it stands out
        ([-1.0] * 14 + [-2.5], -2.0),  # the threshold is higher
        ([-1.0, 0.0, 1.0] * 10, -2.0),  # these lie apart by themselves: spread 1.48
    ],
)
def test_the_level_below_which_a_window_is_suspicious(llrs, level):
    assert suspicious_level(np.array(llrs), THRESHOLDS) == pytest.approx(level)


def test_borders_are_where_the_score_is_half_way_down():
    # The median is +1 and the lowest -5, so half-way is -2; the neighbours are +1 and -1.
    windows = timeline(1, 1, 1, -5, -1, 1, 1)
    [found] = find_stretches(windows, THRESHOLDS)
    assert found == Stretch(pytest.approx(8 - 1), pytest.approx(8 + 2 * 3 / 4), -5.0)


def test_a_stretch_takes_in_what_lies_below_half_way_but_scores_what_is_suspicious():
    [found] = find_stretches(timeline(3, 3, 3, -1.5, -7.0, -9.0, -1.0, 3, 3, 3), THRESHOLDS)
    # Half-way from +3 to -9 is -3: no further than between the windows at -7 and -1.5, and at -9 and -1.
    assert (found.start_s, found.end_s) == (pytest.approx(10 - 2 * 4 / 5.5), pytest.approx(12 + 2 * 6 / 8))
    assert found.llr == -8.0
    [wide] = find_stretches(timeline(3, 3, 3, -1.5, -1.5, -2.5, -1.0, 3, 3, 3), Thresholds(-2.0, 9.0))
    assert wide.start_s == pytest.approx(8 - 2 * 1.75 / 4.5)  # half-way is +0.25, and -1.5 is below
    assert wide.llr == -2.5


@pytest.mark.parametrize(
    ("second_s", "expected"),
    [
        (6.0, [(0.0, 10.0)]),  # 2 s without speech
        (8.0, [(0.0, 12.0)]),  # 4 s
        (8.1, [(0.0, 4.0), (8.1, 12.1)]),
        (60.0, [(0.0, 4.0), (60.0, 64.0)]),
    ],
)
def test_a_pause_of_more_than_four_seconds_divides(second_s, expected):
    assert spans([*timeline(-5.0), *timeline(-5.0, start_s=second_s)]) == expected


def test_a_genuine_window_divides_unless_suspicious_ones_cover_it():
    quiet = [3.0] * 5
    assert len(spans(timeline(*quiet, -5, 0.5, -5, *quiet))) == 1
    assert len(spans(timeline(*quiet, -5, 3, 3, -5, *quiet))) == 2


def test_a_border_never_leaves_its_window():
    windows = [*timeline(3, 3, 3), *timeline(-5.0, start_s=30), *timeline(3, 3, 3, start_s=60)]
    assert spans(windows) == [(30.0, 34.0)]


def test_no_verdict_and_no_suspicion_where_nothing_is_known():
    pooled = pool(timeline(*[1.0] * 30, -50.0), NO_VERDICT)
    assert (pooled.verdict, pooled.stretches) == (INCONCLUSIVE, ())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_leaves_nothing_to_say(value):
    windows = [*timeline(-5.0, 1.0), replace(timeline(0.0)[0], start_s=4.0, end_s=8.0, llr=value)]
    pooled = pool(windows, THRESHOLDS)
    assert math.isnan(pooled.llr)
    assert (pooled.verdict, pooled.stretches) == (INCONCLUSIVE, ())


@pytest.mark.parametrize("spread", [1.2, 2.0, 3.0], ids=["weak", "better", "strong"])
def test_at_most_one_genuine_recording_in_a_hundred_is_called_spoof_however_long(spread):
    """Normal scores of a calibrated detector, mean spread^2 / 2; what a recording has in common makes half of their
    variance, and windows that overlap share half of the rest. Thresholds are fitted as in training, on one window each.
    """
    draw = np.random.default_rng(0)

    def recordings(count: int, windows: int) -> np.ndarray:
        common, pieces = draw.normal(0, 1, (count, 1)), draw.normal(0, 1, (count, windows + 1))
        own = (pieces[:, 1:] + pieces[:, :-1]) / math.sqrt(2)
        return spread**2 / 2 + spread * math.sqrt(0.5) * (common + own)

    fits = [fit_thresholds(recordings(636, 1)[:, 0], -recordings(1591, 1)[:, 0]).spoof for _ in range(50)]
    for windows in (1, 2, 3, 4, 9, 29, 299, HOUR):
        llrs = np.array([recording_llr(row) for row in recordings(20_000 if windows < 100 else 1_500, windows)])
        assert np.mean([np.mean(llrs <= spoof) for spoof in fits]) <= 0.01
