"""Size of the weights (Li et al. 2017, arXiv:1608.08710, with the Euclidean norm and both sides of the unit)."""

import torch
from torch import Tensor

from deepcheck.plasticity.statistics import UnitStatistics


def score(statistics: UnitStatistics, generator: torch.Generator) -> Tensor:
    """The norm of the unit's weights, in means of its group once pooled; needs no data."""
    return statistics.magnitude
