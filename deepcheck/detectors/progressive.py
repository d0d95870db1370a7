"""Progressive networks (Rusu et al. 2016, arXiv:1606.04671): beside a detector columns that listen to it.

A column is a new network of the detector's own shape. What the detector's stages give goes through adapters into the
stages of the column, and the logits add up; as the adapters' last layers and the column's head are zero at first, a new
column changes nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from deepcheck.card import DetectorSpec
from deepcheck.detectors.attention import AttentionMaps
from deepcheck.detectors.base import Detector, Stage, build
from deepcheck.detectors.hooks import hooked
from deepcheck.errors import ConfigError
from deepcheck.plasticity.groups import within
from deepcheck.plasticity.units import Span, Stack, UnitGroup

PROGRESSIVE = "progressive"
BASE = "base."
COLUMNS = "columns"
_KEYS = frozenset({"name", "arguments"})
_REDUCTION = 2  # an adapter is half as wide as the stage of a new column, whatever has grown beside it


class Progressive(Detector):
    """The detector `base`, a mapping with its `name` and `arguments`, and columns beside it, at first none.

    Each column listens to the base, not to other columns. What of the detector is looked at (explanations, features) is
    the base.
    """

    def __init__(self, *, base: Mapping[str, Any]) -> None:
        super().__init__()
        if not isinstance(base, Mapping) or not {"name"} <= set(base) <= _KEYS:
            raise ConfigError("The base makes no detector.", "Give it a name, and arguments if it takes any.")
        if base["name"] == PROGRESSIVE:
            raise ConfigError("A column has no columns beside it.", "Name the first detector.")
        self.base = build(DetectorSpec(base["name"], base.get("arguments", {})))
        if not self.base.stages():
            raise ConfigError(f'Beside the detector "{base["name"]}" there can be no column.')
        self.spec = DetectorSpec(
            PROGRESSIVE, {"base": {"name": self.base.spec.name, "arguments": dict(self.base.spec.arguments)}}
        )
        self.window_s = self.base.window_s
        # Of an architecture, which here is that of the base.
        self.cpu_batch = self.base.cpu_batch  # type: ignore[misc]
        self.explainer = self.base.explainer  # type: ignore[misc]
        self.columns = nn.ModuleList()

    def features(self, waveform: Tensor) -> Tensor:
        """Those of the base."""
        return self.base.features(waveform)

    def embedded(self, features: Tensor) -> Tensor:
        """Features -> (batch, values): the embedding of the base, then those of the columns."""
        with _listening(self.base) as heard:
            found = [self.base.embedded(features)]
        return torch.cat([*found, *(column(features, heard) for column in self.columns)], 1)

    def logit_of(self, embedding: Tensor) -> Tensor:
        """(batch, values) -> (batch,), the sum of the logits."""
        nets = [self.base, *(net for _, net in self._columns())]
        parts = embedding.split([net.get_submodule("head").in_features for net in nets], 1)
        return torch.stack([net.logit_of(part) for net, part in zip(nets, parts, strict=True)]).sum(0)

    def groups(self) -> list[UnitGroup]:
        """Those of the base, `column` (of the first layer), and those of the columns, with layers that count on."""
        groups = [_heard(within(BASE, 0, group), self.base.stages(), len(self.columns)) for group in self.base.groups()]
        stack = Stack(COLUMNS, _maker(self.base), outlet="net.head")
        groups.append(UnitGroup(COLUMNS, 1, "column", len(self.columns), stack=stack))
        for path, net in self._columns():
            layers = max(group.layer for group in groups)
            own = {stage.group: (i, stage) for i, stage in enumerate(net.stages()) if stage.group}
            for group in net.groups():
                inside = within(f"{path}.net.", layers, group)
                if group.name in own:
                    number, stage = own[group.name]
                    inside = _with(inside, f"{path}.laterals.{number}.up", "out_features", stage.blocks, reads=False)
                groups.append(inside)
        return groups

    def stages(self) -> list[Stage]:
        """None: columns listen to the base alone."""
        return []

    def leader(self) -> Detector:
        """The base."""
        return self.base.leader()

    def cam_target(self) -> nn.Module:
        """That of the base."""
        return self.base.cam_target()

    def cam_grid(self) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """That of the base."""
        return self.base.cam_grid()

    def frequencies_hz(self) -> NDArray[np.float32] | None:
        """Those of the base."""
        return self.base.frequencies_hz()

    def features_s(self) -> float:
        """That of the base."""
        return self.base.features_s()

    def attention_maps(self, waveform: Tensor) -> AttentionMaps:
        """Those of the base."""
        return self.base.attention_maps(waveform)

    def _columns(self) -> Iterator[tuple[str, Detector]]:
        for number, column in enumerate(self.columns):
            assert isinstance(column, Column)
            yield f"{COLUMNS}.{number}", column.net


class Column(nn.Module):
    """A new network `net`, and for each of its stages an adapter from the same stage of the base."""

    def __init__(self, net: Detector, listens_to: Sequence[Stage]) -> None:
        super().__init__()
        self.net = net
        self.laterals = nn.ModuleList(
            Lateral(old.channels, new.channels) for old, new in zip(listens_to, net.stages(), strict=True)
        )
        head = net.get_submodule("head")
        for parameter in head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: Tensor, heard: Sequence[Tensor]) -> Tensor:
        """Features and what the stages of the base gave -> (batch, values), the embedding of the net."""
        with _told(self.net, self.laterals, heard):
            return self.net.embedded(features)


class Lateral(nn.Module):
    """U f(V h) of the paper: (..., channels) of the old column to what is added to the new one's, at first zero."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.down = nn.Linear(inputs, max(1, outputs // _REDUCTION), bias=False)
        self.up = nn.Linear(self.down.out_features, outputs, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, heard: Tensor) -> Tensor:
        told: Tensor = self.up(F.relu(self.down(heard)))
        return told


