import math
from pathlib import Path

import pytest

from deepcheck.audio.quality import Quality
from deepcheck.engine.score import RecordingScores, WindowScore
from deepcheck.metrics.calibration import Thresholds
from deepcheck.scanner.judge import judge
from deepcheck.scanner.result import FileResult, Stretch

THRESHOLDS = Thresholds(-2.0, 1.0)
PATH = Path("x.wav")
NAN = float("nan")


def scored(*llrs: float, speech: float = 1.0, duration_s: float | None = None) -> RecordingScores:
    """Windows of 4 s every 2 s, all of speech."""
    windows = tuple(WindowScore(2.0 * i, 2.0 * i + 4, llr, Quality.SPEECH, speech) for i, llr in enumerate(llrs))
    return RecordingScores(0, PATH, windows[-1].end_s if duration_s is None else duration_s, windows)


def unscored(*qualities: Quality, duration_s: float = 10.0, speech: float = 0.0) -> RecordingScores:
    windows = tuple(WindowScore(2.0 * i, 2.0 * i + 4, NAN, quality, speech) for i, quality in enumerate(qualities))
    return RecordingScores(0, PATH, duration_s, windows)


@pytest.mark.parametrize(
    ("llrs", "llr", "verdict"),
    [
        ([-5.0], -5.0, "spoof"),
        ([-2.0], -2.0, "spoof"),
        ([-1.999], -1.999, "inconclusive"),
        ([0.0], 0.0, "inconclusive"),
        ([0.999], 0.999, "inconclusive"),
        ([1.0], 1.0, "bona fide"),
        ([5.0], 5.0, "bona fide"),
        ([-6.0, 4.0], -6.0 + math.log(4 / 3), "spoof"),
        ([3.0, 3.0, 3.0, -1.0], -1.0 + math.log(4 / 1.5), "inconclusive"),
        ([3.0] * 8 + [-1.0], -1.0 + math.log(6), "inconclusive"),
        ([3.0] * 59 + [-3.0], -3.0 + math.log(40), "inconclusive"),
        ([3.0] * 59 + [-6.0], -6.0 + math.log(40), "spoof"),
    ],
)
def test_verdict_follows_from_the_pooled_score(llrs, llr, verdict):
    result = judge(scored(*llrs), THRESHOLDS, 0.5)
    assert result.verdict == verdict
    assert result.llr == pytest.approx(llr)
    assert (result.status, result.reason) == ("scored", None)


def test_most_suspicious_window_is_the_lowest():
    result = judge(scored(1.0, -3.0, 2.0, -2.0), THRESHOLDS, 0.5)
    assert result.suspicious == Stretch(2.0, 6.0, -3.0)


def test_windows_without_speech_weigh_nothing():
    windows = (
        WindowScore(0, 4, 2.0, Quality.SPEECH, 0.9),
        WindowScore(2, 6, NAN, Quality.NO_SPEECH, 0.1),
        WindowScore(4, 8, NAN, Quality.SILENT, 0.0),
        WindowScore(6, 10, 4.0, Quality.SPEECH, 0.8),
    )
    result = judge(RecordingScores(0, PATH, 10.0, windows), THRESHOLDS, 0.5)
    assert result.llr == pytest.approx(2.0 + math.log(4 / 3))
    assert result.verdict == "bona fide"
    assert result.speech_s == pytest.approx(10.0 * 1.8 / 4)
    assert result.suspicious == Stretch(0, 4, 2.0)
    assert len(result.windows) == 4


def test_windows_are_reported_in_order_of_time():
    scores = scored(1.0, 2.0, 3.0)
    shuffled = RecordingScores(0, PATH, scores.duration_s, (scores.windows[2], scores.windows[0], scores.windows[1]))
    assert judge(shuffled, THRESHOLDS, 0.5).windows == scores.windows


