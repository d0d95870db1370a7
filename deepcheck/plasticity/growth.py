"""Carrying out a plan: growing and pruning a whole model."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from deepcheck.plasticity.inits import INITS, Context
from deepcheck.plasticity.plan import Change
from deepcheck.plasticity.units import Plastic, UnitGroup, resize


def group_named(model: Plastic, name: str) -> UnitGroup:
    """The group as it is now: growing one may have changed the spans of another."""
    return next(group for group in model.groups() if group.name == name)


def grow(model: Plastic, changes: Sequence[Change], init: str, context: Context) -> dict[str, int]:
    """Add the units of each change, in place; returns the width before, by name of group.

    New weights are drawn from the generator of `context` alone.
    """
    fill = INITS.resolve(init)
    before: dict[str, int] = {}
    for change in changes:
        group = group_named(model, change.group.name)
        before.setdefault(group.name, group.width)
        grown = resize(model, group, add=change.units, generator=context.generator)
        fill(model, grown, group.width, context)
    return before


def prune(model: Plastic, keep: Mapping[str, Tensor]) -> None:
    """Keep of each named group the units with the given indices, in place."""
    for name, units in keep.items():
        resize(model, group_named(model, name), keep=torch.as_tensor(units))
