"""Level changes, so that loudness tells a detector nothing."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from deepcheck.audio.augment.levels import amplitude
from deepcheck.audio.augment.settings import settle_range


@dataclass(frozen=True)
class Gain:
    """Louder or quieter by a number of decibels drawn from `gain_db`.

    Samples beyond ±1 stay as they are: nothing is clipped (that is the augmentation `clipping`).
    """

    stage: ClassVar[Literal["waveform", "features"]] = "waveform"

    gain_db: tuple[float, float] = (-12.0, 6.0)

    def __post_init__(self) -> None:
        settle_range(self, "gain_db", -120.0, 60.0)

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return waveform * np.float32(amplitude(rng.uniform(*self.gain_db)))