@pytest.mark.parametrize(
    ("llr", "prior", "p_spoof"),
    [
        (0.0, 0.5, 0.5),
        (0.0, 0.01, 0.01),
        (math.log(9), 0.5, 0.1),
        (-math.log(9), 0.5, 0.9),
        (-math.log(99), 0.01, 0.5),
        (-800.0, 0.5, 1.0),
        (800.0, 0.5, 0.0),
    ],
)
def test_probability_follows_from_score_and_prior(llr, prior, p_spoof):
    assert judge(scored(llr), THRESHOLDS, prior).p_spoof == pytest.approx(p_spoof, abs=1e-12)


@pytest.mark.parametrize("prior", [1e-6, 0.5, 1 - 1e-6])
def test_prior_changes_the_probability_alone(prior):
    result = judge(scored(0.5), THRESHOLDS, prior)
    assert (result.verdict, result.llr) == ("inconclusive", 0.5)


@pytest.mark.parametrize(
    ("scores", "status", "reason"),
    [
        (RecordingScores(0, PATH, error="the file is empty"), "unreadable", "the file is empty"),
        (scored(-9.0, duration_s=0.99), "too short", "too short: 0.99 s (at least 1 s is needed)"),
        (scored(-9.0, duration_s=0.004), "too short", "too short: 0.00 s (at least 1 s is needed)"),
        (unscored(Quality.SILENT, duration_s=0.5), "too short", "too short: 0.50 s (at least 1 s is needed)"),
        (unscored(Quality.SILENT), "silent", "silent: the level stays below -60 dB of full scale"),
        (unscored(Quality.CLIPPED), "clipped", "clipped: the recording is overdriven too heavily to be judged"),
        (unscored(Quality.NO_SPEECH), "no speech", "no speech found"),
        (unscored(Quality.NO_SPEECH, Quality.SILENT, Quality.NO_SPEECH), "no speech", "no speech found"),
        (
            unscored(Quality.SILENT, Quality.CLIPPED, Quality.CLIPPED),
            "clipped",
            "clipped: the recording is overdriven too heavily to be judged",
        ),
        (scored(-9.0, speech=0.24, duration_s=4.0), "no speech", "too little speech: 0.96 s (at least 1 s is needed)"),
        (scored(-9.0, speech=0.2, duration_s=4.0), "no speech", "too little speech: 0.80 s (at least 1 s is needed)"),
    ],
)
def test_what_cannot_be_judged_has_a_reason_and_no_verdict(scores, status, reason):
    result = judge(scores, THRESHOLDS, 0.5)
    assert (result.status, result.reason) == (status, reason)
    assert (result.verdict, result.llr, result.p_spoof, result.suspicious) == (None, None, None, None)
    assert result.path == PATH


@pytest.mark.parametrize(("duration_s", "speech"), [(1.0, 1.0), (4.0, 0.25), (100.0, 0.01)])
def test_a_second_of_speech_is_enough(duration_s, speech):
    result = judge(scored(-9.0, speech=speech, duration_s=duration_s), THRESHOLDS, 0.5)
    assert result.verdict == "spoof"
    assert result.speech_s == pytest.approx(1.0)


def test_what_was_heard_is_told_even_without_a_verdict():
    result = judge(unscored(Quality.NO_SPEECH, Quality.NO_SPEECH, speech=0.05), THRESHOLDS, 0.5)
    assert result.duration_s == 10.0
    assert result.speech_s == pytest.approx(0.5)
    assert len(result.windows) == 2


def test_damaged_file_tells_nothing_it_does_not_know():
    scores = RecordingScores(0, PATH, 3.0, (), "the file is truncated")
    assert judge(scores, THRESHOLDS, 0.5) == FileResult(PATH, reason="the file is truncated")


def test_thresholds_that_meet_leave_nothing_open():
    thresholds = Thresholds(0.0, 0.0)
    assert [judge(scored(llr), thresholds, 0.5).verdict for llr in (-0.01, 0.0, 0.01)] == [
        "spoof",
        "spoof",
        "bona fide",
    ]
