import logging

import numpy as np
import pytest

from deepcheck.audio.augment import codec as codec_module
from deepcheck.audio.augment import codec_round_trip
from deepcheck.audio.augment.codec import Codec, _report
from deepcheck.audio.augment.codec_formats import FORMATS, available
from deepcheck.audio.augment.codec_round_trip import round_trip
from deepcheck.errors import AudioError, ConfigError

MODES = [
    (name, rate_hz, kbps) for name in available() for rate_hz, rates in FORMATS[name].modes.items() for kbps in rates
]


def speech_band(waveform: np.ndarray) -> np.ndarray:
    spectrum = np.fft.rfft(waveform, 1 << 17)
    hz = np.fft.rfftfreq(1 << 17, 1 / 16_000)
    return np.where((hz > 400) & (hz < 3400), spectrum, 0)


def energy_above(waveform: np.ndarray, low_hz: float) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(waveform.size))) ** 2
    return float(spectrum[np.fft.rfftfreq(waveform.size, 1 / 16_000) > low_hz].sum())


@pytest.mark.parametrize(("name", "rate_hz", "kbps"), MODES)
def test_every_mode_keeps_length_and_place_and_sounds_alike(speech, name, rate_hz, kbps):
    result = round_trip(speech, name, rate_hz, kbps)
    assert result.shape == speech.shape
    assert result.dtype == np.float32
    before, after = speech_band(speech), speech_band(result)
    correlation = np.fft.irfft(after * before.conj()) / np.sqrt(
        np.fft.irfft(np.abs(before) ** 2)[0] * np.fft.irfft(np.abs(after) ** 2)[0]
    )
    lag = int(correlation.argmax())
    assert min(lag, correlation.size - lag) <= 1  # samples, 1/16 ms
    assert correlation[0] > (0.75 if kbps < 13 else 0.9)
    assert not np.array_equal(result, speech)


def test_the_usual_codecs_are_in_the_wheel():
    assert {"opus", "mp3", "aac", "amr-nb", "g722", "g711-alaw", "g711-ulaw"} <= set(available())


@pytest.mark.parametrize("name", ["amr-nb", "g711-alaw", "g711-ulaw"])
def test_narrow_band_codecs_lose_what_is_above_4_khz(speech, name):
    result = Codec(codecs=[name])(speech, np.random.default_rng(0))
    assert energy_above(result, 4100) < 1e-3 * energy_above(speech, 4100)
    wide = round_trip(speech, "g722", 16_000, 64)
    assert energy_above(wide, 4100) > 0.5 * energy_above(speech, 4100)


def test_the_lower_the_bit_rate_the_larger_the_error(speech):
    errors = [np.std(round_trip(speech, "mp3", 16_000, kbps) - speech) for kbps in (16, 32, 48)]
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("name", ["g711-ulaw", "aac", "opus"])
def test_peaks_above_full_scale_come_back_unclipped(speech, name):
    loud = speech * np.float32(8)  # peak 4.0
    rate_hz = next(iter(FORMATS[name].modes))
    kbps = FORMATS[name].modes[rate_hz][-1]
    result = round_trip(loud, name, rate_hz, kbps)
    assert np.abs(result).max() > 2.5
    assert np.abs(np.fft.rfft(result)).sum() == pytest.approx(
        8 * np.abs(np.fft.rfft(round_trip(speech, name, rate_hz, kbps))).sum(), rel=0.1
    )


def test_modes_stay_within_the_bit_rates_asked_for():
    chosen = Codec(bitrates_kbps=[10, 16])
    rates = {kbps for _, modes in chosen._modes for _, kbps in modes}
    assert rates
    assert min(rates) >= 10
    assert max(rates) <= 16
    assert "g722" not in dict(chosen._modes)


def test_every_codec_named_is_drawn(speech, monkeypatch):
    drawn = set()
    monkeypatch.setattr(codec_module, "round_trip", lambda clip, *mode: drawn.add(mode) or clip)
    augment = Codec(codecs=("opus", "g722"))
    for seed in range(200):
        augment(speech, np.random.default_rng(seed))
    opus = {("opus", rate_hz, kbps) for rate_hz, rates in FORMATS["opus"].modes.items() for kbps in rates}
    assert drawn == {*opus, ("g722", 16_000, 64)}


def test_a_codec_missing_from_this_build_is_named_with_those_there_are(monkeypatch):
    monkeypatch.setattr(codec_module, "available", lambda: ["mp3", "g722"])
    with pytest.raises(ConfigError) as caught:
        Codec(codecs=["opus"])
    assert '"opus" is not in this build' in caught.value.message
    assert "There are: mp3, g722." in caught.value.hint
    assert [name for name, _ in Codec()._modes] == ["mp3", "g722"]
    monkeypatch.setattr(codec_module, "available", list)
    with pytest.raises(ConfigError, match="codecs here are: none"):
        Codec()


def test_unknown_codecs_and_impossible_bit_rates_are_errors():
    with pytest.raises(ConfigError, match='Did you mean "opus"'):
        Codec(codecs=["opsu"])
    with pytest.raises(ConfigError, match=r'"g722" has no bit rate within \[4\.0, 32\.0\] kbit/s\. It has: 64\.'):
        Codec(codecs=["opus", "g722"], bitrates_kbps=(4, 32))
    with pytest.raises(ConfigError, match="no codec has a bit rate"):
        Codec(bitrates_kbps=(900, 1000))


def test_a_failed_round_trip_leaves_the_clip_and_is_said_once(speech, rng, monkeypatch, caplog):
    def fail(*_):
        raise AudioError("g722 at 16000 Hz and 64 kbit/s failed (no memory)")

    _report.cache_clear()
    monkeypatch.setattr(codec_module, "round_trip", fail)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert Codec(codecs=["g722"])(speech, rng) is speech
    assert len(caplog.records) == 1
    assert "no memory" in caplog.text
    _report.cache_clear()


def test_ffmpeg_errors_and_short_results_become_audio_errors(speech, monkeypatch):
    monkeypatch.setitem(FORMATS["opus"].options, "application", "nonsense")
    with pytest.raises(AudioError, match="opus at 16000 Hz"):
        round_trip(speech, "opus", 16_000, 16)
    monkeypatch.undo()
    real = codec_round_trip._decode
    monkeypatch.setattr(codec_round_trip, "_decode", lambda *given: (real(*given)[0][:9000], 16_000))
    with pytest.raises(AudioError, match="gave back only"):
        round_trip(speech, "g722", 16_000, 64)


def test_not_a_number_is_an_error_of_the_round_trip_not_of_training(speech, rng):
    broken = speech.copy()
    broken[5000] = np.nan
    _report.cache_clear()
    assert Codec(codecs=["aac"])(broken, rng).shape == broken.shape
