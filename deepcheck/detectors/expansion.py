"""Block expansion: behind a layer of an encoder a copy of it, which begins silent.

After ExHuBERT (Amiriparian et al. 2024, arXiv:2406.10275): z = y + Z L'(y) with y = L(y'), L' a copy of L, and Z a
linear layer that is zero at first.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from copy import deepcopy

import torch
from torch import Tensor, nn

from deepcheck.detectors.hooks import hooked
from deepcheck.plasticity.units import Stack, UnitGroup


class Block(nn.Module):
    """A copy of `layer`, which gives `width` values a step, behind a skip connection and a silent projection.

    It learns where the layer does.
    """

    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__()
        self.layer = deepcopy(layer)
        like = next(self.layer.parameters())
        self.gate = nn.utils.skip_init(nn.Linear, width, width, device=like.device, dtype=like.dtype)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)
        self.gate.requires_grad_(any(parameter.requires_grad for parameter in layer.parameters()))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gate(self.layer(x))


def no_blocks(layers: int) -> nn.ModuleList:
    """Room for blocks behind each of so many layers; without any, it adds nothing to a model or its file."""
    return nn.ModuleList(nn.ModuleList() for _ in range(layers))


def groups_with_blocks(
    model: nn.Module, layers: str, blocks: str, width: int, groups_of: Callable[[str, int], list[UnitGroup]]
) -> list[UnitGroup]:
    """The groups of every layer and of the blocks behind it, counted as layers of their own in the order of the pass.

    `layers` and `blocks` are the paths of the two lists, `groups_of` gives the groups of a layer from its path and
    number. A layer has a group `block` beside; those of its blocks come after that, so that set in this order all
    widths can be restored.
    """
    groups: list[UnitGroup] = []
    number = 0
    for i, layer in enumerate(_children(model, layers)):
        own = f"{blocks}.{i}"
        count = len(_children(model, own))
        paths = [f"{layers}.{i}", *(f"{own}.{j}.layer" for j in range(count))]
        groups += groups_of(paths[0], number + 1)
        make = _copies(layer, width)
        groups.append(UnitGroup(own, number + 1, "block", count, stack=Stack(own, make, outlet="gate")))
        for place, path in enumerate(paths[1:], start=2):
            groups += groups_of(path, number + place)
        number += len(paths)
    return groups


def expanded(layers: Iterable[nn.Module], blocks: Iterable[nn.Module]) -> AbstractContextManager[None]:
    """Within, each of `layers` gives what comes out of the blocks behind it: for encoders that run their layers
    themselves."""
    return hooked(
        (layer, lambda _module, _inputs, output, block=block: block(output))
        for layer, own in zip(layers, blocks, strict=True)
        for block in own.children()
    )


def maps_by_layer(maps: Sequence[Tensor], blocks: Iterable[nn.Module]) -> list[Tensor]:
    """One (batch, heads, steps, steps) map a layer, of maps of all layers and blocks in the order of the pass: what a
    block reads of the steps of its layer is, in the mean over heads, followed back to what the layer reads."""
    each = iter(maps)
    found = []
    for own in blocks:
        seen = next(each)
        for _ in own.children():
            seen = next(each).mean(1, keepdim=True) @ seen.mean(1, keepdim=True)
        found.append(seen)
    return found


def _copies(layer: nn.Module, width: int) -> Callable[[torch.Generator], nn.Module]:
    return lambda generator: Block(layer, width).train(layer.training)


def _children(model: nn.Module, path: str) -> list[nn.Module]:
    return list(model.get_submodule(path).children())
