"""Kinds of synthetic noise: `(samples, rng) -> float32 (samples,)`, of any level."""

from collections.abc import Callable
from functools import partial

import numpy as np

from deepcheck.audio.augment import SAMPLE_RATE
from deepcheck.audio.augment.filtering import shaped_noise

_LOWEST_HZ = 20.0  # coloured noise is flat below: power that nobody hears must not use up the ratio


def white(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Equal power in each hertz: converters, cheap amplifiers."""
    return rng.standard_normal(samples, dtype=np.float32)


def pink(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Power falls as 1/f: the usual stand-in for a place with many sources."""
    return shaped_noise(samples, lambda hz: np.maximum(hz, _LOWEST_HZ) ** -0.5, rng)


def brown(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Power falls as 1/f²: wind, traffic, ventilation."""
    return shaped_noise(samples, lambda hz: 1.0 / np.maximum(hz, _LOWEST_HZ), rng)


def babble(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Two to five voices without words: noise with formants, rising and falling as syllables do."""
    voices = np.zeros(samples, np.float32)
    for _ in range(rng.integers(2, 6)):
        formants_hz = rng.uniform((250.0, 800.0, 2000.0), (900.0, 2400.0, 3600.0))
        voice = shaped_noise(samples, partial(_vocal_tract, formants_hz), rng)
        voices += rng.uniform(0.3, 1.0) * voice * _syllables(samples, rng)
    return voices


def hum(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Mains at 50 or 60 Hz with up to 30 harmonics that fall at a random rate."""
    mains_hz = rng.choice((50.0, 60.0)) * rng.uniform(0.998, 1.002)
    orders = np.arange(1, rng.integers(4, 31))
    strengths = rng.uniform(0.2, 1.0, orders.size) / orders ** rng.uniform(0.3, 1.5)
    turns = np.arange(4097) / 4096  # one period as a table: 30 sines over the whole clip would be slow
    phases = orders[:, None] * turns + rng.random((orders.size, 1))
    period = strengths @ np.sin(2.0 * np.pi * phases)
    position = (np.arange(samples) * (mains_hz / SAMPLE_RATE) + rng.random()) % 1.0
    wave: np.ndarray = np.interp(position, turns, period).astype(np.float32)
    return wave


def _vocal_tract(formants_hz: np.ndarray, hz: np.ndarray) -> np.ndarray:
    # Speech loses some 9 dB an octave above 500 Hz and has little below 100 Hz.
    tilt = np.minimum(hz / 100.0, 1.0) / (1.0 + (hz / 500.0) ** 1.5)
    peaks = 1.0 / (1.0 + ((hz - formants_hz[:, None]) / 150.0) ** 2)
    gain: np.ndarray = tilt * (0.2 + peaks.sum(axis=0))
    return gain


def _syllables(samples: int, rng: np.random.Generator) -> np.ndarray:
    rate_hz = rng.uniform(3.0, 7.0)
    knots = rng.random(int(samples / SAMPLE_RATE * rate_hz) + 3) ** 2
    position = np.arange(samples) * (rate_hz / SAMPLE_RATE) + rng.random()
    envelope: np.ndarray = np.interp(position, np.arange(knots.size), knots).astype(np.float32)
    return envelope


KINDS: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "white": white,
    "pink": pink,
    "brown": brown,
    "babble": babble,
    "hum": hum,
}
