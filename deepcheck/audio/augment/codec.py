"""Lossy compression: nearly all speech has seen it, and detectors stand it badly (arXiv:2503.17577)."""

import logging
from dataclasses import dataclass, field
from functools import cache
from typing import ClassVar, Literal

import numpy as np

from deepcheck.audio.augment.codec_formats import FORMATS, available
from deepcheck.audio.augment.codec_round_trip import round_trip
from deepcheck.audio.augment.settings import settle_choices, settle_range
from deepcheck.errors import AudioError, ConfigError
from deepcheck.registry import did_you_mean

_log = logging.getLogger(__name__)

Mode = tuple[int, float]
"""Sample rate in Hz, bit rate in kbit/s."""


@dataclass(frozen=True)
class Codec:
    """Encodes the clip with one of `codecs` and decodes it again; same length, no delay.

    For each clip a codec is drawn, then one of its modes (sample rate and bit rate, see
    `codec_formats.FORMATS`) whose bit rate lies within `bitrates_kbps`. No `codecs` means all that this
    machine's ffmpeg libraries can write; a named one that they cannot is a `ConfigError`. Should a round
    trip fail after all, the clip stays as it is and the log says so, once for each mode.
    """

    stage: ClassVar[Literal["waveform", "features"]] = "waveform"

    codecs: tuple[str, ...] = ()
    bitrates_kbps: tuple[float, float] = (4.0, 128.0)
    _modes: tuple[tuple[str, tuple[Mode, ...]], ...] = field(default=(), init=False, repr=False)

    def __post_init__(self) -> None:
        settle_choices(self, "codecs", FORMATS, empty=True)
        settle_range(self, "bitrates_kbps", 1.0, 1000.0)
        here = available()
        for name in self.codecs:
            if name not in here:
                raise ConfigError(
                    f'the codec "{name}" is not in this build of ffmpeg\'s libraries.',
                    did_you_mean(name, here),
                )
        modes = [(name, self._modes_of(name)) for name in self.codecs or here]
        for name, found in modes:
            if not found and self.codecs:
                rates = sorted({kbps for rates in FORMATS[name].modes.values() for kbps in rates})
                raise ConfigError(
                    f'the codec "{name}" has no bit rate within {list(self.bitrates_kbps)} kbit/s.',
                    f"It has: {', '.join(f'{kbps:g}' for kbps in rates)}.",
                )
        object.__setattr__(self, "_modes", tuple((name, found) for name, found in modes if found))
        if not self._modes:
            raise ConfigError(
                f"no codec has a bit rate within {list(self.bitrates_kbps)} kbit/s.",
                f"Widen bitrates_kbps; the codecs here are: {', '.join(here) or 'none'}.",
            )

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        name, modes = self._modes[rng.integers(len(self._modes))]
        rate_hz, kbps = modes[rng.integers(len(modes))]
        if not waveform.size:
            return waveform
        try:
            return round_trip(waveform, name, rate_hz, kbps)
        except AudioError as error:
            _report(name, rate_hz, kbps, str(error))
            return waveform

    def _modes_of(self, name: str) -> tuple[Mode, ...]:
        low, high = self.bitrates_kbps
        modes = FORMATS[name].modes.items()
        return tuple((rate_hz, kbps) for rate_hz, rates in modes for kbps in rates if low <= kbps <= high)


@cache
def _report(name: str, rate_hz: int, kbps: float, reason: str) -> None:
    _log.warning("Codec augmentation left a clip as it was: %s (said once)", reason)
