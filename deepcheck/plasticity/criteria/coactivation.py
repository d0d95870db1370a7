"""Units that fire together: what another unit says as well need not be said twice.

Hebbian in what it looks at (Hebb 1949); as a criterion it is the redundancy by correlation of Srinivas and Babu 2015
(arXiv:1507.06149), of activations in the place of weights.
"""

import torch
from torch import Tensor

from deepcheck.plasticity.statistics import UnitStatistics


def score(statistics: UnitStatistics, generator: torch.Generator) -> Tensor:
    """The share of the variance of the unit's activation over time that no other unit of its group explains."""
    return 1 - statistics.explained
