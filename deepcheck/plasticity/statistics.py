"""What one pass over data tells of every unit: how much the loss depends on it, and how much it has to say."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from deepcheck.errors import ModelError
from deepcheck.plasticity.coactivation import Coactivation
from deepcheck.plasticity.units import Outlet, UnitGroup, outlets_of, tensor_at

BINS = 32
FINE = 32 * BINS


@dataclass(frozen=True)
class UnitStatistics:
    """Of each unit (all tensors have one entry a unit, in double precision on the CPU).

    `taylor`: the mean over batches of the squared first-order change of the loss if the unit were silent;
    `entropy`: of its mean activation over recordings, in nats; both are NaN where no data was looked at.
    `magnitude`: the norm of its weights. `added`: 1, 2, ... for the units that the last growth added, in that order;
    0, -1, ... for older ones, from the youngest back. `explained`: the share of its variance that another unit of its
    group explains (see `coactivation.explained`); NaN unless that was asked for.
    """

    taylor: Tensor
    entropy: Tensor
    magnitude: Tensor
    added: Tensor
    explained: Tensor

    def __len__(self) -> int:
        return len(self.added)


@dataclass(frozen=True)
class GroupStatistics(UnitStatistics):
    """The statistics of the units of one group."""

    group: UnitGroup


def pooled(statistics: Sequence[GroupStatistics]) -> UnitStatistics:
    """The statistics of all units of several groups, one group after another, on scales that they share.

    A change of the loss means the same everywhere, and so does a number of nats. A norm does not: before a
    normalisation, for one, all weights of a layer can be doubled and no output changes. So it is given in means
    of its group. (Lee et al. 2021, arXiv:2010.07611, rescale magnitudes by layer too, in another way.)
    """
    return UnitStatistics(
        torch.cat([one.taylor for one in statistics]),
        torch.cat([one.entropy for one in statistics]),
        torch.cat([one.magnitude / one.magnitude.mean().clamp_min(1e-300) for one in statistics]),
        torch.cat([one.added for one in statistics]),
        torch.cat([one.explained for one in statistics]),
    )


class Collector:
    """Gathers statistics of `groups` while somebody else runs forward and backward; use it as a context.

    Call `update()` after each backward pass. No activations are kept: each batch is reduced to counts and sums. With
    `pairs` it also learns which units say what another one says.
    """

    def __init__(self, model: nn.Module, groups: Sequence[UnitGroup], pairs: bool = False) -> None:
        self.model = model
        self.groups = groups
        self.batches = 0
        self.taylor = {group.name: torch.zeros(group.width, dtype=torch.float64) for group in groups}
        self.histograms = {group.name: Histogram(group.width) for group in groups}
        self.together = {group.name: Coactivation(group.width) for group in groups} if pairs else {}
        self._hooks: list[Any] = []

    def __enter__(self) -> Self:
        for group in self.groups:
            if group.stack is not None:
                self._hooks += self._watch_stack(group)
            if group.outlet is not None:
                module = self.model.get_submodule(group.outlet.module)
                self._hooks.append(module.register_forward_pre_hook(self._watch(group, group.outlet)))
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
            for unit, outlet in enumerate(outlets_of(self.model, group)):
                for own in outlet.parameters():
                    if own.grad is not None:
                        change[unit] += (own.detach() * own.grad).double().sum().cpu()
            self.taylor[group.name] += change.square()

    def result(self, grown_from: Mapping[str, int] | None = None) -> list[GroupStatistics]:
        """The statistics of all batches so far; `grown_from` gives the widths before the last growth, by group."""
        return [self._result(group, (grown_from or {}).get(group.name, group.width)) for group in self.groups]

    def _result(self, group: UnitGroup, first: int) -> GroupStatistics:
        unknown = torch.full((group.width,), math.nan, dtype=torch.float64)
        return GroupStatistics(
            taylor=self.taylor[group.name] / self.batches if self.batches else unknown,
            entropy=entropy(self.histograms[group.name].coarse()) if self.batches else unknown,
            magnitude=magnitude(self.model, group),
            added=torch.arange(group.width, dtype=torch.float64) - first + 1,
            explained=self.together[group.name].explained() if self.batches and self.together else unknown,
            group=group,
        )

    def _watch(self, group: UnitGroup, outlet: Outlet) -> Any:
        def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            axis = outlet.axis % inputs[0].dim()
            # In a model that is being pruned the width is that of the group as it was when we began.
            units = inputs[0].detach().unflatten(axis, (outlet.blocks, group.width, outlet.size))
            units = units.movedim(axis + 1, 1).flatten(2)
            self._take(group, units.double().mean(2).cpu())
            if self.together:
                self.together[group.name].add(units.movedim(1, 2).flatten(0, 1))

        return look

    def _watch_stack(self, group: UnitGroup) -> list[Any]:
        """What enters the outlets, one module after the other; they are wide, so only their means are looked at."""
        means: list[Tensor] = []

        def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            means.append(inputs[0].detach().flatten(1).double().mean(1).cpu())
            if len(means) == group.width:
                self._take(group, torch.stack(means, 1))
                if self.together:
                    self.together[group.name].add(torch.stack(means, 1))
                means.clear()

        return [outlet.register_forward_pre_hook(look) for outlet in outlets_of(self.model, group)]

    def _take(self, group: UnitGroup, means: Tensor) -> None:
        """(recordings, units) mean activations."""
        if not means.isfinite().all():
            raise ModelError(
                f"The activations of {group.name} are not finite.", "Take a model whose training did not diverge."
            )
        self.histograms[group.name].add(means)


class Histogram:
    """Counts of one value a recording for every unit of a layer, in one pass, without knowing their range beforehand.

    The units share the bins: with bins of its own each would look equally informative. The fine bins begin with
    the range of the first batch, half as wide again; a value outside doubles the range towards it by merging
    neighbours, which is exact: the counts are those of the wider bins from the start. So an unusual first batch
    costs resolution at most. Memory is 4 KB a unit.
    """

    def __init__(self, units: int) -> None:
        self.counts = torch.zeros(units, FINE, dtype=torch.int32)
        self.low = self.width = 0.0

    def add(self, values: Tensor) -> None:
        """Count (recordings, units) finite values."""
        low, high = float(values.min()), float(values.max())
        if not self.width:
            # At least wide enough that rounding is no difference; a layer's least value (0 behind a ReLU) lies
            # within a bin and not at its edge.
            spread = max(high - low, 1e-3 * max(abs(low), abs(high)), 1e-9)
            self.low, self.width = low - spread / 4, 1.5 * spread
        while low < self.low:
            self._double()
            self.low -= self.width / 2
            self.counts = self.counts.roll(FINE // 2, 1)
        while high >= self.low + self.width:
            self._double()
        bins = ((values - self.low) / self.width * FINE).long().clamp(0, FINE - 1)
        self.counts.scatter_add_(1, bins.T, torch.ones_like(bins.T, dtype=torch.int32))

    def coarse(self) -> Tensor:
        """(units, BINS) counts in equal bins over the range that holds the central nine tenths of every unit.

        What lies outside counts at the ends, so a few recordings far off do not cost the others their resolution.
        """
        below = self.counts.cumsum(1)
        total = int(self.counts[0].sum())
        low = int((below <= 0.05 * total).sum(1).min())
        high = int((below < 0.95 * total).sum(1).max())
        place = ((torch.arange(FINE) - low) * BINS // max(1, high - low + 1)).clamp(0, BINS - 1)
        coarse = torch.zeros(len(self.counts), BINS, dtype=torch.float64)
        return coarse.index_add_(1, place, self.counts.double())

    def _double(self) -> None:
        """Twice the range, upwards: the old one becomes the lower half."""
        merged = self.counts.unflatten(1, (FINE // 2, 2)).sum(2, dtype=torch.int32)
        self.counts = torch.cat([merged, torch.zeros_like(merged)], 1)
        self.width *= 2


def entropy(counts: Tensor) -> Tensor:
    """(units, bins) counts -> (units,) entropy in nats, by the plug-in estimate with Miller and Madow's correction.

    Luo and Wu 2017 (arXiv:1706.05791) rank channels so; the correction (Miller 1955) adds (occupied bins - 1) / 2N,
    which for a constant unit is 0 as well.
    """
    total = counts.sum(1).clamp_min(1)
    share = counts / total[:, None]
    plain = -(share * share.clamp_min(1e-300).log()).sum(1)
    return plain + ((counts > 0).sum(1) - 1).clamp_min(0) / (2 * total)


def magnitude(model: nn.Module, group: UnitGroup) -> Tensor:
    """(units,) the Euclidean norm of all weight matrices' entries of each unit; vectors (biases, gains) left out."""
    squares = torch.zeros(group.width, dtype=torch.float64)
    if group.stack is not None:
        for unit in range(group.width):
            for weight in model.get_submodule(f"{group.stack.path}.{unit}").parameters():
                if weight.dim() > 1:
                    squares[unit] += weight.detach().double().square().sum().cpu()
    for span in group.spans:
        tensor = tensor_at(model, span.tensor).detach()
        if tensor.dim() > 1:
            squares += span.split(tensor.double().square()).movedim(span.dim + 1, 0).flatten(1).sum(1).cpu()
    return squares.sqrt()
