"""Narrower bands: what low sample rates and telephones leave of a recording."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import soxr

from deepcheck.audio.augment import SAMPLE_RATE
from deepcheck.audio.augment.filtering import shape_spectrum
from deepcheck.audio.augment.levels import amplitude
from deepcheck.audio.augment.settings import settle_choices, settle_number, settle_range

_METHODS = ("filter", "resample")
_QUALITIES = ("HQ", "MQ", "LQ")  # soxr's; they differ in how steep they are and how much they let through


@dataclass(frozen=True)
class BandLimit:
    """Removes everything above a frequency drawn from `cutoff_hz`, at least some 40 dB of it.

    `methods`, one of which is drawn for each clip: "filter" fades out over a share of the cutoff drawn from
    `transition`, down to a floor drawn from `stop_db`; "resample" goes down to twice the cutoff and back,
    with the traces that a real resampler leaves. With probability `low_cut_share` everything below a
    frequency drawn from `low_cut_hz` goes as well, as on a telephone line.
    """

    stage: ClassVar[Literal["waveform", "features"]] = "waveform"

    cutoff_hz: tuple[float, float] = (1500.0, 7500.0)
    methods: tuple[str, ...] = _METHODS
    transition: tuple[float, float] = (0.02, 0.4)
    stop_db: tuple[float, float] = (40.0, 100.0)
    low_cut_share: float = 0.2
    low_cut_hz: tuple[float, float] = (150.0, 400.0)

    def __post_init__(self) -> None:
        settle_range(self, "cutoff_hz", 500.0, 8000.0)
        settle_choices(self, "methods", _METHODS)
        settle_range(self, "transition", 0.001, 0.9)
        settle_range(self, "stop_db", 10.0, 200.0)
        settle_number(self, "low_cut_share", 0.0, 1.0)
        settle_range(self, "low_cut_hz", 10.0, 1000.0)

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        cutoff_hz = rng.uniform(*self.cutoff_hz)
        floor = amplitude(-rng.uniform(*self.stop_db))
        width = rng.uniform(*self.transition)
        if self.methods[rng.integers(len(self.methods))] == "resample":
            result = _resampled(waveform, 2.0 * cutoff_hz, _QUALITIES[rng.integers(len(_QUALITIES))])
        else:
            result = shape_spectrum(
                waveform, lambda hz: np.maximum(_fade(cutoff_hz * (1.0 - width), cutoff_hz, hz), floor)
            )
        if rng.random() < self.low_cut_share:
            low_hz = rng.uniform(*self.low_cut_hz)
            edge = low_hz * (1.0 - width)
            result = shape_spectrum(result, lambda hz: np.maximum(1.0 - _fade(edge, low_hz, hz), floor))
        return result


def _fade(start_hz: float, end_hz: float, hz: np.ndarray) -> np.ndarray:
    """1 up to `start_hz`, 0 from `end_hz` on, half a cosine in between."""
    position = np.clip((hz - start_hz) / (end_hz - start_hz), 0.0, 1.0)
    return 0.5 * (1.0 + np.cos(np.pi * position))


def _resampled(waveform: np.ndarray, rate_hz: float, quality: str) -> np.ndarray:
    low = soxr.resample(waveform, SAMPLE_RATE, rate_hz, quality)
    back = soxr.resample(low, rate_hz, SAMPLE_RATE, quality)[: waveform.size]
    return np.pad(back, (0, waveform.size - back.size))
