"""Chance: the control that every other criterion has to beat."""

import torch
from torch import Tensor

from deepcheck.plasticity.statistics import UnitStatistics


def score(statistics: UnitStatistics, generator: torch.Generator) -> Tensor:
    """Random numbers from `generator`."""
    return torch.rand(len(statistics), generator=generator, dtype=torch.float64)
