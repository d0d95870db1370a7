import numpy as np
import pytest

from deepcheck.audio import conditions
from deepcheck.audio.augment.levels import active_power, power, rms
from deepcheck.audio.conditions import KINDS, parse_conditions
from deepcheck.audio.decode import SAMPLE_RATE
from deepcheck.audio.surface import measure
from deepcheck.errors import AudioError, ConfigError

NAMES = [condition.name for condition in parse_conditions(",".join(KINDS))]
DRAWN = ("noise:10dB", "room:0.5s", "resample:8k")  # not the same for every recording


def one(text: str) -> conditions.Condition:
    [condition] = parse_conditions(text)
    return condition


def white(seconds: float = 2.0) -> np.ndarray:
    return (0.1 * np.random.default_rng(5).standard_normal(round(seconds * SAMPLE_RATE))).astype(np.float32)


def density_db(waveform: np.ndarray, low_hz: float, high_hz: float) -> float:
    """Mean power in a hertz of the band, in dB."""
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(waveform.size))) ** 2
    hz = np.fft.rfftfreq(waveform.size, 1 / SAMPLE_RATE)
    return float(10 * np.log10(spectrum[(hz >= low_hz) & (hz < high_hz)].mean()))


def test_every_default_has_its_canonical_name():
    assert NAMES == [
        "clean", "opus:16k", "mp3:32k", "aac:32k", "amr:12.2k", "g711", "telephone", "noise:10dB", "room:0.5s",
        "trim-silence", "resample:8k", "speed:1.1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("opus:16k", ["opus:16k"]),
        ("OPUS:16 , noise:10DB,noise: 5 db", ["opus:16k", "noise:10dB", "noise:5dB"]),
        ("opus, opus:16k,opus:24k", ["opus:16k", "opus:24k"]),
        ("amr:4.75k,speed:0.90,room:.5", None),
        ("noise:-5,resample:11.025k,,", ["noise:-5dB", "resample:11.025k"]),
    ],
)
def test_ways_of_writing(text, names):
    if names is None:
        with pytest.raises(ConfigError, match="no number"):
            parse_conditions(text)
    else:
        assert [condition.name for condition in parse_conditions(text)] == names


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "The list of conditions is empty.", "There are: clean, opus"),
        (" , ", "The list of conditions is empty.", "speed"),
        ("opsu:16k", 'There is no condition "opsu".', 'Did you mean "opus"?'),
        ("clean,trimsilence", 'There is no condition "trimsilence".', 'Did you mean "trim-silence"?'),
        ("opus:fast", 'The bit rate of the condition "opus" is "fast", which is no number.', "Write opus:16k,"),
        ("opus:", 'The bit rate of the condition "opus" is "", which', "opus:16k"),
        ("opus:17k", 'The bit rate of the condition "opus" cannot be 17k.', "It takes 8k, 12k, 16k, 24k, 32k, 64k."),
        ("amr:13k", "cannot be 13k", "4.75k, 5.15k"),
        ("noise:10s", "signal-to-noise ratio", "noise:10dB"),
        ("noise:99dB", "cannot be 99dB", "It takes -20dB to 60dB."),
        ("room:0s", "reverberation time", "It takes 0.05s to 10s."),
        ("resample:8000", "cannot be 8000k", "It takes 1k to 15k."),
        ("speed:3", 'The factor of the condition "speed" cannot be 3.', "It takes 0.5 to 2."),
        ("g711:8k", '"g711" takes no parameter, and "g711:8k" has one.', "Write g711."),
        ("clean:", "takes no parameter", "Write clean."),
    ],
)
def test_what_cannot_be_had_is_said_with_the_way_out(text, message, hint):
    with pytest.raises(ConfigError) as caught:
        parse_conditions(text)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_an_encoder_that_is_missing_is_said_before_any_work(monkeypatch):
    monkeypatch.setattr(conditions, "encoder_of", lambda name: "")
    monkeypatch.setattr(conditions, "available", lambda: ["mp3", "g722"])
    with pytest.raises(ConfigError, match="has no encoder for amr-nb") as caught:
        parse_conditions("clean,amr")
    assert "there are encoders for: mp3, g722." in caught.value.hint
    assert one("noise").name == "noise:10dB"


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_sound_whatever_came_before(speech, name):
    condition = one(name)
    first = condition(speech, "utterance")
    others = [condition(speech, seed) for seed in ("another", 3, 4, 5, 6)]
    np.testing.assert_array_equal(one(name)(speech, "utterance"), first)
    if name in DRAWN:
        assert not all(np.array_equal(first, other) for other in others)
    if name != "clean":
        assert not np.array_equal(first, speech)
    assert first.dtype == np.float32
    assert (first.size == speech.size) == (name not in ("trim-silence", "speed:1.1"))


