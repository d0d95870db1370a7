import numpy as np
import pytest
from conftest import speechlike

from deepcheck.audio.quality import MIN_SPEECH_SHARE, Quality, assess

N = 64_000
T = np.arange(N) / 16_000


def voice(seed: int = 0, f0_hz: float = 120.0) -> np.ndarray:
    return speechlike(4.0, seed, f0_hz)


def noise(level: float) -> np.ndarray:
    return level * np.random.default_rng(0).standard_normal(N)


def chord() -> np.ndarray:
    return sum(0.1 * np.sin(2 * np.pi * f * T) for f in (261.6, 329.6, 392.0, 523.3))


def melody() -> np.ndarray:
    """Eight plucked notes, four harmonics each."""
    t = T[: N // 8]
    notes = (261.6, 329.6, 392.0, 523.3, 392.0, 329.6, 261.6, 196.0)
    return np.concatenate(
        [0.2 * np.exp(-4 * t) * sum(np.sin(2 * np.pi * f * k * t) / k for k in range(1, 5)) for f in notes]
    )


def opening(seconds: float) -> np.ndarray:
    """A voice, then digital silence."""
    return np.where(seconds > T, voice(), 0.0)


CASES = {
    "voice": (voice(), Quality.SPEECH),
    "high voice": (voice(1, 200.0), Quality.SPEECH),
    "deep voice": (voice(2, 95.0), Quality.SPEECH),
    "voice 40 dB down": (0.01 * voice(), Quality.SPEECH),
    "voice beyond full scale": (3.3 * voice(), Quality.SPEECH),
    "voice in noise": (voice() + noise(0.01), Quality.SPEECH),
    "voice slightly clipped": (np.clip(3 * voice(), -0.5, 0.5), Quality.SPEECH),
    "voice for a second of four": (opening(1.0), Quality.SPEECH),
    "voice for half a second of four": (opening(0.5), Quality.NO_SPEECH),
    "voice clipped hard": (np.clip(20 * voice(), -0.99, 0.99), Quality.CLIPPED),
    "voice clipped far below full scale": (np.clip(5 * voice(), -0.3, 0.3), Quality.CLIPPED),
    "white noise": (noise(0.1), Quality.NO_SPEECH),
    "quiet white noise": (noise(0.005), Quality.NO_SPEECH),
    "sine": (0.3 * np.sin(2 * np.pi * 440 * T), Quality.NO_SPEECH),
    "sine at the pitch of a voice": (0.3 * np.sin(2 * np.pi * 150 * T), Quality.NO_SPEECH),
    "square wave": (0.3 * np.sign(np.sin(2 * np.pi * 180 * T)), Quality.NO_SPEECH),
    "chord": (chord(), Quality.NO_SPEECH),
    "melody": (melody(), Quality.NO_SPEECH),
    "click": (0.9 * (np.arange(N) == 100), Quality.NO_SPEECH),
    "constant": (np.full(N, 0.5), Quality.NO_SPEECH),
    "digital silence": (np.zeros(N), Quality.SILENT),
    "dither": (np.sign(noise(1.0)) / 32_768, Quality.SILENT),
    "voice 60 dB down": (1e-3 * voice(), Quality.SILENT),
}
BATCH = np.stack([waveform for waveform, _ in CASES.values()]).astype(np.float32)


@pytest.fixture(scope="module")
def assessed():
    return assess(BATCH)


@pytest.mark.parametrize("case", CASES)
def test_quality(case, assessed):
    qualities, _ = assessed
    assert qualities[list(CASES).index(case)] is CASES[case][1]


def test_share_of_speech(assessed):
    share = dict(zip(CASES, assessed[1], strict=True))
    assert all(0 <= value <= 1 for value in share.values())
    assert share["voice"] > 0.95
    assert share["voice clipped hard"] > 0.9  # overdriven, but somebody speaks
    assert 0.2 <= share["voice for a second of four"] < 0.35
    assert 0.05 < share["voice for half a second of four"] < 0.2
    for case, (_, quality) in CASES.items():
        if quality is Quality.SILENT:
            assert share[case] == 0
        assert (share[case] >= MIN_SPEECH_SHARE) == (quality in {Quality.SPEECH, Quality.CLIPPED})


def test_windows_do_not_see_each_other(assessed):
    qualities, speech = assessed
    for i in (0, 8, 11):
        [quality], [share] = assess(BATCH[i : i + 1])
        assert quality is qualities[i]
        assert share == pytest.approx(speech[i], abs=1e-9)


def test_order_is_kept(assessed):
    qualities, speech = assess(BATCH[::-1].copy())
    assert qualities == assessed[0][::-1]
    np.testing.assert_allclose(speech, assessed[1][::-1])


@pytest.mark.parametrize("gain", [0.005, 0.03, 0.3, 3.0])
def test_level_makes_no_difference(gain):
    loud, quiet = assess(np.stack([voice(), gain * voice()]).astype(np.float32))[1]
    assert quiet == pytest.approx(loud, abs=0.02)


def test_windows_of_another_length():
    qualities, speech = assess(np.stack([speechlike(1.0), np.zeros(16_000, np.float32)]))
    assert qualities == [Quality.SPEECH, Quality.SILENT]
    assert speech[0] > 0.8
