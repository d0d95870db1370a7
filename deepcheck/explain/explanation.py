"""The explanation of one window: where it speaks for a spoof, on axes of seconds and Hz."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from deepcheck.audio.decode import SAMPLE_RATE, Waveform
from deepcheck.audio.frontend import Frontend, mel
from deepcheck.audio.windows import tile
from deepcheck.detectors.base import Detector
from deepcheck.errors import DataError
from deepcheck.explain import EXPLAINERS
from deepcheck.explain.undisturbed import undisturbed

Array = NDArray[np.float32]
Times = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where a stretch of a recording, `start_s` to `end_s`, speaks for a spoof.

    `heat`, 0 to 1, is (bins, frames) with `frequencies_hz` (bins,), or (1, frames) with None where the method knows
    no frequencies. It is relative: 1 is as strong as the strongest evidence in the stretch, whichever way that speaks,
    and what is 0 does not speak for a spoof. So where all speaks for bona fide nothing is hot; and how hot two
    stretches are does not compare them. `times_s` (frames,) are positions in the recording; places closer than
    `resolution_s` cannot be told apart. `spectrogram` (bins, frames) is in dB, with axes of its own.
    """

    method: str
    start_s: float
    end_s: float
    heat: Array
    times_s: Times
    frequencies_hz: Array | None
    resolution_s: float
    spectrogram: Array
    spectrogram_times_s: Times
    spectrogram_hz: Array


def explain(detector: Detector, waveform: Waveform, start_s: float = 0.0, method: str | None = None) -> Explanation:
    """What in one window, (samples,) at 16 kHz in float32, speaks for a spoof; `start_s` is its place in the recording.

    `method` is a row of `EXPLAINERS`, by default the one that suits the detector; of several detectors in one the first
    is explained (`Detector.leader`). A waveform shorter than the window of the detector is repeated, as in a scan, and
    each moment gets the mean of what its repetitions say. The same detector and samples give the same numbers; the
    detector is left as it was, on its device. No other thread may use it meanwhile.

    Raises `DataError` for what is no window (empty, longer than the detector's, not finite) or gives no numbers,
    `ConfigError` for a method that does not exist or does not suit the detector.
    """
    detector = detector.leader()
    name = detector.explainer if method is None else method
    explainer = EXPLAINERS.resolve(name)
    samples = np.asarray(waveform, dtype=np.float32)
    size = round(detector.window_s * SAMPLE_RATE)
    if samples.ndim != 1 or not 0 < len(samples) <= size or not np.isfinite(samples).all():
        raise DataError(
            f"This is no window to explain: an array of shape {samples.shape}, or not finite.",
            f"Give up to {size} samples of one recording, which is {detector.window_s:g} s.",
        )
    duration_s, window_s = len(samples) / SAMPLE_RATE, size / SAMPLE_RATE
    window = tile(samples, size)
    with undisturbed(detector) as able:
        evidence = explainer(able, torch.from_numpy(window)[None].to(next(able.parameters()).device))
        spectrogram, spectrogram_hz = _spectrogram(window)
    values = evidence.values.double().cpu().numpy()
    if not np.isfinite(values).all():
        raise DataError("The detector gives no numbers for this stretch.", "Its weights may be damaged.")
    frame_s = evidence.frame_s
    values = _folded(values, frame_s, duration_s, window_s)
    spectrogram = spectrogram[:, : 1 + int(duration_s / _HOP_S + 1e-6)]
    return Explanation(
        name,
        start_s,
        start_s + duration_s,
        (values.clip(0) / max(np.abs(values).max(), _LEAST)).astype(np.float32),
        start_s + (np.arange(values.shape[1]) + 0.5) * frame_s,
        evidence.frequencies_hz,
        evidence.resolution * frame_s,
        spectrogram,
        start_s + _HOP_S * np.arange(spectrogram.shape[1], dtype=np.float64),
        spectrogram_hz,
    )


def _folded(values: NDArray[np.float64], frame_s: float, duration_s: float, window_s: float) -> NDArray[np.float64]:
    """Of a recording that was repeated to fill the window, the mean over the repetitions."""
    at = (np.arange(values.shape[1]) + 0.5) * frame_s
    at, values = at[at < window_s], values[:, at < window_s]
    first = at[: max(1, int((at < duration_s).sum()))]
    total, count = np.zeros((len(values), len(first))), np.zeros(len(first))
    for shift in np.arange(0, window_s, duration_s):
        there = first + shift < window_s
        total += there * np.array([np.interp(first + shift, at, row) for row in values])
        count += there
    return total / np.maximum(count, 1)


_HOP_S = 0.01
_LEAST = 1e-12  # less than this is no evidence, but the noise of arithmetic


@cache
def _frontend() -> Frontend:
    return mel(hop_ms=1000 * _HOP_S, normalise="none")


def _spectrogram(window: Waveform) -> tuple[Array, Array]:
    """(bins, frames) in dB, the floor at -60, and the (bins,) frequencies."""
    frontend = _frontend()
    assert frontend.frequencies_hz is not None
    with torch.no_grad():
        power = frontend(torch.from_numpy(window)[None])[0, 0]
    return (10 / math.log(10) * power.numpy()).astype(np.float32), frontend.frequencies_hz
