"""Recurrent detectors on a spectrogram: stacked GRU or LSTM layers, the mean over time, one logit."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepcheck.audio.frontend import build_frontend, require_frames, stacked
from deepcheck.card import DetectorSpec
from deepcheck.detectors.base import Detector, Stage
from deepcheck.errors import ConfigError
from deepcheck.plasticity.groups import recurrent_units
from deepcheck.plasticity.units import UnitGroup


class Recurrent(Detector):
    """Layers of `units` GRU or LSTM units each, `bidirectional` or not.

    Every layer is a module of its own so that it can have its own width. `stack` neighbouring frames are read
    as one, which shortens the recurrence; `frontend`, `dropout` and `window_s` are those of the ResNet18.
    """

    cpu_batch: ClassVar[int] = 16
    explainer: ClassVar[str] = "gradient-x-input"
    cell: ClassVar[type[nn.GRU] | type[nn.LSTM]]

    def __init__(
        self,
        *,
        units: Sequence[int] = (128, 128),
        bidirectional: bool = False,
        stack: int = 2,
        frontend: str | Mapping[str, Any] = "mel",
        dropout: float = 0.0,
        window_s: float = 4.0,
    ) -> None:
        super().__init__()
        if not units or min(units) < 1 or stack < 1:
            raise ConfigError(f"units {list(units)} and stack {stack} make no recurrent detector.", "Give at least 1.")
        settings = {"name": frontend} if isinstance(frontend, str) else dict(frontend)
        self.frontend = build_frontend(settings)
        require_frames(settings, stack, window_s)
        self.spec = DetectorSpec(
            self.cell.__name__.lower(),
            {
                "units": list(units),
                "bidirectional": bidirectional,
                "stack": stack,
                "frontend": settings,
                "dropout": dropout,
                "window_s": window_s,
            },
        )
        self.window_s = window_s
        self.stack = stack
        ways = 2 if bidirectional else 1
        inputs = [self.frontend.bins * stack, *(ways * width for width in units[:-1])]
        self.layers = nn.ModuleList(
            self.cell(size, width, batch_first=True, bidirectional=bidirectional)
            for size, width in zip(inputs, units, strict=True)
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(ways * units[-1], 1)

    def features(self, waveform: Tensor) -> Tensor:
        """(batch, samples) -> (batch, 1, bins, frames)."""
        return self.frontend(waveform)

    def embedded(self, features: Tensor) -> Tensor:
        """(batch, 1, bins, frames) -> (batch, units), the mean over time of the last layer."""
        return self.states(features).mean(1)

    def logit_of(self, embedding: Tensor) -> Tensor:
        """(batch, units) -> (batch,)."""
        return self.head(self.dropout(embedding)).squeeze(-1)

    def states(self, features: Tensor) -> Tensor:
        """(batch, 1, bins, frames) -> (batch, frames // stack, units), the output of the last layer."""
        x = stacked(features, self.stack)
        # On a CPU recurrences take three times as long in bfloat16 as in float32.
        with torch.autocast("cpu", enabled=False) if x.device.type == "cpu" else nullcontext():
            for layer in self.layers:
                x, _ = layer(x)
        return x

    def groups(self) -> list[UnitGroup]:
        """The units of each layer, counted from 1."""
        groups = []
        for i, layer in enumerate(self.layers):
            ways = ("", "_reverse") if layer.bidirectional else ("",)
            last = i + 1 == len(self.layers)
            readers = ("head.weight",) if last else tuple(f"layers.{i + 1}.weight_ih_l0{way}" for way in ways)
            groups.append(recurrent_units(self, f"layers.{i}.units", layer=i + 1, rnn=f"layers.{i}", readers=readers))
        return groups

    def stages(self) -> list[Stage]:
        """What each layer gives."""
        ways = 2 if self.layers[0].bidirectional else 1
        return [
            Stage(group.name.removesuffix(".units"), ways * group.width, axis=-1, group=group.name, blocks=ways)
            for group in self.groups()
        ]

    def cam_target(self) -> nn.Module:
        """The last recurrent layer."""
        return self.layers[-1]

    def frequencies_hz(self) -> NDArray[np.float32] | None:
        """Those of the front end."""
        return self.frontend.frequencies_hz


class GRU(Recurrent):
    """Gated recurrent units (Cho et al. 2014, arXiv:1406.1078)."""

    cell = nn.GRU


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997)."""

    cell = nn.LSTM
