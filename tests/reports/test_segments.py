import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_examples import BAD, BASIS, GENUINE, MUTE, NAN, SPLICED, window

from deepcheck.audio.quality import Quality
from deepcheck.metrics.calibration import Thresholds
from deepcheck.reports.segments import Segment, marked, segments
from deepcheck.scanner.result import FileResult, Stretch


def merge(windows):
    """Windows in order of time, those that touch or overlap as one stretch."""
    runs = []
    for one in windows:
        if runs and one.start_s <= runs[-1][-1].end_s:
            runs[-1].append(one)
        else:
            runs.append([one])
    return tuple(Stretch(run[0].start_s, run[-1].end_s, float(np.mean([one.llr for one in run]))) for run in runs)


def scored(*windows, stretches=(), duration_s=None, **changes):
    end = max((part.end_s for part in windows), default=1.0) if duration_s is None else duration_s
    return FileResult(
        Path("x.wav"), "scored", "inconclusive", 0.0, 0.5, end, end, windows=windows, stretches=stretches, **changes
    )


def test_all_kinds_of_parts():
    assert segments(SPLICED, BASIS) == (
        Segment(0.0, 2.0, "bona fide", 2.0),
        Segment(2.0, 6.0, "spoof", -4.5),
        # -0.5, then the mean of that and 0.5, then 0.5: over four seconds 0.25 in the mean
        Segment(6.0, 10.0, "inconclusive", 0.25),
        Segment(10.0, 12.0, "silent"),
    )


def test_recordings_without_a_score():
    assert segments(MUTE, BASIS) == (Segment(0.0, 3.0, "no speech"),)
    assert segments(BAD, BASIS) == ()
    assert segments(replace(BAD, duration_s=0.0), BASIS) == ()
    # What windows would say means nothing where there was too little speech.
    assert segments(replace(GENUINE, verdict=None, status="too short"), BASIS) == (Segment(0.0, 6.0, "too short"),)


def test_thresholds_are_those_of_the_recording():
    result = scored(window(0.0, 1.5))
    assert segments(result, BASIS) == (Segment(0.0, 4.0, "bona fide", 1.5),)
    assert segments(replace(result, thresholds=Thresholds(-3.0, 2.0)), BASIS) == (
        Segment(0.0, 4.0, "inconclusive", 1.5),
    )


def test_what_can_be_judged_goes_before_what_cannot():
    result = scored(window(0.0, NAN, Quality.NO_SPEECH), window(2.0, 3.0), window(4.0, NAN, Quality.CLIPPED))
    assert segments(result, BASIS) == (
        Segment(0.0, 2.0, "no speech"),
        Segment(2.0, 6.0, "bona fide", 3.0),
        Segment(6.0, 8.0, "clipped"),
    )


def test_one_odd_window_that_is_no_stretch_is_not_called_spoof():
    assert segments(scored(window(0.0, 3.0), window(2.0, -9.0), window(4.0, 3.0)), BASIS) == (
        Segment(0.0, 2.0, "bona fide", 3.0),
        Segment(2.0, 6.0, "inconclusive", -3.0),
        Segment(6.0, 8.0, "bona fide", 3.0),
    )


def test_what_is_marked():
    assert marked(SPLICED, BASIS) == (Segment(2.0, 6.0, "spoof", -4.5), Segment(10.0, 12.0, "silent"))
    assert marked(GENUINE, BASIS) == marked(BAD, BASIS) == ()
    assert marked(MUTE, BASIS) == (Segment(0.0, 3.0, "no speech"),)
    window_and_rest = scored(window(0.0, 3.0), duration_s=4.5)
    assert segments(window_and_rest, BASIS)[1:] == (Segment(4.0, 4.5, "not judged"),)
    assert marked(window_and_rest, BASIS) == ()
    assert marked(scored(window(0.0, 3.0), duration_s=5.0), BASIS) == (Segment(4.0, 5.0, "not judged"),)


def test_stretches_that_touch_stay_two():
    parts = (Stretch(0.0, 4.0, -2.0), Stretch(4.0, 8.0, -3.0))
    result = scored(window(0.0, -2.0), window(4.0, -3.0), stretches=parts)
    assert segments(result, BASIS) == (Segment(0.0, 4.0, "spoof", -2.0), Segment(4.0, 8.0, "spoof", -3.0))


def test_what_no_window_covers_was_not_judged():
    assert segments(scored(window(4.0, 3.0), duration_s=10.0), BASIS) == (
        Segment(0.0, 4.0, "not judged"),
        Segment(4.0, 8.0, "bona fide", 3.0),
        Segment(8.0, 10.0, "not judged"),
    )


def test_a_stretch_beyond_the_end_ends_there():
    result = scored(window(0.0, -3.0), stretches=(Stretch(0.0, 4.0, -3.0),), duration_s=3.5)
    assert segments(result, BASIS) == (Segment(0.0, 3.5, "spoof", -3.0),)


def test_rounding_makes_no_parts():
    windows = (window(0.0, 3.0, end_s=4.0000004), window(4.0000001, -0.5, end_s=7.9999999))
    assert segments(scored(*windows, duration_s=8.0), BASIS) == (
        Segment(0.0, 4.0000001, "bona fide", 3.0),
        Segment(4.0000001, 8.0, "inconclusive", -0.5),
    )


SCORES = st.one_of(st.floats(-5, 5), st.just(NAN))


@given(st.lists(SCORES, min_size=1, max_size=12), st.floats(-1, 0.5))
def test_parts_cover_the_recording_and_contain_what_was_found(llrs, tail):
    windows = tuple(
        window(2.0 * i, llr, Quality.MUSIC if math.isnan(llr) else Quality.SPEECH) for i, llr in enumerate(llrs)
    )
    stretches = merge([part for part in windows if part.llr <= -1.0])
    result = scored(*windows, stretches=stretches, duration_s=windows[-1].end_s + tail)
    parts = segments(result, BASIS)
    assert parts[0].start_s == 0.0
    assert parts[-1].end_s == result.duration_s
    for before, after in pairwise(parts):
        assert before.end_s == after.start_s
        assert before.label != after.label  # else they would be one
    assert all(part.end_s > part.start_s for part in parts)
    spoofs = [(part.start_s, part.end_s) for part in parts if part.label == "spoof"]
    ends = [(part.start_s, min(part.end_s, result.duration_s)) for part in stretches]
    assert spoofs == [pytest.approx(end, abs=1e-5) for end in ends]  # what is shorter is rounding
    assert {part.label for part in parts} <= {"spoof", "inconclusive", "bona fide", "music", "not judged"}
    assert all((part.llr is None) == (part.label in {"music", "not judged"}) for part in parts)


@pytest.mark.timeout(20)
def test_a_day_of_windows_takes_no_day():
    windows = tuple(window(2.0 * i, -2.0 if i % 7 == 0 else 2.0) for i in range(43_200))
    stretches = merge([part for part in windows if part.llr <= -1.0])
    parts = segments(scored(*windows, stretches=stretches), BASIS)
    assert sum(part.label == "spoof" for part in parts) == len(stretches)
