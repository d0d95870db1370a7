import numpy as np
import pytest

from deepcheck.audio.augment.filtering import convolve_centred, notch_taps
from deepcheck.audio.augment.levels import power, rms
from deepcheck.audio.augment.rawboost import RawBoost


@pytest.mark.parametrize("parts", ["1", "2", "3", "1+2", "1+2+3"])
def test_level_and_alignment_are_kept(speech, parts):
    for seed in range(3):
        result = RawBoost(parts=parts)(speech, np.random.default_rng(seed))
        assert rms(result) == pytest.approx(rms(speech), rel=1e-4)
        spectrum = np.fft.rfft(result, 1 << 17) * np.conj(np.fft.rfft(speech, 1 << 17))
        assert abs((np.fft.irfft(spectrum).argmax() + 100) % (1 << 17) - 100) <= 1


def test_parts_run_in_series_in_the_order_given(speech):
    boost = RawBoost(parts="3+2")
    assert boost.parts == "3+2"
    rng = np.random.default_rng(4)
    expected = boost.impulsive(boost.stationary(speech, rng), rng)
    np.testing.assert_allclose(
        boost(speech, np.random.default_rng(4)), expected * rms(speech) / rms(expected), rtol=1e-4, atol=1e-7
    )
    assert RawBoost(parts=1).parts == "1"  # as YAML reads a lone number


def test_impulses_hit_the_share_and_depend_on_the_signal(speech, rng):
    result = RawBoost(impulse_share=(0.1, 0.1)).impulsive(speech, rng)
    hit = result != speech
    assert hit.mean() == pytest.approx(0.1, abs=0.002)
    # x + 2 * r * x with r in [-1, 1]
    ratio = result[hit] / speech[hit]
    assert -1.0 - 1e-5 <= ratio.min() < -0.5
    assert 2.5 < ratio.max() <= 3.0 + 1e-5
    assert abs(ratio.mean() - 1.0) < 0.05


@pytest.mark.parametrize("snr_db", [10.0, 40.0])
def test_stationary_noise_meets_its_ratio(speech, rng, snr_db):
    noise = RawBoost(snr_db=snr_db).stationary(speech, rng).astype(np.float64) - speech
    assert 10 * np.log10(power(speech.astype(np.float64)) / power(noise)) == pytest.approx(snr_db, abs=0.1)


def test_convolutive_noise_adds_harmonics_only_with_higher_orders(rng):
    tone = (0.1 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)).astype(np.float32)

    def share_of_harmonics(orders: int) -> float:
        # notches out of the way, so that only the powers matter
        boost = RawBoost(orders=orders, order_gain_db=(-10, -10), notch_hz=(7990, 8000), notch_width_hz=(1, 2))
        spectrum = np.abs(np.fft.rfft(boost.convolutive(tone, rng))) ** 2
        return float(1.0 - spectrum[990:1011].sum() / spectrum.sum())

    assert share_of_harmonics(1) < 1e-3
    assert share_of_harmonics(2) > 0.003
    assert share_of_harmonics(5) > 0.003


def test_level_of_the_input_does_not_change_the_distortion(speech):
    loud, quiet = (RawBoost(parts="1")(speech * g, np.random.default_rng(1)) for g in (np.float32(1), np.float32(0.01)))
    np.testing.assert_allclose(quiet * 100, loud, atol=1e-5)


def test_notch_stops_its_band_and_passes_the_rest():
    taps = notch_taps(np.array([[1000.0, 3000.0], [5000.0, 6000.0]]), np.array([301, 301]))
    assert taps.size == 601
    np.testing.assert_allclose(taps, taps[::-1], atol=1e-12)
    response = np.abs(np.fft.rfft(taps, 16_000))  # bin = 1 Hz
    assert response.max() == pytest.approx(1.0, abs=0.01)
    assert response[1200:2800].max() < 0.01
    assert response[5200:5800].max() < 0.01
    for passed in (500, 4000, 7500):
        assert response[passed] == pytest.approx(1.0, abs=0.02)


def test_centred_convolution_has_no_delay(speech):
    taps = np.zeros(101)
    taps[50] = 1.0
    np.testing.assert_allclose(convolve_centred(speech, taps), speech, atol=1e-6)