@pytest.mark.parametrize("name", NAMES)
def test_level_is_kept_in_all_but_trimming(speech, name):
    quiet = speech * np.float32(0.03)
    result = one(name)(quiet, 0)
    if name == "trim-silence":
        assert rms(result) > 1.1 * rms(quiet)
    else:
        assert rms(result) == pytest.approx(rms(quiet), rel=1e-4)


@pytest.mark.parametrize("name", [*NAMES, "opus:8k", "opus:64k", "mp3:16k", "mp3:128k", "aac:16k", "amr:4.75k"])
@pytest.mark.parametrize("samples", [1, 100, 1600])
def test_short_and_silent_recordings_stay_sound(speech, name, samples):
    for waveform in (speech[12_000:][:samples], np.zeros(samples, np.float32)):
        result = one(name)(waveform, 0)
        assert result.size > 0
        assert np.isfinite(result).all()
        assert result.any() == waveform.any() or samples == 1  # which some codecs swallow


@pytest.mark.parametrize(
    ("text", "passed", "stopped"),
    [
        ("telephone", (320, 3200), [(0, 250), (3600, 8000)]),
        ("g711", (100, 3400), [(4200, 8000)]),
        ("resample:8k", (100, 3000), [(4600, 8000)]),
        ("resample:4k", (100, 1500), [(2300, 8000)]),
        ("amr", (300, 3200), [(4200, 8000)]),
    ],
)
def test_what_is_outside_the_band_is_gone(text, passed, stopped):
    before = white()
    for seed in range(4):
        after = one(text)(before, seed)
        # Less band, same power: what passes is a few dB louder than it was.
        assert 0 < density_db(after, *passed) - density_db(before, *passed) < 10
        for band in stopped:
            assert density_db(after, *band) < density_db(after, *passed) - 25


def test_wide_band_conditions_keep_the_band():
    before = white()
    for text in ("opus:24k", "aac:64k", "mp3:64k", "noise:20dB", "room:0.3s"):
        assert density_db(one(text)(before, 0), 5000, 6500) > density_db(before, 5000, 6500) - 6, text


@pytest.mark.parametrize("name", ["opus", "mp3", "aac", "amr", "g711"])
def test_codecs_are_aligned_and_sound_alike(speech, name):
    def band(waveform):
        spectrum = np.fft.rfft(waveform)
        hz = np.fft.rfftfreq(waveform.size, 1 / SAMPLE_RATE)
        return np.where((hz > 400) & (hz < 3400), spectrum, 0)

    before, after = band(speech), band(one(name)(speech, 0))
    likeness = (after * before.conj()).real.sum() / np.linalg.norm(before) / np.linalg.norm(after)
    assert likeness > 0.9


def test_a_higher_bit_rate_is_nearer_to_the_recording(speech):
    errors = [np.std(one(f"mp3:{kbps}k")(speech, 0) - speech) for kbps in (16, 48)]
    assert errors[0] > 1.5 * errors[1]


