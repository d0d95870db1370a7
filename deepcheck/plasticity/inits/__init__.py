"""How new units begin, by name; each in a file of its own.

An init is a function `(model, group, first_new, context)` that rewrites, in place, what the units of `group` from
`first_new` on hold, after `resize` has given them random incoming and zero reading weights.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from deepcheck.registry import Registry

INITS = Registry(
    "init",
    {
        "zero": "deepcheck.plasticity.inits.zero:fill",
        "net2net": "deepcheck.plasticity.inits.net2net:fill",
        "gradmax": "deepcheck.plasticity.inits.gradmax:fill",
        "hebbian": "deepcheck.plasticity.inits.hebbian:fill",
        "random": "deepcheck.plasticity.inits.random:fill",
    },
)
EXACT = frozenset({"zero", "net2net", "gradmax", "hebbian"})
"""Inits after which the grown model gives the outputs that it gave before."""


@dataclass(frozen=True)
class Context:
    """What an init may use: randomness, and a way to get gradients of the loss on data into the parameters.

    `backward` clears the gradients, runs over some batches and leaves the sum of their gradients; it is None
    where no data was given.
    """

    generator: torch.Generator
    backward: Callable[[], None] | None = None
