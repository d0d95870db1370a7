"""Chance: the control that every other criterion has to beat."""

import torch
from torch import Tensor

from deepcheck.plasticity.statistics import GroupStatistics


def score(statistics: GroupStatistics, generator: torch.Generator) -> Tensor:
    """Random numbers from `generator`."""
    return torch.rand(statistics.group.width, generator=generator, dtype=torch.float64)