def noise_and_voice(noisy: np.ndarray, voice: np.ndarray) -> tuple[np.ndarray, float]:
    """What was added to the voice before both were scaled, and the scale."""
    scale = float(noisy @ voice / (voice @ voice))
    return noisy / scale - voice, scale


@pytest.mark.parametrize("snr_db", [-5, 0, 10, 30])
def test_noise_has_its_ratio_to_the_speech_not_to_the_pauses(speech, snr_db):
    padded = np.pad(speech, (0, 2 * SAMPLE_RATE))
    for seed in range(4):
        noise, _ = noise_and_voice(one(f"noise:{snr_db}dB")(padded, seed), padded)
        assert 10 * np.log10(active_power(speech) / power(noise)) == pytest.approx(snr_db, abs=0.6)


def test_a_sweep_over_ratios_is_more_or_less_of_the_same_noise(speech):
    for seed in range(3):
        low, high = (noise_and_voice(one(f"noise:{db}dB")(speech, seed), speech)[0] for db in (5, 15))
        assert np.corrcoef(low, high)[0, 1] > 0.99


@pytest.mark.parametrize("rt60_s", [0.3, 0.8])
def test_room_falls_silent_in_the_time_asked_for(rt60_s):
    click = np.zeros(2 * SAMPLE_RATE, np.float32)
    click[0] = 1.0
    measured = []
    for seed in range(9):
        response = one(f"room:{rt60_s}s")(click, seed)[800:]  # past the single echoes
        hz = np.fft.rfftfreq(1 << 16, 1 / SAMPLE_RATE)
        middle = np.fft.irfft(np.fft.rfft(response, 1 << 16) * ((hz > 500) & (hz < 1000)))[: response.size]
        left = np.cumsum(middle[::-1] ** 2)[::-1]
        decay_db = 10 * np.log10(left / left[0])
        measured.append(3 * (np.argmax(decay_db < -25) - np.argmax(decay_db < -5)) / SAMPLE_RATE)
    assert np.median(measured) == pytest.approx(rt60_s, rel=0.2)


@pytest.mark.parametrize("fill", [0.0, 1e-4])
def test_trimming_takes_the_silence_at_the_ends_and_nothing_else(fill):
    voice = 0.3 * np.sin(2 * np.pi * 200 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    pause, draw = np.zeros(8000, np.float32), np.random.default_rng(0)
    sound = np.concatenate([np.zeros(4800), voice, pause, voice, np.zeros(9600)]).astype(np.float32)
    sound += np.float32(fill) * draw.standard_normal(sound.size).astype(np.float32)
    np.testing.assert_array_equal(one("trim-silence")(sound, 0), sound[4800:-9600])


def test_trimming_agrees_with_what_the_surface_calls_silence(speech):
    before, after = measure(speech), measure(one("trim-silence")(speech, 0))
    assert before.leading_silence_s > 0.3
    assert (after.leading_silence_s, after.trailing_silence_s) == (0.0, 0.0)
    gone = before.leading_silence_s + before.trailing_silence_s
    assert before.duration_s - after.duration_s == pytest.approx(gone, abs=0.011)


@pytest.mark.parametrize("factor", [0.9, 1.1, 1.5])
def test_speed_changes_length_and_pitch_alike(factor):
    tone = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    result = one(f"speed:{factor}")(tone, 0)
    assert result.size == pytest.approx(tone.size / factor, abs=2)
    peak_hz = np.abs(np.fft.rfft(result)).argmax() * SAMPLE_RATE / result.size
    assert peak_hz == pytest.approx(1000 * factor, abs=1)


def test_clean_is_the_recording_itself(speech):
    assert one("clean")(speech, 0) is speech


def test_a_codec_that_fails_says_so(speech, monkeypatch):
    def fail(*_):
        raise AudioError("opus failed")

    monkeypatch.setattr(conditions, "round_trip", fail)
    with pytest.raises(AudioError, match="opus failed"):
        one("opus")(speech, 0)
