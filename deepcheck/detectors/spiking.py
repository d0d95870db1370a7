"""Leaky integrate-and-fire units on a spectrogram, a step of time a frame; one logit from their rates.

The membranes run here, the surrogate gradient is that of snntorch (extra `snn`): its own layers keep their state in the
module, where threads and copies of a detector would share it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepcheck.audio.frontend import build_frontend, require_frames, stacked
from deepcheck.card import DetectorSpec
from deepcheck.detectors.base import Detector, Stage
from deepcheck.errors import ConfigError
from deepcheck.plasticity.groups import ffn_neurons
from deepcheck.plasticity.units import UnitGroup


class Spiking(Detector):
    """Layers of `units` spiking units each (Zenke and Ganguli 2018; Neftci et al. 2019, arXiv:1901.09948).

    U(t) = `decay` U(t-1) + I(t) - S(t-1), with I a linear map of the frame or of the spikes of the layer before; a unit
    spikes, S = 1, where U is above 1. The gradient of a spike is that of a fast sigmoid of `slope`. The last layer's
    rates are what the head reads. `stack`, `frontend`, `dropout` and `window_s` are those of the GRU.
    """

    cpu_batch: ClassVar[int] = 16
    explainer: ClassVar[str] = "gradient-x-input"

    def __init__(
        self,
        *,
        units: Sequence[int] = (128, 128),
        decay: float = 0.9,
        slope: float = 25.0,
        stack: int = 2,
        frontend: str | Mapping[str, Any] = "mel",
        dropout: float = 0.0,
        window_s: float = 4.0,
    ) -> None:
        super().__init__()
        if not units or min(units) < 1 or stack < 1:
            raise ConfigError(f"units {list(units)} and stack {stack} make no spiking detector.", "Give at least 1.")
        if not 0 <= decay < 1 or slope <= 0:
            raise ConfigError(
                f"decay {decay} and slope {slope} make no spiking units.",
                "Give a decay from 0 to below 1, and a slope above 0.",
            )
        settings = {"name": frontend} if isinstance(frontend, str) else dict(frontend)
        self.spec = DetectorSpec(
            "snn",
            {
                "units": list(units),
                "decay": decay,
                "slope": slope,
                "stack": stack,
                "frontend": settings,
                "dropout": dropout,
                "window_s": window_s,
            },
        )
        self.window_s = window_s
        self.stack = stack
        self.frontend = build_frontend(settings)
        require_frames(settings, stack, window_s)
        spike = _surrogate(slope)
        inputs = [self.frontend.bins * stack, *units[:-1]]
        self.layers = nn.ModuleList(Layer(size, width, decay, spike) for size, width in zip(inputs, units, strict=True))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(units[-1], 1)

    def features(self, waveform: Tensor) -> Tensor:
        """(batch, samples) -> (batch, 1, bins, frames)."""
        features: Tensor = self.frontend(waveform)
        return features

    def embedded(self, features: Tensor) -> Tensor:
        """(batch, 1, bins, frames) -> (batch, units), spikes a step of the last layer."""
        return self.spikes(features).mean(1)

    def logit_of(self, embedding: Tensor) -> Tensor:
        """(batch, units) -> (batch,)."""
        logit: Tensor = self.head(self.dropout(embedding))
        return logit.squeeze(-1)

    def spikes(self, features: Tensor) -> Tensor:
        """(batch, 1, bins, frames) -> (batch, frames // stack, units) of the last layer, each 0 or 1."""
        x = stacked(features, self.stack)
        # A membrane adds up hundreds of steps, and whether it crosses the threshold is all that is passed on.
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.head.weight.dtype)
            for layer in self.layers:
                x = layer(x)
        return x

    def groups(self) -> list[UnitGroup]:
        """The units of each layer, counted from 1."""
        names = [f"layers.{i}" for i in range(len(self.layers))]
        readers = [*(f"{name}.current" for name in names[1:]), "head"]
        return [
            ffn_neurons(self, f"{name}.units", layer=i + 1, up=f"{name}.current", down=reader, part="units")
            for i, (name, reader) in enumerate(zip(names, readers, strict=True))
        ]

    def stages(self) -> list[Stage]:
        """The spikes of each layer."""
        return [
            Stage(group.name.removesuffix(".units"), channels=group.width, axis=-1, group=group.name)
            for group in self.groups()
        ]

    def cam_target(self) -> nn.Module:
        """The last layer."""
        return self.layers[-1]

    def frequencies_hz(self) -> NDArray[np.float32] | None:
        """Those of the front end."""
        return self.frontend.frequencies_hz


class Layer(nn.Module):
    """Spiking units behind a linear map: (batch, steps, inputs) -> (batch, steps, width) spikes."""

    def __init__(self, inputs: int, width: int, decay: float, spike: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.current = nn.Linear(inputs, width)
        self.decay = decay
        self.spike = spike

    def forward(self, x: Tensor) -> Tensor:
        currents = self.current(x)
        membrane = spikes = torch.zeros_like(currents[:, 0])
        train = []
        for current in currents.unbind(1):
            membrane = self.decay * membrane + current - spikes
            spikes = self.spike(membrane - 1).to(current.dtype)
            train.append(spikes)
        return torch.stack(train, 1)


def _surrogate(slope: float) -> Callable[[Tensor], Tensor]:
    """A step at 0 whose gradient is that of a fast sigmoid."""
    try:
        from snntorch import surrogate
    except ImportError:
        raise ConfigError(
            "The detector snn needs snntorch, which is not installed.", "Get it with: pip install 'deepcheck[snn]'"
        ) from None
    spike: Callable[[Tensor], Tensor] = surrogate.fast_sigmoid(slope)
    return spike
