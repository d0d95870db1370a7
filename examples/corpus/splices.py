"""Partial copies: one stretch of a genuine clip is replaced by its copy, as an edited recording has it."""

import numpy as np
from copies import Copy

from deepcheck.audio.augment.levels import rms
from deepcheck.audio.decode import SAMPLE_RATE, Waveform

SHARE_OF_CLIP = (0.3, 0.7)
FADE_S = (0.005, 0.03)
SHARE_OF_COPIES = 0.1


def splice(make: Copy) -> Copy:
    """A method that copies one stretch and leaves the rest of the clip as it was, but for short cross-fades."""

    def make_part(clip: Waveform, rng: np.random.Generator) -> np.ndarray:
        copy = np.asarray(make(clip, rng), dtype=np.float64)
        if copy.size < clip.size:
            copy = np.pad(copy, (0, clip.size - copy.size))
        return clip + mask(clip.size, rng) * (_as_loud(copy[: clip.size], clip) - clip)

    return make_part


def mask(length: int, rng: np.random.Generator) -> np.ndarray:
    """1 where the copy is heard, 0 where the original is."""
    size = int(length * rng.uniform(*SHARE_OF_CLIP))
    start = int(rng.integers(0, length - size + 1))
    fade = max(1, int(rng.uniform(*FADE_S) * SAMPLE_RATE))
    ramp = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, fade))
    inside = np.zeros(length)
    inside[start : start + size] = 1.0
    if start:
        inside[start : start + fade] *= ramp[: length - start]
    if start + size < length:
        inside[start + size - fade : start + size] *= ramp[::-1]
    return inside


def _as_loud(copy: np.ndarray, clip: Waveform) -> np.ndarray:
    level = rms(copy)
    return copy * (rms(clip) / level) if level > 0 else copy
