"""Simulated rooms: reverberation from the statistics of a room, without a list of measured ones."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from deepcheck.audio.augment import SAMPLE_RATE
from deepcheck.audio.augment.filtering import convolve, fast_length
from deepcheck.audio.augment.levels import at_rms, rms
from deepcheck.audio.augment.settings import settle_range

_BANDS_HZ = np.array((125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0))
_LONGEST_S = 1.5  # of the impulse response; the rest of a longer tail is below what a clip of speech shows


@dataclass(frozen=True)
class Room:
    """The clip as heard in a room: direct sound, early reflections and a tail of decaying noise.

    `rt60_s` is the time in which the tail loses 60 dB at 500-1000 Hz; above, it dies away faster, as air and
    surfaces absorb. `drr_db` is the energy of the direct sound over that of everything after it. The direct
    sound is not delayed, the length stays (the tail is cut off), and so does the root mean square.
    """

    stage: ClassVar[Literal["waveform", "features"]] = "waveform"

    rt60_s: tuple[float, float] = (0.15, 1.0)
    drr_db: tuple[float, float] = (-3.0, 15.0)

    def __post_init__(self) -> None:
        settle_range(self, "rt60_s", 0.05, 10.0)
        settle_range(self, "drr_db", -30.0, 60.0)

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return at_rms(convolve(waveform, self.impulse_response(rng)), rms(waveform))

    def impulse_response(self, rng: np.random.Generator) -> np.ndarray:
        """One room drawn at random: (samples,) at 16 kHz, the direct sound a 1 at index 0."""
        rt60_s = rng.uniform(*self.rt60_s)
        samples = int(min(1.1 * rt60_s, _LONGEST_S) * SAMPLE_RATE)
        tail = _tail(samples, rt60_s, rng)
        early = _reflections(samples, rt60_s, rng)
        share = rng.uniform(0.2, 0.8)  # of the early reflections in the energy after the direct sound
        after: np.ndarray = at_rms(early, math.sqrt(share)) + at_rms(tail, math.sqrt(1.0 - share))
        energy = 10.0 ** (-rng.uniform(*self.drr_db) / 10.0)
        after *= math.sqrt(energy / np.sum(after**2))
        after[0] = 1.0  # the direct sound
        return after


def _tail(samples: int, rt60_s: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise that decays exponentially in each octave by itself (Polack's model of a room)."""
    size = fast_length(samples)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(size, 1.0 / SAMPLE_RATE), 1.0))
    spectrum = np.fft.rfft(rng.standard_normal(size))
    low, high = rng.uniform(0.9, 1.3), rng.uniform(0.3, 0.8)
    rt60s = rt60_s * np.interp(np.log2(_BANDS_HZ), np.log2((125.0, 500.0, 1000.0, 8000.0)), (low, 1.0, 1.0, high))
    time_s = np.arange(samples) / SAMPLE_RATE
    tail = np.zeros(samples)
    for index, band_rt60_s in enumerate(rt60s):
        # Triangles over the octaves that add up to 1: no band has an edge that could be heard.
        weights = np.interp(octaves, np.log2(_BANDS_HZ), np.eye(_BANDS_HZ.size)[index])
        band = np.fft.irfft(spectrum * weights, size)[:samples]
        tail += band * 10.0 ** (-3.0 * time_s / band_rt60_s)
    # The field takes a while to become dense; the reflections below fill that time.
    tail *= 1.0 - np.exp(-time_s / rng.uniform(0.002, 0.02))
    return tail


def _reflections(samples: int, rt60_s: float, rng: np.random.Generator) -> np.ndarray:
    """Four to twelve single echoes off the nearest surfaces, 1 to 50 ms after the direct sound."""
    response = np.zeros(samples)
    delays_s = rng.uniform(0.001, min(0.05, 0.3 * rt60_s), rng.integers(4, 13))
    signs = rng.choice((-1.0, 1.0, 1.0), delays_s.size)
    # Sound spreads out as 1/distance: an echo 3 ms later than a talker 1 m away has come twice as far.
    strengths = signs * rng.uniform(0.4, 1.0, delays_s.size) / (1.0 + delays_s / 0.003)
    np.add.at(response, (delays_s * SAMPLE_RATE).astype(int), strengths)
    return response
