"""Random incoming, zero reading weights: exact, and alive from the second step on."""

from torch import nn

from deepcheck.plasticity.inits import Context
from deepcheck.plasticity.units import UnitGroup


def fill(model: nn.Module, group: UnitGroup, first_new: int, context: Context) -> None:
    """Leaves the new units as `resize` makes them."""
