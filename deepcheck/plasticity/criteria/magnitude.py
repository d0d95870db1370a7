"""Size of the weights (Li et al. 2017, arXiv:1608.08710, with the Euclidean norm and both sides of the unit)."""

import torch
from torch import Tensor

from deepcheck.plasticity.statistics import GroupStatistics


def score(statistics: GroupStatistics, generator: torch.Generator) -> Tensor:
    """The norm of the unit's weights; needs no data."""
    return statistics.magnitude
