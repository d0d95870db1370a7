"""Silence at the ends of a clip, which must not tell the classes apart.

The length of the leading silence alone separates the classes of ASVspoof 2019 with an EER of 15 %, and a
detector trained there leans on it (Müller et al. 2021, arXiv:2106.12914). Digital zeros, which some
synthesisers write and no microphone does, are the same kind of shortcut.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from deepcheck.audio.augment import SAMPLE_RATE
from deepcheck.audio.augment.filtering import shaped_noise
from deepcheck.audio.augment.levels import amplitude, at_rms, frame_rms
from deepcheck.audio.augment.settings import settle_choices, settle_number, settle_range

_ACTIONS = ("trim", "insert")
_FILLS = ("zeros", "noise", "floor")
_TRIM_FRAME = 160  # 10 ms
_FLOOR_FRAME = 512  # 32 ms: long enough for the colour of a room's noise, short enough to fit between words


@dataclass(frozen=True)
class Silence:
    """Shortens or lengthens the silence at the beginning and, drawn separately, at the end.

    `actions`: "trim" cuts up to the first frame (10 ms) that is louder than `threshold_db` relative to the
    loudest one, but for a margin drawn from `margin_s`; "insert" adds a stretch of `insert_s` seconds made of
    one of `fills`: digital "zeros", white "noise" at `noise_dbfs`, or noise with the level and colour of the
    clip's own "floor".
    """

    stage: ClassVar[Literal["waveform", "features"]] = "waveform"

    actions: tuple[str, ...] = _ACTIONS
    threshold_db: float = -40.0
    margin_s: tuple[float, float] = (0.0, 0.3)
    insert_s: tuple[float, float] = (0.0, 0.7)
    fills: tuple[str, ...] = _FILLS
    noise_dbfs: tuple[float, float] = (-80.0, -50.0)

    def __post_init__(self) -> None:
        settle_choices(self, "actions", _ACTIONS)
        settle_number(self, "threshold_db", -120.0, -1.0)
        settle_range(self, "margin_s", 0.0, 60.0)
        settle_range(self, "insert_s", 0.0, 60.0)
        settle_choices(self, "fills", _FILLS)
        settle_range(self, "noise_dbfs", -140.0, 0.0)

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        for _ in range(2):  # the beginning, then, read backwards, the end
            waveform = self._treat_beginning(waveform, rng)[::-1]
        return np.ascontiguousarray(waveform)

    def _treat_beginning(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if self.actions[rng.integers(len(self.actions))] == "trim":
            margin = int(rng.uniform(*self.margin_s) * SAMPLE_RATE)
            return waveform[max(self._onset(waveform) - margin, 0) :]
        samples = int(rng.uniform(*self.insert_s) * SAMPLE_RATE)
        return np.concatenate((self._filling(waveform, samples, rng), waveform))

    def _onset(self, waveform: np.ndarray) -> int:
        levels = frame_rms(waveform, _TRIM_FRAME)
        loud = levels > levels.max(initial=0.0) * amplitude(self.threshold_db)
        return int(loud.argmax()) * _TRIM_FRAME if loud.any() else 0

    def _filling(self, waveform: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
        fill = self.fills[rng.integers(len(self.fills))]
        if fill == "noise":
            level = np.float32(amplitude(rng.uniform(*self.noise_dbfs)))
            return level * rng.standard_normal(samples, dtype=np.float32)
        if fill == "floor":
            return _own_floor(waveform, samples, rng)
        return np.zeros(samples, np.float32)


def _own_floor(waveform: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Noise with the average spectrum of the quietest tenth of the clip; zeros if the clip is too short."""
    levels = frame_rms(waveform, _FLOOR_FRAME)
    if not levels.size:
        return np.zeros(samples, np.float32)
    quietest = np.argsort(levels, kind="stable")[: max(levels.size // 10, 1)]
    frames = waveform[: levels.size * _FLOOR_FRAME].reshape(-1, _FLOOR_FRAME)[quietest]
    spectrum = np.sqrt(np.mean(np.abs(np.fft.rfft(frames * np.hanning(_FLOOR_FRAME))) ** 2, axis=0))
    bins_hz = np.fft.rfftfreq(_FLOOR_FRAME, 1.0 / SAMPLE_RATE)
    noise = shaped_noise(samples, lambda hz: np.interp(hz, bins_hz, spectrum), rng)
    return at_rms(noise, float(np.sqrt(np.mean(levels[quietest] ** 2))))
