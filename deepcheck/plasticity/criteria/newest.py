"""Last in, first out: exactly what the last growth added goes, and the old network is back."""

import torch
from torch import Tensor

from deepcheck.plasticity.statistics import UnitStatistics


def score(statistics: UnitStatistics, generator: torch.Generator) -> Tensor:
    """Minus the place of a unit among those that the last growth added: units are appended, so place is age."""
    return 0 - statistics.added
