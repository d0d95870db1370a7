"""First-order Taylor importance (Molchanov et al. 2019, arXiv:1906.10771)."""

import torch
from torch import Tensor

from deepcheck.plasticity.statistics import UnitStatistics


def score(statistics: UnitStatistics, generator: torch.Generator) -> Tensor:
    """The mean squared change of the loss, to first order, if the unit were silent; 0 for one that nobody reads."""
    return statistics.taylor
