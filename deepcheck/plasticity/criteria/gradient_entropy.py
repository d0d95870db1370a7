"""As much by gradient as by feature entropy: the product of the two ranks."""

import torch
from torch import Tensor

from deepcheck.plasticity.statistics import GroupStatistics


def score(statistics: GroupStatistics, generator: torch.Generator) -> Tensor:
    """Rank by Taylor importance times rank by entropy, each from 0 to 1; units that tie share their mean rank.

    Ranks, because the two have no common unit and Taylor scores span decades; the product, because a unit that
    either says nothing or goes unheard is worth nothing.
    """
    return rank(statistics.taylor) * rank(statistics.entropy)


def rank(values: Tensor) -> Tensor:
    """(n,) -> (n,) the share of the others that are smaller, ties counting half; 1 for a single value."""
    if len(values) == 1:
        return torch.ones_like(values)
    below = (values[:, None] > values[None, :]).double().sum(1)
    ties = (values[:, None] == values[None, :]).double().sum(1) - 1
    return (below + ties / 2) / (len(values) - 1)
