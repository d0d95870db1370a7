"""As much by gradient as by feature entropy: the product of the two ranks."""

import torch
from torch import Tensor

from deepcheck.plasticity.statistics import UnitStatistics


def score(statistics: UnitStatistics, generator: torch.Generator) -> Tensor:
    """Rank by Taylor importance times rank by entropy, each from 0 to 1.

    Ranks, because the two have no common unit and Taylor scores span decades; the product, because a unit that
    either says nothing or goes unheard is worth nothing.
    """
    return rank(statistics.taylor) * rank(statistics.entropy)


def rank(values: Tensor) -> Tensor:
    """(n,) -> (n,) the share of the others that are smaller; 1 for a single value.

    Ties rank low, not in their middle: all units that nobody reads yet have the lowest rank, however many they are.
    """
    if len(values) == 1:
        return torch.ones_like(values)
    return torch.searchsorted(values.sort().values, values).to(values.dtype) / (len(values) - 1)
