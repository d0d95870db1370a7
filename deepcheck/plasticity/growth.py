"""Carrying out a plan: growing and pruning a whole model."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from deepcheck.errors import ConfigError
from deepcheck.plasticity.inits import INITS, Context
from deepcheck.plasticity.plan import Change
from deepcheck.plasticity.units import Plastic, UnitGroup, resize


def group_named(model: Plastic, name: str) -> UnitGroup:
    """The group as it is now: growing one may have changed the spans of another."""
    return next(group for group in model.groups() if group.name == name)


def grow(model: Plastic, changes: Sequence[Change], init: str, context: Context) -> dict[str, int]:
    """Add the units of each change, in place; returns the width before, by name of group.

    New weights are drawn from the generator of `context` alone. Units that are whole modules come as their `make` makes
    them, so for these there is no other init than `zero`: `ConfigError`. So there is for more units than there can be.
    """
    fill = INITS.resolve(init)
    before: dict[str, int] = {}
    for change in changes:
        group = group_named(model, change.group.name)
        if group.stack is not None and init != "zero":
            raise ConfigError(f"A {group.part} has no init {init}.", "Take --init zero: it changes no output either.")
        if group.width + change.units > group.most:
            raise ConfigError(
                f"{group.name} has {group.width} units and cannot have {change.units} more.",
                f"At most {group.most} are possible.",
            )
        before.setdefault(group.name, group.width)
        grown = resize(model, group, add=change.units, generator=context.generator)
        if group.stack is None:
            fill(model, grown, group.width, context)
    return before


def prune(model: Plastic, keep: Mapping[str, Tensor]) -> None:
    """Keep of each named group the units with the given indices, in place."""
    for name, units in keep.items():
        resize(model, group_named(model, name), keep=torch.as_tensor(units))