@contextmanager
def _listening(net: Detector) -> Iterator[list[Tensor]]:
    """What the stages give that run within the block, in their order."""
    heard: list[Tensor] = []

    def hear(_module: nn.Module, _inputs: Any, output: Any) -> None:
        heard.append(_first(output))

    with hooked((net.get_submodule(stage.module), hear) for stage in net.stages()):
        yield heard


def _told(net: Detector, laterals: nn.ModuleList, heard: Sequence[Tensor]) -> AbstractContextManager[None]:
    """Within, each stage of the net gives what it gives and what its adapter makes of `heard`."""

    def telling(lateral: nn.Module, axis: int, old: Tensor) -> Callable[..., Any]:
        def tell(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            more = lateral(old.movedim(axis, -1)).movedim(-1, axis)
            return (output[0] + more, *output[1:]) if isinstance(output, tuple) else output + more

        return tell

    return hooked(
        (net.get_submodule(stage.module), telling(lateral, stage.axis, old))
        for stage, lateral, old in zip(net.stages(), laterals, heard, strict=True)
    )


def _first(output: Any) -> Tensor:
    first: Tensor = output[0] if isinstance(output, tuple) else output
    return first


def _maker(base: Detector) -> Callable[[torch.Generator], nn.Module]:
    def make(generator: torch.Generator) -> nn.Module:
        like = next(base.parameters())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(1 << 62, (), generator=generator)))
            column = Column(build(base.spec), base.stages())
        return column.to(like.device, like.dtype).train(base.training)

    return make


def _heard(group: UnitGroup, stages: Sequence[Stage], columns: int) -> UnitGroup:
    """A group of the base, which where it is a stage the adapters of all columns read."""
    for number, stage in enumerate(stages):
        if stage.group and group.name == BASE + stage.group:
            for column in range(columns):
                path = f"{COLUMNS}.{column}.laterals.{number}.down"
                group = _with(group, path, "in_features", stage.blocks, reads=True)
    return group


def _with(group: UnitGroup, linear: str, size: str, blocks: int, reads: bool) -> UnitGroup:
    """The group with a linear layer more that reads its units, or is added to them; zero where they are new."""
    span = Span(f"{linear}.weight", dim=int(reads), blocks=blocks, fill="zero", reads=reads)
    return replace(group, spans=(*group.spans, span), sizes=(*group.sizes, (f"{linear}.{size}", blocks)))
