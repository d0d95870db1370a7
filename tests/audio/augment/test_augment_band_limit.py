import numpy as np
import pytest

from deepcheck.audio.augment.band_limit import BandLimit


def energy(waveform: np.ndarray, low_hz: float, high_hz: float) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(waveform.size))) ** 2
    hz = np.fft.rfftfreq(waveform.size, 1 / 16_000)
    return float(spectrum[(hz >= low_hz) & (hz < high_hz)].sum())


def change_db(result: np.ndarray, clip: np.ndarray, low_hz: float, high_hz: float) -> float:
    return 10 * np.log10(energy(result, low_hz, high_hz) / energy(clip, low_hz, high_hz) + 1e-30)


@pytest.fixture
def flat() -> np.ndarray:
    return np.random.default_rng(0).standard_normal(48_000).astype(np.float32)


@pytest.mark.parametrize("method", ["filter", "resample"])
@pytest.mark.parametrize("cutoff_hz", [1500.0, 3400.0, 7000.0, 7500.0])
def test_energy_above_the_cutoff_is_gone_and_the_rest_is_left(flat, method, cutoff_hz):
    augment = BandLimit(cutoff_hz=cutoff_hz, methods=(method,), low_cut_share=0.0)
    for seed in range(6):
        result = augment(flat, np.random.default_rng(seed))
        assert change_db(result, flat, 1.02 * cutoff_hz, 8000) < -30
        assert abs(change_db(result, flat, 50, 0.5 * cutoff_hz)) < 0.5
        # no delay: what is left still lies where it was
        spectrum = np.fft.rfft(result, 1 << 17) * np.conj(np.fft.rfft(flat, 1 << 17))
        assert np.fft.irfft(spectrum).argmax() == 0


def test_low_cut_makes_a_telephone_band(flat, rng):
    augment = BandLimit(cutoff_hz=3400, methods=["filter"], transition=0.1, low_cut_share=1.0, low_cut_hz=(300, 300))
    result = augment(flat, rng)
    assert change_db(result, flat, 20, 265) < -30
    assert abs(change_db(result, flat, 320, 3000)) < 0.2
    assert change_db(result, flat, 3400, 8000) < -30


def test_steepness_and_depth_vary(flat):
    augment = BandLimit(cutoff_hz=4000, methods=("filter",), low_cut_share=0.0)
    results = [augment(flat, np.random.default_rng(seed)) for seed in range(20)]
    below = [change_db(result, flat, 3000, 4000) for result in results]
    above = [change_db(result, flat, 4100, 8000) for result in results]
    assert max(below) - min(below) > 1.5
    assert max(above) - min(above) > 25
