"""Bars over the spectrogram: SpecAugment (Park et al. 2019, arXiv:1904.08779) without its time warp."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from deepcheck.audio.augment.settings import settle_count, settle_range


@dataclass(frozen=True)
class SpecAugment:
    """Hides `frequency_masks` bands of bins and `time_masks` stretches of frames in each item of a batch.

    The width of each mask is drawn from `frequency_width` and `time_width`, shares of the axis, so that one
    setting serves every front end and clip length. Masked values become the mean of the item: zero, the
    paper's choice for normalised features, would be a loud value on a log-mel axis that is not normalised.
    """

    stage: ClassVar[Literal["waveform", "features"]] = "features"

    frequency_masks: int = 2
    frequency_width: tuple[float, float] = (0.0, 0.15)
    time_masks: int = 2
    time_width: tuple[float, float] = (0.0, 0.1)

    def __post_init__(self) -> None:
        settle_count(self, "frequency_masks", 0, 100)
        settle_range(self, "frequency_width", 0.0, 1.0)
        settle_count(self, "time_masks", 0, 100)
        settle_range(self, "time_width", 0.0, 1.0)

    def __call__(self, features: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """`features` (batch, ..., bins, frames) with masks; the axes in between share those of their item."""
        batch, bins, frames = len(features), features.shape[-2], features.shape[-1]
        rows = _bars(batch, bins, self.frequency_masks, self.frequency_width, generator)
        columns = _bars(batch, frames, self.time_masks, self.time_width, generator)
        middle = (1,) * (features.dim() - 3)
        hidden = rows.reshape(batch, *middle, bins, 1) | columns.reshape(batch, *middle, 1, frames)
        mean = features.mean(dim=tuple(range(1, features.dim())), keepdim=True)
        return torch.where(hidden.to(features.device), mean, features)


def _bars(batch: int, size: int, count: int, width: tuple[float, float], generator: torch.Generator) -> torch.Tensor:
    """(batch, size), true under any of `count` masks."""
    draws = torch.rand(2, batch, count, 1, generator=generator, device=generator.device)
    length = torch.round(size * (width[0] + (width[1] - width[0]) * draws[0]))
    start = torch.floor(draws[1] * (size - length + 1))
    position = torch.arange(size, device=draws.device)
    return ((position >= start) & (position < start + length)).any(dim=1)
