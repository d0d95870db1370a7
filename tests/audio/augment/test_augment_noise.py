import logging

import numpy as np
import pytest

from deepcheck.audio import decode
from deepcheck.audio.augment.levels import active_power, power
from deepcheck.audio.augment.noise import Noise, _read
from deepcheck.audio.augment.noise_kinds import KINDS
from deepcheck.errors import AudioError, ConfigError


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("snr_db", [0.0, 12.0, 30.0])
def test_ratio_to_the_active_signal_is_met(speech, rng, kind, snr_db):
    noise = Noise(snr_db=snr_db, kinds=kind)(speech, rng).astype(np.float64) - speech
    assert 10 * np.log10(active_power(speech) / power(noise)) == pytest.approx(snr_db, abs=0.1)


def slope_db_per_octave(noise: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(noise)) ** 2
    hz = np.fft.rfftfreq(noise.size, 1 / 16_000)
    octaves = [spectrum[(hz >= low) & (hz < 2 * low)].mean() for low in (125, 250, 500, 1000, 2000, 4000)]
    return float(np.polyfit(np.arange(6), 10 * np.log10(octaves), 1)[0])


@pytest.mark.parametrize(("kind", "slope"), [("white", 0.0), ("pink", -3.0), ("brown", -6.0)])
def test_colours_fall_as_they_should(rng, kind, slope):
    assert slope_db_per_octave(KINDS[kind](64_000, rng)) == pytest.approx(slope, abs=0.4)


def test_hum_is_mains_and_its_harmonics(rng):
    spectrum = np.abs(np.fft.rfft(KINDS["hum"](160_000, rng) * np.hanning(160_000))) ** 2
    hz = np.fft.rfftfreq(160_000, 1 / 16_000)
    mains = min((50.0, 60.0), key=lambda base: abs(hz[30 + spectrum[30:800].argmax()] % base - base / 2) * -1)
    distance = np.abs(hz - mains * np.round(hz / mains))
    on_harmonics = spectrum[distance < 0.3 + 0.003 * hz].sum()
    assert on_harmonics / spectrum.sum() > 0.99


def test_babble_rises_and_falls_and_has_the_spectrum_of_speech(rng):
    babble = KINDS["babble"](64_000, rng)
    levels = np.sqrt(np.mean(babble.reshape(-1, 1600) ** 2, axis=1))
    assert levels.std() / levels.mean() > 0.1
    assert slope_db_per_octave(babble) < -4.0


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("short.wav", "deep/long.flac", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    _read.cache_clear()
    yield tmp_path
    _read.cache_clear()


def test_recordings_of_a_folder_are_mixed_in(folder, monkeypatch, speech):
    ramps = {"short.wav": np.linspace(-1, 1, 700), "long.flac": np.linspace(-1, 1, 200_000)}
    monkeypatch.setattr(decode, "read", lambda path: ramps[path.name].astype(np.float32))
    augment = Noise(snr_db=10, kinds=[], folder=str(folder))
    assert [path.name for path in augment._recordings] == ["long.flac", "short.wav"]
    periods = set()
    for seed in range(20):
        noise = augment(speech, np.random.default_rng(seed)) - speech
        assert 10 * np.log10(active_power(speech) / power(noise)) == pytest.approx(10.0, abs=0.1)
        periods.add(bool(np.allclose(noise[:700], noise[700:1400], atol=1e-3)))
    assert periods == {True, False}  # the short one repeats, the long one does not


def test_synthetic_kinds_and_recordings_share_the_draws(folder, monkeypatch, speech):
    calls = []
    monkeypatch.setattr(decode, "read", lambda path: calls.append(path) or np.ones(50_000, np.float32))
    augment = Noise(kinds=("white",), folder=folder)
    recorded = 0
    for seed in range(100):
        noise = augment(speech, np.random.default_rng(seed)) - speech
        recorded += noise.std() < 1e-4
    assert 35 <= recorded <= 65
    assert len(calls) == 2  # each file is decoded once


def test_a_damaged_recording_is_left_out_and_said_once(folder, monkeypatch, speech, caplog):
    def read(path):
        if path.name == "short.wav":
            raise AudioError("the file is empty")
        return np.ones(99_000, np.float32)

    monkeypatch.setattr(decode, "read", read)
    augment = Noise(kinds=(), folder=folder)
    with caplog.at_level(logging.WARNING):
        for seed in range(10):
            assert not np.array_equal(augment(speech, np.random.default_rng(seed)), speech)
    assert [record.getMessage().count("short.wav") for record in caplog.records] == [1]


def test_a_folder_of_nothing_but_silence_is_an_error(folder, monkeypatch, speech, rng):
    monkeypatch.setattr(decode, "read", lambda path: np.zeros(1000, np.float32))
    with pytest.raises(ConfigError, match="None of the 2 noise recordings"):
        Noise(kinds=(), folder=folder)(speech, rng)


def test_missing_and_empty_folders_are_errors(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        Noise(folder=str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="holds no recordings"):
        Noise(folder=str(tmp_path))


def test_a_clip_without_signal_is_left_alone(rng):
    clip = np.zeros(8000, np.float32)
    assert Noise()(clip, rng) is clip
