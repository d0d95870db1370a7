"""Overdriven recordings."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from deepcheck.audio.augment.settings import settle_choices, settle_range


def _hard(waveform: np.ndarray, limit: np.float32) -> np.ndarray:
    cut: np.ndarray = np.clip(waveform, -limit, limit)
    return cut


def _soft(waveform: np.ndarray, limit: np.float32) -> np.ndarray:
    bent: np.ndarray = limit * np.tanh(waveform / limit)
    return bent


_CURVES = {"hard": _hard, "soft": _soft}


@dataclass(frozen=True)
class Clipping:
    """Limits the waveform to a share, drawn from `limit`, of its own largest sample.

    `curves`: "hard" cuts the peaks flat as a full converter does; "soft" bends them (tanh) as an amplifier
    does. One of them is drawn for each clip. The level is not made up for afterwards.
    """

    stage: ClassVar[Literal["waveform", "features"]] = "waveform"

    limit: tuple[float, float] = (0.1, 0.7)
    curves: tuple[str, ...] = ("hard", "soft")

    def __post_init__(self) -> None:
        settle_range(self, "limit", 0.001, 1.0)
        settle_choices(self, "curves", _CURVES)

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        curve = _CURVES[self.curves[rng.integers(len(self.curves))]]
        limit = np.float32(rng.uniform(*self.limit) * np.abs(waveform).max(initial=0.0))
        return curve(waveform, limit) if limit > 0.0 else waveform
