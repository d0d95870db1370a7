import numpy as np
import pytest

from deepcheck.audio.augment.levels import rms
from deepcheck.audio.augment.silence import Silence

RATE = 16_000


@pytest.fixture
def padded() -> np.ndarray:
    """0.5 s of faint noise, 1 s of tone, 0.8 s of faint noise."""
    rng = np.random.default_rng(0)
    tone = 0.5 * np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE)
    clip = np.concatenate((np.zeros(RATE // 2), tone, np.zeros(int(0.8 * RATE))))
    return (clip + 1e-4 * rng.standard_normal(clip.size)).astype(np.float32)


def test_trim_without_margin_leaves_the_sound(padded, rng):
    result = Silence(actions=("trim",), margin_s=0)(padded, rng)
    assert result.size / RATE == pytest.approx(1.0, abs=0.021)
    start = (padded.size - result.size) and int(np.flatnonzero(padded == result[0])[0])
    np.testing.assert_array_equal(result, padded[start : start + result.size])


def test_trim_keeps_the_margin(padded, rng):
    result = Silence(actions=["trim"], margin_s=[0.2, 0.2])(padded, rng)
    assert result.size / RATE == pytest.approx(1.4, abs=0.021)
    longer = Silence(actions=["trim"], margin_s=5)(padded, rng)
    np.testing.assert_array_equal(longer, padded)


def test_trim_has_a_threshold(padded, rng):
    noise_db = 20 * np.log10(1e-4 / (0.5 / np.sqrt(2)))  # -71 dB
    result = Silence(actions=["trim"], margin_s=0, threshold_db=noise_db - 6)(padded, rng)
    assert result.size == padded.size


@pytest.mark.parametrize("fill", ["zeros", "noise", "floor"])
def test_insertion_lengthens_both_ends_and_keeps_the_clip(padded, rng, fill):
    result = Silence(actions=["insert"], insert_s=0.4, fills=[fill])(padded, rng)
    assert result.size == padded.size + 2 * 6400
    np.testing.assert_array_equal(result[6400:-6400], padded)


def test_lengths_are_drawn_for_each_end_and_bounded(padded):
    augment = Silence(actions=("insert",))
    added = [augment(padded, np.random.default_rng(seed)).size - padded.size for seed in range(60)]
    assert min(added) < 0.3 * RATE
    assert 1.1 * RATE < max(added) <= 1.4 * RATE


def test_fills_are_what_they_are_called(padded, rng):
    def lead(**settings):
        return Silence(actions=["insert"], insert_s=0.5, **settings)(padded, rng)[: RATE // 2]

    assert not lead(fills="zeros").any()
    assert 20 * np.log10(rms(lead(fills="noise", noise_dbfs=-60))) == pytest.approx(-60, abs=0.2)
    assert rms(lead(fills="floor")) == pytest.approx(1e-4, rel=0.2)


def test_own_floor_has_the_colour_of_the_clip(rng):
    hz = np.fft.rfftfreq(RATE, 1 / RATE)
    spectrum = np.fft.rfft(rng.standard_normal(RATE)) * (hz < 1000)
    clip = np.concatenate((0.01 * np.fft.irfft(spectrum), rng.standard_normal(RATE))).astype(np.float32)
    filling = Silence(actions=["insert"], insert_s=0.5, fills="floor")(clip, rng)[: RATE // 2]
    power = np.abs(np.fft.rfft(filling * np.hanning(filling.size))) ** 2
    assert power[: filling.size // 16].sum() / power.sum() > 0.98  # below 1 kHz


def test_both_actions_happen_at_either_end(padded):
    sizes = [Silence(margin_s=0)(padded, np.random.default_rng(seed)).size / RATE for seed in range(80)]
    assert any(size < 1.05 for size in sizes)  # trimmed at both ends
    assert any(size > 2.3 for size in sizes)  # lengthened at both ends
    assert any(1.5 < size < 2.2 for size in sizes)
