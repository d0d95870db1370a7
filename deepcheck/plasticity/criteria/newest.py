"""Last in, first out: exactly what the last growth added goes, and the old network is back."""

import torch
from torch import Tensor

from deepcheck.plasticity.statistics import GroupStatistics


def score(statistics: GroupStatistics, generator: torch.Generator) -> Tensor:
    """Minus the position of a unit, which is the order in which units were added."""
    return -torch.arange(statistics.group.width, dtype=torch.float64)
