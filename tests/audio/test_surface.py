"""Signals whose surface is known by construction."""

import numpy as np
import pytest
from conftest import speechlike

from deepcheck.audio.augment.filtering import shape_spectrum
from deepcheck.audio.decode import SAMPLE_RATE
from deepcheck.audio.surface import FAMILIES, Surface, measure


def tone(seconds: float = 1.0, amplitude: float = 0.5, hz: float = 200.0) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)).astype(
        np.float32
    )


def white(seconds: float = 1.0, level: float = 0.1, seed: int = 0) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE))).astype(np.float32)


def zeros(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def test_families_hold_every_feature_once():
    assert sorted(name for names in FAMILIES.values() for name in names) == sorted(Surface.__dataclass_fields__)


def test_duration_and_levels():
    found = measure(tone(1.5, amplitude=0.5))
    assert found.duration_s == 1.5
    assert found.peak_db == pytest.approx(20 * np.log10(0.5), abs=0.01)
    assert found.level_db == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.01)


@pytest.mark.parametrize("fill", [0.0, 1e-4])
def test_silence_at_each_end_and_in_all(fill):
    sound = np.concatenate([zeros(0.3), tone(1.0), zeros(0.5), tone(1.0), zeros(0.7)])
    found = measure(sound + np.float32(fill) * white(3.5, 1.0))
    assert found.leading_silence_s == pytest.approx(0.3)
    assert found.trailing_silence_s == pytest.approx(0.7)
    assert found.silence_share == pytest.approx(1.5 / 3.5, abs=1e-3)


def test_silence_is_relative_to_the_loudest():
    sound = np.concatenate([tone(0.5, 0.02), tone(0.5, 0.5), tone(0.5, 0.002)])
    assert measure(sound).leading_silence_s == 0.0  # 28 dB below
    assert measure(sound).trailing_silence_s == 0.5  # 48 dB below
    assert measure(0.01 * sound).trailing_silence_s == 0.5


@pytest.mark.parametrize("cutoff_hz", [2000.0, 3400.0, 4000.0, 6000.0])
def test_band_limits_of_noise_and_of_speech(cutoff_hz):
    for sound in (white(2.0), speechlike(2.0) + white(2.0, 0.002)):
        full = measure(sound)
        limited = measure(shape_spectrum(sound, lambda hz: np.where(hz < cutoff_hz, 1.0, 1e-5)))
        assert full.bandwidth_hz > 7900
        assert cutoff_hz - 40 < limited.bandwidth_hz < cutoff_hz + 130  # bins, and the width of the analysis window
        assert limited.rolloff_hz <= limited.bandwidth_hz


def test_rolloff_looks_below_a_steady_noise():
    hiss = white(3.0, 0.01)
    found = measure(np.concatenate([zeros(1.0), tone(2.0, 0.5, hz=1000.0)]) + hiss)
    assert found.rolloff_hz == pytest.approx(1000, abs=80)
    assert measure(hiss).rolloff_hz > 7500


def test_digital_zeros_are_counted_in_stretches():
    sound = white(1.0)
    sound[1000:5000] = 0.0
    assert measure(sound).digital_zero_share == pytest.approx(0.25)
    sound[1000:5000:20] = 1e-3  # no stretch is 2 ms any more
    assert measure(sound).digital_zero_share == 0.0
    sound = white(1.0)
    sound[1000:5000] = 1e-5 * white(0.25, 1.0).clip(-1, 1)  # below half a step of 16 bits
    assert measure(sound).digital_zero_share == pytest.approx(0.25)


@pytest.mark.parametrize("floor_db", [-70.0, -50.0, -30.0])
def test_noise_floor_and_the_speech_above_it(floor_db):
    hiss = white(4.0, 10 ** (floor_db / 20))
    found = measure(np.concatenate([zeros(1.0), tone(3.0, 0.5)]) + hiss)
    assert found.noise_floor_db == pytest.approx(floor_db, abs=1.0)
    assert found.snr_db == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)) - floor_db, abs=1.5)


@pytest.mark.parametrize("offset", [-0.01, 0.001])
def test_offset_has_no_sign(offset):
    assert measure(tone() + np.float32(offset)).offset_db == pytest.approx(20 * np.log10(abs(offset)), abs=0.1)
    assert measure(tone()).offset_db < -100


def test_digital_silence_has_lowest_values_everywhere():
    found = measure(zeros(0.5))
    assert (found.leading_silence_s, found.trailing_silence_s, found.silence_share) == (0.5, 0.5, 1.0)
    assert (found.level_db, found.peak_db, found.noise_floor_db, found.offset_db) == (-120, -120, -120, -120)
    assert (found.bandwidth_hz, found.rolloff_hz, found.snr_db, found.digital_zero_share) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("samples", [1, 2, 31, 159, 161, 511, 513, 1600])
@pytest.mark.parametrize("amplitude", [0.0, 1e-7, 0.3, 1e4])
def test_every_number_is_finite_for_short_silent_and_huge_recordings(samples, amplitude):
    found = vars(measure(white(1.0, amplitude)[:samples]))
    assert all(isinstance(value, float) and np.isfinite(value) for value in found.values()), found
    assert all(0.0 <= found[name] <= 1.0 for name in ("silence_share", "digital_zero_share"))


def test_a_long_recording_is_looked_at_from_end_to_end():
    sound = white(100.0)
    sound[: sound.size // 2] = shape_spectrum(sound[: sound.size // 2], lambda hz: 1.0 * (hz < 2000))
    assert measure(sound).bandwidth_hz > 7900
    assert measure(sound[::-1]).bandwidth_hz > 7900
