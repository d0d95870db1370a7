"""Which units say what others say: how far the activation of one explains that of another, over time."""

import torch
from torch import Tensor


class Coactivation:
    """Sums of the activations of `units` and of their products, in one pass; memory is 8 bytes a pair."""

    def __init__(self, units: int) -> None:
        self.count = 0
        self.sums = torch.zeros(units, dtype=torch.float64)
        self.products = torch.zeros(units, units, dtype=torch.float64)

    def add(self, activations: Tensor) -> None:
        """Take in (moments, units)."""
        activations = activations.double()
        self.count += len(activations)
        self.sums += activations.sum(0).cpu()
        self.products += (activations.T @ activations).cpu()

    def explained(self) -> Tensor:
        """(units,) in double precision; see `explained`."""
        mean = self.sums / max(self.count, 1)
        covariance = self.products / max(self.count, 1) - torch.outer(mean, mean)
        # What is left of a constant is rounding.
        variance = covariance.diagonal().clamp_min(0)
        alive = variance > 1e-9 * (variance + mean.square()).clamp_min(1e-30)
        scale = variance.clamp_min(1e-300).rsqrt() * alive
        return explained((covariance * torch.outer(scale, scale)).square().clamp_max(1.0), alive)


def explained(squared: Tensor, alive: Tensor) -> Tensor:
    """(units, units) squared correlations, (units,) which vary at all -> (units,) shares of variance from 0 to 1.

    One by one the unit goes that another one of those left explains best, of the two the younger; its share is what
    that one explained of it then. So of twins one is all redundant, and the other only as far as a third explains it.
    The last unit is explained by none. One that never varies says nothing, and counts as explained.
    """
    left = squared.clone().fill_diagonal_(-1.0)
    share = torch.zeros(len(squared), dtype=torch.float64)
    share[~alive] = 1.0
    left[~alive, :] = left[:, ~alive] = -1.0
    best, by = left.max(1)
    for _ in range(int(alive.sum()) - 1):
        one = int(best.argmax())
        goes = max(one, int(by[one]))
        share[goes] = best[one]
        left[goes, :] = left[:, goes] = -1.0
        best[goes] = -1.0
        lost = (by == goes) & (best >= 0)
        if lost.any():
            best[lost], by[lost] = left[lost].max(1)
    return share
