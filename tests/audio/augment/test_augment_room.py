import numpy as np
import pytest

from deepcheck.audio.augment.levels import rms
from deepcheck.audio.augment.room import Room


def octave(response: np.ndarray, low_hz: float) -> np.ndarray:
    spectrum = np.fft.rfft(response, 1 << 16)
    hz = np.fft.rfftfreq(1 << 16, 1 / 16_000)
    return np.fft.irfft(spectrum * ((hz >= low_hz) & (hz < 2 * low_hz)))[: response.size]


def measured_rt60_s(response: np.ndarray) -> float:
    """T20 by Schroeder's backward integration: the time from -5 to -25 dB, times three."""
    left = np.cumsum(response[::-1] ** 2)[::-1]
    decay_db = 10 * np.log10(left / left[0])
    start, end = np.argmax(decay_db < -5), np.argmax(decay_db < -25)
    return 3 * float(end - start) / 16_000


@pytest.mark.parametrize("rt60_s", [0.3, 0.6, 1.0])
def test_reverberation_time_is_met_in_the_middle_and_shorter_above(rt60_s):
    room = Room(rt60_s=rt60_s, drr_db=-20.0)
    middle, high = [], []
    for seed in range(15):
        response = room.impulse_response(np.random.default_rng(seed))[800:]  # past the single echoes
        middle.append(measured_rt60_s(octave(response, 500)))
        high.append(measured_rt60_s(octave(response, 4000)))
    assert np.median(middle) == pytest.approx(rt60_s, rel=0.15)
    assert np.median(high) < 0.85 * np.median(middle)


@pytest.mark.parametrize("drr_db", [-5.0, 0.0, 10.0])
def test_direct_to_reverberant_ratio_is_met(rng, drr_db):
    response = Room(drr_db=drr_db).impulse_response(rng)
    assert response[0] == 1.0
    assert -10 * np.log10(np.sum(response[1:].astype(np.float64) ** 2)) == pytest.approx(drr_db, abs=0.1)


def test_direct_sound_is_not_delayed_and_the_level_is_kept(speech):
    for seed in range(10):
        result = Room()(speech, np.random.default_rng(seed))
        assert rms(result) == pytest.approx(rms(speech), rel=1e-4)
    click = np.zeros(16_000, np.float32)
    click[5000] = 1.0
    result = Room(drr_db=0)(click, np.random.default_rng(0))
    assert np.abs(result).argmax() == 5000
    assert np.abs(result[:4999]).max() < 1e-6


def test_no_audible_room_without_reverberation(speech, rng):
    result = Room(drr_db=60)(speech, rng)
    assert np.corrcoef(result, speech)[0, 1] > 0.999
