"""What one pass over data tells of every unit: how much the loss depends on it, and how much it has to say."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from deepcheck.plasticity.units import UnitGroup, tensor_at

BINS = 32


@dataclass(frozen=True)
class GroupStatistics:
    """Of each unit (all tensors have one entry a unit, in double precision on the CPU).

    `taylor`: the mean over batches of the squared first-order change of the loss if the unit were silent;
    `entropy`: of its mean activation over recordings, in nats; `magnitude`: the norm of its weights. `grown_from` is
    the width before the last growth, or the width itself.
    """

    group: UnitGroup
    taylor: Tensor
    entropy: Tensor
    magnitude: Tensor
    grown_from: int


class Collector:
    """Gathers statistics of `groups` while somebody else runs forward and backward; use it as a context.

    Call `update()` after each backward pass. No activations are kept: each batch is reduced to counts and sums.
    """

    def __init__(self, model: nn.Module, groups: Sequence[UnitGroup]) -> None:
        self.model = model
        self.groups = groups
        self.batches = 0
        self.taylor = {group.name: torch.zeros(group.width, dtype=torch.float64) for group in groups}
        self.counts = {group.name: torch.zeros(group.width, BINS, dtype=torch.float64) for group in groups}
        self.ranges: dict[str, tuple[float, float]] = {}
        self._hooks: list[Any] = []

    def __enter__(self) -> Self:
        for group in self.groups:
            module = self.model.get_submodule(group.outlet.module)
            self._hooks.append(module.register_forward_pre_hook(self._watch(group)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()

    def update(self) -> None:
        """Take in the gradients of one batch."""
        self.batches += 1
        for group in self.groups:
            # Summed over the reading weights, w * dL/dw is h * dL/dh: the loss that the unit's silence would cost.
            change = torch.zeros(group.width, dtype=torch.float64)
            for span in group.spans:
                tensor = tensor_at(self.model, span.tensor)
                if span.reads and tensor.grad is not None:
                    product = span.split((tensor.detach() * tensor.grad).double())
                    change += product.movedim(span.dim + 1, 0).flatten(1).sum(1).cpu()
            self.taylor[group.name] += change.square()

    def result(self, grown_from: dict[str, int] | None = None) -> list[GroupStatistics]:
        """The statistics of all batches so far."""
        return [
            GroupStatistics(
                group,
                self.taylor[group.name] / max(1, self.batches),
                entropy(self.counts[group.name]),
                magnitude(self.model, group),
                (grown_from or {}).get(group.name, group.width),
            )
            for group in self.groups
        ]

    def _watch(self, group: UnitGroup) -> Any:
        def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            outlet = group.outlet
            axis = outlet.axis % inputs[0].dim()
            # In a model that is being pruned the width is that of the group as it was when we began.
            units = inputs[0].detach().unflatten(axis, (outlet.blocks, group.width, outlet.size))
            per_recording = units.movedim(axis + 1, 1).flatten(2).double().mean(2)
            self._count(group.name, per_recording.cpu())

        return look

    def _count(self, name: str, values: Tensor) -> None:
        # Bins shared by the layer: with bins of its own every unit would look equally informative. Their range is
        # that of the first batch, half as wide again; what falls outside counts at the ends.
        if name not in self.ranges:
            low, high = float(values.min()), float(values.max())
            slack = (high - low) / 4 or 1.0
            self.ranges[name] = (low - slack, high + slack)
        low, high = self.ranges[name]
        bins = ((values - low) / (high - low) * BINS).long().clamp(0, BINS - 1)
        self.counts[name].scatter_add_(1, bins.T, torch.ones_like(bins.T, dtype=torch.float64))


def entropy(counts: Tensor) -> Tensor:
    """(units, bins) counts -> (units,) entropy in nats, by the plug-in estimate with Miller and Madow's correction.

    Luo and Wu 2017 (arXiv:1706.05791) rank channels so; the correction (Miller 1955) adds (occupied bins - 1) / 2N.
    """
    total = counts.sum(1).clamp_min(1)
    share = counts / total[:, None]
    plain = -(share * share.clamp_min(1e-300).log()).sum(1)
    return plain + ((counts > 0).sum(1) - 1).clamp_min(0) / (2 * total)


def magnitude(model: nn.Module, group: UnitGroup) -> Tensor:
    """(units,) the Euclidean norm of all weight matrices' entries of each unit; vectors (biases, gains) left out."""
    squares = torch.zeros(group.width, dtype=torch.float64)
    for span in group.spans:
        tensor = tensor_at(model, span.tensor).detach()
        if tensor.dim() > 1:
            squares += span.split(tensor.double().square()).movedim(span.dim + 1, 0).flatten(1).sum(1).cpu()
    return squares.sqrt()
