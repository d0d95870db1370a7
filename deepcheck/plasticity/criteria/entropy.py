"""Entropy of the features (Luo and Wu 2017, arXiv:1706.05791)."""

import torch
from torch import Tensor

from deepcheck.plasticity.statistics import UnitStatistics


def score(statistics: UnitStatistics, generator: torch.Generator) -> Tensor:
    """How many nats the unit's mean activation varies by from recording to recording; 0 for a constant one."""
    return statistics.entropy
