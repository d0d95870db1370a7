"""The pitch of a clip by autocorrelation, for the vocoders that are built here."""

from dataclasses import dataclass

import numpy as np

from deepcheck.audio.decode import SAMPLE_RATE


@dataclass(frozen=True)
class Pitch:
    """Every `hop` samples: the fundamental frequency `hz`, 0 without a voice, and how periodic it is, 0 to 1."""

    hz: np.ndarray
    strength: np.ndarray
    hop: int


def track(clip: np.ndarray, hop: int, low_hz: float, high_hz: float, threshold: float) -> Pitch:
    """Frames of three longest periods are correlated with themselves; the path that jumps least is taken."""
    size = int(3 * SAMPLE_RATE / low_hz)
    count = clip.size // hop + 1
    padded = np.pad(clip.astype(np.float64), (size // 2, size))
    frames = padded[np.arange(count)[:, None] * hop + np.arange(size)]
    frames = (frames - frames.mean(1, keepdims=True)) * np.hanning(size)
    window = _correlation(np.hanning(size)[None])
    correlation = _correlation(frames) / np.maximum(window / window[:, :1], 1e-3)
    energy = correlation[:, :1].copy()
    loud = energy[:, 0] > 1e-4 * np.percentile(energy, 95)
    lags = np.arange(int(SAMPLE_RATE / high_hz), int(SAMPLE_RATE / low_hz) + 1)
    # Octave below octave fits as well: shorter periods are preferred a little.
    scores = correlation[:, lags] / np.maximum(energy, 1e-12) - 0.03 * np.log2(lags / lags[0])
    path = _smoothest(scores, np.log2(lags))
    best = np.take_along_axis(correlation[:, lags], path[:, None], 1)[:, 0] / np.maximum(energy[:, 0], 1e-12)
    voiced = (best > threshold) & loud
    return Pitch(np.where(voiced, SAMPLE_RATE / lags[path], 0.0), np.clip(best, 0.0, 1.0), hop)


def _correlation(frames: np.ndarray) -> np.ndarray:
    size = 2 * frames.shape[1]
    return np.fft.irfft(np.abs(np.fft.rfft(frames, size)) ** 2, size)[:, : frames.shape[1]]


def _smoothest(scores: np.ndarray, octaves: np.ndarray) -> np.ndarray:
    """Viterbi over the eight best lags of each frame; an octave's jump costs as much as 0.3 of correlation."""
    candidates = np.argsort(-scores, axis=1)[:, :8]
    values = np.take_along_axis(scores, candidates, 1)
    total, back = values[0], np.zeros(candidates.shape, int)
    for at in range(1, len(scores)):
        jumps = np.abs(octaves[candidates[at]][:, None] - octaves[candidates[at - 1]][None])
        costs = total[None] - 0.3 * jumps
        back[at] = costs.argmax(1)
        total = values[at] + costs.max(1)
    path = np.zeros(len(scores), int)
    path[-1] = total.argmax()
    for at in range(len(scores) - 1, 0, -1):
        path[at - 1] = back[at, path[at]]
    return np.take_along_axis(candidates, path[:, None], 1)[:, 0]
