"""Last in, first out: exactly what the last growth added goes.

The old network is back, unless it was trained since or grew by net2net, which shares the reading weights of old units
with their copies.
"""

import torch
from torch import Tensor

from deepcheck.plasticity.statistics import UnitStatistics


def score(statistics: UnitStatistics, generator: torch.Generator) -> Tensor:
    """Minus the place of a unit among those that the last growth added: units are appended, so place is age."""
    return 0 - statistics.added
