"""What transformer layers attend to: the maps, and how the score is read from the states that they lead to."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from deepcheck.detectors.hooks import hooked


@dataclass(frozen=True)
class AttentionMaps:
    """The attention of every layer for a batch of windows, and the way from the last states to the logit.

    `maps` has a tensor a layer, (batch, heads, frames, frames): row i says how much frame i reads of each frame, and
    adds up to 1. `states` are the outputs that the score reads, (batch, frames, width) each: of the last layer, or of
    as many of the last layers as there are states. `read` makes the (batch,) logit of them.
    """

    maps: Sequence[Tensor]
    states: Sequence[Tensor]
    read: Callable[[Sequence[Tensor]], Tensor]


@contextmanager
def attention_of(modules: Iterable[nn.Module]) -> Iterator[list[Tensor]]:
    """The maps of the attention modules that run within the block, in the order in which they run.

    A module has the projections `q_proj` and `k_proj`, `head_dim` and `scaling`, and takes the frames first. Its map is
    computed beside it, as what computes attention fast does not say what it attended to.
    """
    maps: list[Tensor] = []

    def watch(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        maps.append(_attention(module, inputs[0]))

    with hooked(((module, watch) for module in modules), before=True):
        yield maps


def _attention(module: Any, frames: Tensor) -> Tensor:
    q, k = (
        projection(frames).unflatten(-1, (-1, module.head_dim)).transpose(1, 2)
        for projection in (module.q_proj, module.k_proj)
    )
    return torch.softmax(module.scaling * q @ k.transpose(-1, -2), -1)
