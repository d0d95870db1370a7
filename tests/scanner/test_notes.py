"""One sound for each rule, where it can be through the very codec that the rule is about."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import described, speechlike, write_wav

from deepcheck.audio.augment.codec_formats import encoder_of
from deepcheck.audio.augment.codec_round_trip import _encode
from deepcheck.audio.conditions import KINDS, parse_conditions
from deepcheck.audio.container import Container
from deepcheck.audio.decode import Waveform, read
from deepcheck.audio.quality import Quality, assess
from deepcheck.audio.windows import cut
from deepcheck.engine.bands import UNFAMILIAR
from deepcheck.engine.score import WindowScore
from deepcheck.scanner.notes import _LOW_KBPS, NOTES, Heard, heard, notes_of

NAN = math.nan
ORDINARY = Heard(10, 10, {Quality.SPEECH: 10}, 30.0, 7800.0, 30.0, -20.0, 0.6, Container("wav", "pcm_s16le", 16_000, 1))


def voice(seconds: float = 4.0) -> Waveform:
    """With breath up to the highest frequencies, and pauses, as real speech has them."""
    t = np.arange(round(seconds * 16_000)) / 16_000
    breath = 0.004 * np.diff(np.random.default_rng(0).standard_normal(t.size + 1))
    talking = np.clip(3 * np.sin(2 * np.pi * 0.6 * t) + 1.5, 0.0, 1.0)
    return (talking * (speechlike(seconds) + breath) + 1e-4 * np.diff(breath, append=0)).astype(np.float32)


def of_sound(waveform: Waveform, container: Container | None = None) -> Heard:
    """What a scan would go by, if it took every window for speech."""
    windows = list(cut([waveform], 64_000, 32_000))
    found = assess(np.stack([window.samples for window in windows]))
    scores = [
        WindowScore(
            window.start / 16_000,
            window.end / 16_000,
            0.0,
            Quality.SPEECH,
            1.0,
            float(found.snr_db[i]),
            float(found.bandwidth_hz[i]),
            float(found.level_db[i]),
            NAN,
        )
        for i, window in enumerate(windows)
    ]
    return heard(scores, scores, waveform.size / 16_000, container)


def names(recording: Heard) -> list[str]:
    return [note.name for note in notes_of(recording)]


def through(name: str, waveform: Waveform) -> Waveform:
    [condition] = parse_conditions(name)
    return condition(waveform, 0)


def encoded(tmp_path: Path, name: str, rate_hz: int, kbps: float, ending: str) -> Path:
    if not encoder_of(name):
        pytest.skip(f"no encoder for {name} in this build of FFmpeg")
    path = tmp_path / f"x.{ending}"
    path.write_bytes(_encode(voice(8.0), name, rate_hz, kbps).getvalue())
    return path


def test_an_ordinary_recording_has_no_notes():
    assert notes_of(ORDINARY) == ()
    assert names(of_sound(voice(8.0))) == []


def test_nothing_is_said_of_what_was_not_measured():
    assert notes_of(Heard(3, 3)) == ()


def test_telephone():
    recording = of_sound(through("telephone", voice(8.0)))
    [note] = notes_of(recording)
    assert (note.name, note.band) == ("telephone", "telephone")
    assert note.text.startswith("telephone band: nothing above 3.")


@pytest.mark.parametrize("condition", ["amr", "resample:8k", "g711"])
def test_what_is_as_narrow_as_a_telephone(condition):
    assert names(of_sound(through(condition, voice(8.0)))) == ["telephone"]


def test_narrow_band():
    [note] = notes_of(of_sound(through("resample:11k", voice(8.0))))
    assert (note.name, note.band) == ("narrow-band", "resample:8k")


@pytest.mark.parametrize("condition", ["resample:15k", "mp3:48k", "opus:64k", "aac:32k"])
def test_what_is_wide_enough(condition):
    assert names(of_sound(through(condition, voice(8.0)))) == []


def test_a_file_that_has_room_for_more_was_made_anew():
    narrow = replace(ORDINARY, bandwidth_hz=3900.0)
    at_44 = replace(narrow, container=Container("wav", "pcm_s16le", 44_100, 1))
    at_8 = replace(narrow, container=Container("wav", "pcm_alaw", 8_000, 1))
    as_opus = replace(narrow, container=Container("ogg", "opus", 48_000, 1))
    assert "although the file has 44.1 kHz (re-encoded or filtered)" in notes_of(at_44)[0].text
    for recording in (at_8, as_opus, replace(narrow, container=None)):
        assert "although" not in notes_of(recording)[0].text


@pytest.mark.parametrize(
    ("name", "rate_hz", "kbps", "ending", "band"),
    [
        ("opus", 16_000, 16, "ogg", "opus:16k"),
        ("opus", 48_000, 64, "ogg", None),
        ("mp3", 16_000, 32, "mp3", "mp3:32k"),
        ("mp3", 44_100, 128, "mp3", None),
        ("aac", 16_000, 16, "aac", "aac:32k"),
        ("aac", 44_100, 96, "aac", None),
        ("amr-nb", 8_000, 12.2, "amr", "telephone"),
        ("wmav2", 16_000, 24, "wma", "aac:32k"),
    ],
)
def test_low_bit_rate_is_read_from_the_file_itself(tmp_path, name, rate_hz, kbps, ending, band):
    path = encoded(tmp_path, name, rate_hz, kbps, ending)
    notes = {note.name: note for note in notes_of(of_sound(read(path), described(path)))}
    assert ("low-bit-rate" in notes) == (band is not None)
    if band is not None:
        assert notes["low-bit-rate"].band == band
        assert f"{kbps:.0f} kbit/s" in notes["low-bit-rate"].text or abs(kbps - 16) < 4  # Ogg adds its own


def test_bit_rate_counts_for_each_channel():
    stereo = Container("mp3", "mp3", 44_100, 2, 128_000)
    assert names(replace(ORDINARY, container=stereo)) == []
    assert names(replace(ORDINARY, container=replace(stereo, bit_rate_bps=64_000))) == ["low-bit-rate"]
    assert names(replace(ORDINARY, container=replace(stereo, bit_rate_bps=None))) == []
    assert names(replace(ORDINARY, container=Container("wav", "pcm_s16le", 1000, 1, 16_000))) == []


@pytest.mark.parametrize("kind", ["white", "pink", "brown"])
def test_noise(kind):
    from deepcheck.audio.augment.noise import Noise

    noisy = Noise(snr_db=(10.0, 10.0), kinds=(kind,))(voice(8.0), np.random.default_rng(0))
    [note] = notes_of(of_sound(noisy))
    assert (note.name, note.band) == ("noisy", "noise:10dB")
    # So many dB above what is heard between the words: the level of the noise there is not quite its mean.
    assert note.text.split(" only ")[1].split(" dB")[0] in {"9", "10", "11", "12", "13"}
    assert names(of_sound(Noise(snr_db=(25.0, 25.0), kinds=(kind,))(voice(8.0), np.random.default_rng(0)))) == []


def test_quiet():
    [note] = notes_of(of_sound(0.01 * voice(8.0)))
    assert (note.name, note.band) == ("quiet", None)


def test_clipped_windows():
    recording = replace(ORDINARY, windows=20, judged=15, by_quality={Quality.SPEECH: 15, Quality.CLIPPED: 5})
    [note] = notes_of(recording)
    assert (note.name, note.band) == ("clipped", None)
    assert note.text == "clipped: 25% of the recording is overdriven and was left out"


def test_little_that_can_be_judged():
    counts = {Quality.SPEECH: 2, Quality.MUSIC: 5, Quality.SILENT: 1, Quality.NO_SPEECH: 2}
    [note] = notes_of(replace(ORDINARY, windows=10, judged=2, by_quality=counts))
    assert (note.name, note.band) == ("mostly-unjudged", None)
    assert note.text == (
        "only 20% of the recording could be judged (music or steady tones 50%, nobody speaks 20%, silence 10%)"
    )
    assert names(replace(ORDINARY, windows=10, judged=6, by_quality={Quality.SPEECH: 6, Quality.MUSIC: 4})) == []


def test_short():
    [note] = notes_of(replace(ORDINARY, speech_s=2.96))
    assert (note.name, note.band) == ("short", None)
    assert "2.9 s" in note.text  # never rounded up to the limit
    assert names(replace(ORDINARY, speech_s=3.0)) == []


def test_unfamiliar():
    assert names(replace(ORDINARY, distance=1.0)) == []
    [note] = notes_of(replace(ORDINARY, distance=1.26))
    assert (note.name, note.band) == ("unfamiliar", UNFAMILIAR)
    assert "distance 1.3" in note.text


def test_medians_of_the_windows_that_were_judged():
    scores = [
        WindowScore(0, 4, 0.0, Quality.SPEECH, 1.0, snr, 4000.0 + snr, -snr, distance)
        for snr, distance in ((10.0, 0.5), (20.0, NAN), (90.0, 0.7))
    ]
    other = WindowScore(4, 8, NAN, Quality.SILENT, 0.0, 0.0, 0.0, -120.0, NAN)
    found = heard([*scores, other], scores, 5.0, None)
    assert (found.windows, found.judged, found.snr_db, found.bandwidth_hz, found.level_db) == (
        4,
        3,
        20.0,
        4020.0,
        -20.0,
    )
    assert found.distance == pytest.approx(0.6)
    assert found.share(Quality.SILENT, Quality.MUSIC) == 0.25


def test_several_at_once_in_the_order_of_the_table():
    recording = replace(ORDINARY, bandwidth_hz=3900.0, snr_db=9.0, distance=2.0, speech_s=1.5)
    assert names(recording) == ["telephone", "noisy", "short", "unfamiliar"]
    assert [name for name in NOTES if name in names(recording)] == names(recording)


def test_every_band_is_a_condition():
    bands = {"telephone", "resample:8k", "noise:10dB", *(band for _, band in _LOW_KBPS.values())}
    for band in bands:
        assert band.partition(":")[0] in KINDS
        assert [condition.name for condition in parse_conditions(band)] == [band]


def test_notes_are_sentences_for_people(tmp_path):
    worst = Heard(
        10,
        2,
        {Quality.SPEECH: 2, Quality.CLIPPED: 8},
        1.0,
        3000.0,
        5.0,
        -50.0,
        3.0,
        Container("mp3", "mp3", 8000, 1, 8000),
    )
    for note in notes_of(worst):
        assert note.text[0].islower()
        assert not note.text.endswith(".")
        assert note.text.isprintable()
        assert "nan" not in note.text
    # The path in the test above was read with the package's own decoder.
    assert described(write_wav(tmp_path / "x.wav", voice())).codec == "pcm_s16le"
