import numpy as np
import pytest

RATE = 16_000


def make_speech(seconds: float = 3.0, seed: int = 0) -> np.ndarray:
    """What codecs take for speech: a gliding buzz through a moving formant, in syllables, between pauses."""
    rng = np.random.default_rng(seed)
    samples = int(seconds * RATE)
    time_s = np.arange(samples) / RATE
    pitch_hz = 130.0 + 25.0 * np.sin(2 * np.pi * 0.9 * time_s) + 10.0 * np.sin(2 * np.pi * 2.3 * time_s)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE
    formant_hz = 1200.0 + 500.0 * np.sin(2 * np.pi * 1.7 * time_s)
    voiced = np.zeros(samples)
    for order in range(1, 50):
        harmonic_hz = order * pitch_hz
        strength = (1.0 / order) * (1.0 + 4.0 / (1.0 + ((harmonic_hz - formant_hz) / 200.0) ** 2))
        voiced += strength * np.sin(order * phase + order**2) * (harmonic_hz < 7800.0)
    breath = np.diff(rng.standard_normal(samples + 1)) * 0.15
    talking = (time_s > 0.4) & (time_s < seconds - 0.4)
    syllables = np.clip(np.sin(2 * np.pi * 2.1 * time_s), 0.0, None) * talking
    waveform = syllables * (voiced + breath) + 1e-3 * rng.standard_normal(samples)
    return (0.5 * waveform / np.abs(waveform).max()).astype(np.float32)


@pytest.fixture
def speech() -> np.ndarray:
    waveform = make_speech()
    waveform.flags.writeable = False  # an augmentation that wrote into its input would fail
    return waveform


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
