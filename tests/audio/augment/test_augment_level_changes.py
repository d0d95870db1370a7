"""Gain and clipping, and the measures of level behind the others."""

import numpy as np
import pytest

from deepcheck.audio.augment.clipping import Clipping
from deepcheck.audio.augment.gain import Gain
from deepcheck.audio.augment.levels import active_power, at_rms, power, rms


@pytest.mark.parametrize("db", [-20.0, 0.0, 6.0, 40.0])
def test_gain_is_the_decibels_asked_for_and_never_clips(speech, rng, db):
    result = Gain(gain_db=(db, db))(speech, rng)
    np.testing.assert_allclose(result, speech * 10 ** (db / 20), rtol=1e-5)


def test_gain_covers_its_range(speech):
    gain = Gain(gain_db=(-10, 10))
    found = [20 * np.log10(rms(gain(speech, np.random.default_rng(seed))) / rms(speech)) for seed in range(60)]
    assert -10.01 < min(found) < -8
    assert 8 < max(found) < 10.01


def test_hard_clipping_cuts_at_the_share_and_leaves_the_rest(speech, rng):
    result = Clipping(limit=(0.25, 0.25), curves=("hard",))(speech, rng)
    limit = 0.25 * np.abs(speech).max()
    assert np.abs(result).max() == pytest.approx(limit, rel=1e-6)
    below = np.abs(speech) < limit
    np.testing.assert_array_equal(result[below], speech[below])
    assert (np.abs(result[~below]) == np.float32(limit)).all()


def test_soft_clipping_bends_without_a_flat_top(speech, rng):
    result = Clipping(limit=(0.25, 0.25), curves=("soft",))(speech, rng)
    limit = 0.25 * np.abs(speech).max()
    assert 0.9 * limit < np.abs(result).max() < limit
    quiet = np.abs(speech) < 0.05 * limit
    np.testing.assert_allclose(result[quiet], speech[quiet], rtol=2e-3)


def test_active_power_does_not_count_pauses():
    tone = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32)
    paused = np.concatenate((tone, np.zeros(48_000, np.float32)))
    assert active_power(tone) == pytest.approx(0.5, rel=1e-3)
    assert active_power(paused) == pytest.approx(0.5, rel=1e-3)
    assert power(paused) == pytest.approx(0.125, rel=1e-3)
    assert active_power(tone[:100]) == pytest.approx(power(tone[:100]))


def test_at_rms_scales_and_leaves_silence():
    assert rms(at_rms(np.array([1.0, -3.0]), 0.1)) == pytest.approx(0.1)
    assert not at_rms(np.zeros(5), 0.1).any()
    assert rms(np.zeros(0)) == 0.0
