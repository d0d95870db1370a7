"""Verdicts where the recording shows signs of a condition that the model was measured in."""

from dataclasses import replace
from pathlib import Path

import pytest

from deepcheck.audio.container import Container
from deepcheck.audio.quality import Quality
from deepcheck.engine.bands import UNFAMILIAR
from deepcheck.engine.score import RecordingScores, WindowScore
from deepcheck.metrics.calibration import NO_VERDICT, Thresholds
from deepcheck.scanner.judge import judge
from deepcheck.scanner.result import Note

OWN = Thresholds(-2.0, 1.0)
BANDS = {
    "telephone": Thresholds(-3.0, 0.5),
    "noise:10dB": Thresholds(-1.0, 2.0),
    "opus:16k": Thresholds(-4.0, 3.0),
    UNFAMILIAR: NO_VERDICT,
}
OPUS = Container("ogg", "opus", 48_000, 1, 16_000)


def recording(
    llr,
    *,
    snr_db=30.0,
    bandwidth_hz=7800.0,
    distance=0.5,
    level_db=-20.0,
    quality=Quality.SPEECH,
    container=None,
):
    windows = tuple(
        WindowScore(2.0 * i, 2.0 * i + 4, llr, quality, 1.0, snr_db, bandwidth_hz, level_db, distance) for i in range(4)
    )
    return RecordingScores(0, Path("x.wav"), 10.0, windows, container=container)


@pytest.mark.parametrize(
    ("signs", "container", "thresholds"),
    [
        ({}, None, OWN),
        ({"bandwidth_hz": 3900.0}, None, Thresholds(-3.0, 1.0)),  # never narrower than its own
        ({"snr_db": 9.0}, None, Thresholds(-2.0, 2.0)),
        ({"bandwidth_hz": 3900.0, "snr_db": 9.0}, None, Thresholds(-3.0, 2.0)),
        ({}, OPUS, Thresholds(-4.0, 3.0)),
        ({"bandwidth_hz": 3900.0}, OPUS, Thresholds(-4.0, 3.0)),
        ({}, replace(OPUS, bit_rate_bps=64_000), OWN),
        ({"distance": 1.1}, None, NO_VERDICT),
        ({"distance": 1.1, "snr_db": 9.0}, OPUS, NO_VERDICT),
        ({"bandwidth_hz": 5500.0}, None, OWN),  # a condition that the model was not measured in
        ({"level_db": -55.0}, None, OWN),
    ],
)
def test_the_widest_band_that_applies(signs, container, thresholds):
    result = judge(recording(-2.5, **signs, container=container), OWN, 0.5, bands=BANDS)
    assert result.thresholds == thresholds
    assert result.verdict == thresholds.verdict(-2.5)
    assert (result.llr, result.status) == (-2.5, "scored")


@pytest.mark.parametrize(("llr", "plain", "widened"), [(-2.5, "spoof", "inconclusive"), (-3.5, "spoof", "spoof")])
def test_a_telephone_takes_more_to_be_called_spoof(llr, plain, widened):
    assert judge(recording(llr), OWN, 0.5, bands=BANDS).verdict == plain
    assert judge(recording(llr, bandwidth_hz=3900.0), OWN, 0.5, bands=BANDS).verdict == widened


def test_what_is_far_from_everything_known_has_no_verdict():
    for llr in (-900.0, 900.0):
        result = judge(recording(llr, distance=5.0), OWN, 0.5, bands=BANDS)
        assert (result.verdict, result.distance) == ("inconclusive", 5.0)


def test_a_note_names_the_band_that_it_brought_and_no_other():
    signs = {"bandwidth_hz": 5500.0, "snr_db": 9.0}
    names = {note.name: note.band for note in judge(recording(0.0, **signs), OWN, 0.5, bands=BANDS).notes}
    assert names == {"narrow-band": None, "noisy": "noise:10dB"}
    without = judge(recording(0.0, **signs, distance=2.0), OWN, 0.5)
    assert {note.band for note in without.notes} == {None}
    assert [note.name for note in without.notes] == ["narrow-band", "noisy", "unfamiliar"]
    assert without.thresholds == OWN


def test_the_probability_is_that_of_the_score():
    plain, wide = (judge(recording(-2.5, container=OPUS), OWN, 0.2, bands=bands) for bands in (None, BANDS))
    assert plain.p_spoof == wide.p_spoof


def test_a_recording_without_a_score_says_how_it_came():
    result = judge(recording(float("nan"), quality=Quality.MUSIC, container=OPUS), OWN, 0.5, bands=BANDS)
    assert (result.status, result.verdict, result.container, result.notes) == ("music", None, OPUS, ())
    assert result.reason == "music or steady tones, and no speech that could be judged"
    noisy = judge(recording(float("nan"), quality=Quality.TOO_NOISY), OWN, 0.5)
    assert (noisy.status, noisy.reason) == (
        "too noisy",
        "too noisy: noise or other sound is about as loud as the voice",
    )


def test_windows_that_were_not_judged_count_for_nothing_but_their_note():
    scores = recording(0.0)
    other = [WindowScore(40.0 + i, 44.0 + i, float("nan"), Quality.MUSIC, 0.0, 2.0, 900.0, -70.0) for i in range(9)]
    result = judge(replace(scores, duration_s=53.0, windows=(*scores.windows, *other)), OWN, 0.5, bands=BANDS)
    assert result.thresholds == OWN
    assert result.notes == (
        Note("mostly-unjudged", "only 31% of the recording could be judged (music or steady tones 69%)"),
    )


def test_distance_is_not_known_without_a_reference():
    assert judge(recording(0.0, distance=float("nan")), OWN, 0.5, bands=BANDS).distance is None
