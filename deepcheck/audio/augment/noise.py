"""Additive noise, synthetic or from recordings, at a signal-to-noise ratio."""

import logging
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from deepcheck.audio.augment.levels import active_power, amplitude, at_rms, power
from deepcheck.audio.augment.noise_kinds import KINDS
from deepcheck.audio.augment.settings import settle_choices, settle_range
from deepcheck.errors import AudioError, ConfigError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Noise:
    """Adds noise, `snr_db` below the power that the clip has while somebody speaks (`levels.active_power`).

    One of `kinds` (see `noise_kinds`) is drawn for each clip. `folder` adds one more kind: a stretch of a
    recording in that folder or below it, repeated where it is too short; `kinds=[]` leaves only those.
    A clip without any signal stays as it is, since no ratio can be had.
    """

    stage: ClassVar[Literal["waveform", "features"]] = "waveform"

    snr_db: tuple[float, float] = (5.0, 30.0)
    kinds: tuple[str, ...] = tuple(KINDS)
    folder: str | Path | None = None
    _recordings: tuple[Path, ...] = field(default=(), init=False, repr=False)

    def __post_init__(self) -> None:
        settle_range(self, "snr_db", -50.0, 100.0)
        settle_choices(self, "kinds", KINDS, empty=self.folder is not None)
        if self.folder is not None:
            object.__setattr__(self, "_recordings", _recordings_below(Path(str(self.folder)).expanduser()))

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        loudness = active_power(waveform)
        if not loudness > 0.0:
            return waveform
        drawn = rng.integers(len(self.kinds) + bool(self._recordings))
        if drawn < len(self.kinds):
            noise = KINDS[self.kinds[drawn]](waveform.size, rng)
        else:
            noise = self._recorded(waveform.size, rng)
        level = np.sqrt(loudness) / amplitude(rng.uniform(*self.snr_db))
        noisy: np.ndarray = waveform + at_rms(noise, float(level))
        return noisy

    def _recorded(self, samples: int, rng: np.random.Generator) -> np.ndarray:
        for index in rng.permutation(len(self._recordings)):  # as a rule the first one will do
            recording = _read(self._recordings[index])
            if not recording.size:
                continue
            start = int(rng.integers(max(recording.size - samples, 0) + 1))
            stretch = np.resize(recording[start : start + samples], samples)
            if power(stretch) > 0.0:
                return stretch
        raise ConfigError(
            f"None of the {len(self._recordings)} noise recordings in {self.folder} has any sound in it.",
            "Give another folder, or none.",
        )


def _recordings_below(folder: Path) -> tuple[Path, ...]:
    from deepcheck.audio.decode import EXTENSIONS

    if not folder.is_dir():
        raise ConfigError(f"folder is {str(folder)!r}, and there is no such folder.")
    files = (path for path in folder.rglob("*") if path.suffix.lower().lstrip(".") in EXTENSIONS)
    found = tuple(sorted(path for path in files if path.is_file()))
    if not found:
        raise ConfigError(f"folder is {str(folder)!r}, which holds no recordings.")
    return found


@lru_cache(maxsize=32)  # noise recordings are often minutes long; decoding one for each clip would dominate
def _read(path: Path) -> np.ndarray:
    """The recording, or nothing if it cannot be decoded: one bad file must not end a night's training."""
    from deepcheck.audio.decode import read

    try:
        return read(path)
    except AudioError as error:
        _log.warning("The noise recording %s is left out: %s", path, error)
        return np.zeros(0, np.float32)
