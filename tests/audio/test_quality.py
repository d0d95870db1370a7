import numpy as np
import pytest
from conftest import speechlike

from deepcheck.audio import surface
from deepcheck.audio.augment.levels import active_power, at_rms
from deepcheck.audio.conditions import parse_conditions
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


def drums() -> np.ndarray:
    """A beat of noise and thumps, four a second."""
    rng = np.random.default_rng(0)
    t = T[:4000]
    hits = [
        np.exp(-20 * t) * (np.sin(2 * np.pi * 60 * t) if beat % 4 == 0 else 0.4 * rng.standard_normal(t.size))
        for beat in range(16)
    ]
    return 0.5 * np.concatenate(hits)


def brown() -> np.ndarray:
    """Noise that is loudest at its lowest frequencies."""
    spectrum = np.fft.rfft(np.random.default_rng(1).standard_normal(N))
    return np.fft.irfft(spectrum / np.maximum(np.fft.rfftfreq(N, 1 / 16_000), 20.0), N)


def under(sound: np.ndarray, ratio_db: float) -> np.ndarray:
    """A voice, and so many dB below its level while it speaks, `sound`."""
    level = active_power(voice()) ** 0.5 / 10 ** (ratio_db / 20)
    return voice() + at_rms(sound, level)


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
    "sine": (0.3 * np.sin(2 * np.pi * 440 * T), Quality.MUSIC),
    "sine at the pitch of a voice": (0.3 * np.sin(2 * np.pi * 150 * T), Quality.MUSIC),
    "square wave": (0.3 * np.sign(np.sin(2 * np.pi * 180 * T)), Quality.MUSIC),
    "chord": (chord(), Quality.MUSIC),
    "melody": (melody(), Quality.MUSIC),
    "drums and a melody": (melody() + drums(), Quality.MUSIC),
    "voice over quiet music": (under(melody() + drums(), 20.0), Quality.SPEECH),
    "voice over a quiet chord": (under(chord(), 15.0), Quality.SPEECH),
    "voice over noise": (under(noise(1.0), 10.0), Quality.SPEECH),
    "voice in as much noise": (under(noise(1.0), 0.0), Quality.TOO_NOISY),
    "voice in more noise": (under(noise(1.0), -5.0), Quality.TOO_NOISY),
    "voice in more rumble": (under(brown(), -5.0), Quality.TOO_NOISY),
    "voice below a chord": (under(chord(), -5.0), Quality.MUSIC),
    "noise alone is no speech": (0.2 * at_rms(brown(), 1.0), Quality.NO_SPEECH),
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
    assert assessed.qualities[list(CASES).index(case)] is CASES[case][1]


def test_share_of_speech(assessed):
    share = dict(zip(CASES, assessed.speech, strict=True))
    assert all(0 <= value <= 1 for value in share.values())
    assert share["voice"] > 0.95
    assert share["voice clipped hard"] > 0.9  # overdriven, but somebody speaks
    assert 0.2 <= share["voice for a second of four"] < 0.35
    assert 0.05 < share["voice for half a second of four"] < 0.2
    for case, (_, quality) in CASES.items():
        if quality is Quality.SILENT:
            assert share[case] == 0
        if quality in {Quality.SPEECH, Quality.CLIPPED, Quality.TOO_NOISY}:
            assert share[case] >= MIN_SPEECH_SHARE
        if quality is Quality.NO_SPEECH:
            assert share[case] < MIN_SPEECH_SHARE


MEASURED = ("speech", "snr_db", "bandwidth_hz", "level_db")


def test_windows_do_not_see_each_other(assessed):
    for i in (0, 8, 11):
        alone = assess(BATCH[i : i + 1])
        assert alone.qualities == [assessed.qualities[i]]
        for name in MEASURED:
            assert getattr(alone, name) == pytest.approx(getattr(assessed, name)[i], abs=1e-6), name


def test_order_is_kept(assessed):
    turned = assess(BATCH[::-1].copy())
    assert turned.qualities == assessed.qualities[::-1]
    for name in MEASURED:
        np.testing.assert_allclose(getattr(turned, name), getattr(assessed, name)[::-1], atol=1e-6)


@pytest.mark.parametrize("gain", [0.005, 0.03, 0.3, 3.0])
def test_level_makes_no_difference(gain):
    found = assess(np.stack([voice(), gain * voice(), gain * under(noise(1.0), 0.0)]).astype(np.float32))
    assert found.speech[1] == pytest.approx(found.speech[0], abs=0.02)
    assert found.snr_db[1] == pytest.approx(found.snr_db[0], abs=0.01)
    assert found.bandwidth_hz[1] == found.bandwidth_hz[0]
    assert found.level_db[1] - found.level_db[0] == pytest.approx(20 * np.log10(gain), abs=1e-3)
    assert found.qualities[2] is Quality.TOO_NOISY


def test_windows_of_another_length():
    for samples in (8_000, 8_191, 16_000):
        found = assess(np.stack([speechlike(1.0)[:samples], np.zeros(samples, np.float32)]))
        assert found.qualities[1] is Quality.SILENT
        assert found.speech[1] == 0.0
    assert found.qualities[0] is Quality.SPEECH
    assert found.speech[0] > 0.8


def test_figures_are_those_of_the_surface():
    # One definition for what is measured of a test set and of a recording that is scanned.
    rng = np.random.default_rng(3)
    sounds = {
        "voice": voice(),
        "high voice": voice(1, 200.0),
        "voice in noise": under(noise(1.0), 10.0),
        "through the telephone": parse_conditions("telephone")[0](voice().astype(np.float32), 0),
        "at 11 kHz": parse_conditions("resample:11k")[0](voice().astype(np.float32), 0),
        "with pauses": voice() * (np.sin(2 * np.pi * 0.5 * T) > -0.3) + 1e-3 * rng.standard_normal(N),
        "melody": melody(),
    }
    found = assess(np.stack(list(sounds.values())).astype(np.float32))
    for i, (name, sound) in enumerate(sounds.items()):
        expected = surface.measure(sound.astype(np.float32))
        assert found.snr_db[i] == pytest.approx(expected.snr_db, abs=0.02), name
        assert found.bandwidth_hz[i] == pytest.approx(expected.bandwidth_hz, abs=32), name
        assert found.level_db[i] == pytest.approx(expected.level_db, abs=1e-4), name


def test_bandwidth_of_what_a_telephone_leaves():
    sounds = [voice().astype(np.float32) + 1e-3 * noise(1.0).astype(np.float32)]
    sounds += [parse_conditions(name)[0](sounds[0], 0) for name in ("telephone", "resample:8k", "resample:11k")]
    wide, telephone, narrow, middle = assess(np.stack(sounds).astype(np.float32)).bandwidth_hz
    assert wide > 7000
    assert telephone <= 4000
    assert narrow <= 4000
    assert 4500 < middle < 6000


def test_silence_has_figures_too():
    found = assess(np.zeros((1, N), np.float32))
    assert (found.snr_db[0], found.bandwidth_hz[0], found.level_db[0]) == (0.0, 0.0, -120.0)
