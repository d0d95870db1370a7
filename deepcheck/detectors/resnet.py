"""ResNet18 on a spectrogram (He et al. 2016, arXiv:1512.03385), one input channel, one logit."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from deepcheck.audio.frontend import build_frontend
from deepcheck.card import DetectorSpec
from deepcheck.detectors.base import Detector, Stage
from deepcheck.plasticity.groups import conv_channels
from deepcheck.plasticity.units import UnitGroup


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a skip connection; only its inner width (`conv1`) may change."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.skip = (
            nn.Identity()
            if stride == 1 and channels_in == channels
            else nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))
        )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.skip(x))


class ResNet18(Detector):
    """Four stages of two blocks with `width`, 2, 4 and 8 times `width` channels, then the mean over the map.

    `frontend` is a name in the table of front ends or a mapping with `name` and its settings; `dropout` acts
    before the last layer; `window_s` is the length of a window in seconds.
    """

    cpu_batch: ClassVar[int] = 16
    takes_bf16: ClassVar[bool] = True
    explainer: ClassVar[str] = "grad-cam"

    def __init__(
        self,
        *,
        width: int = 64,
        frontend: str | Mapping[str, Any] = "mel",
        dropout: float = 0.0,
        window_s: float = 4.0,
    ) -> None:
        super().__init__()
        settings = {"name": frontend} if isinstance(frontend, str) else {"name": "mel", **frontend}
        self.spec = DetectorSpec(
            "resnet18", {"width": width, "frontend": settings, "dropout": dropout, "window_s": window_s}
        )
        self.window_s = window_s
        self.frontend = build_frontend(settings)
        self.stem = nn.Conv2d(1, width, 7, stride=2, padding=3, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        self.blocks = nn.ModuleList()
        channels = width
        for stage in range(4):
            for stride in (1 if stage == 0 else 2, 1):
                self.blocks.append(BasicBlock(channels, width << stage, stride))
                channels = width << stage
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, waveform: Tensor) -> Tensor:
        """(batch, samples) -> (batch, 1, bins, frames)."""
        features: Tensor = self.frontend(waveform)
        return features

    def logit_of(self, embedding: Tensor) -> Tensor:
        """(batch, 8 * width) -> (batch,)."""
        logit: Tensor = self.head(self.dropout(embedding))
        return logit.squeeze(-1)

    def embedded(self, features: Tensor) -> Tensor:
        """(batch, 1, bins, frames) -> (batch, 8 * width), what the last layer reads."""
        x = F.relu(self.stem_norm(self.stem(features)))
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        for block in self.blocks:
            x = block(x)
        return torch.mean(x, (-2, -1))

    def groups(self) -> list[UnitGroup]:
        """The inner channels of each of the eight blocks: layer 1 to 8."""
        return [
            conv_channels(
                self,
                f"blocks.{i}.conv1",
                layer=i + 1,
                conv=f"blocks.{i}.conv1",
                norm=f"blocks.{i}.bn1",
                readers=(f"blocks.{i}.conv2",),
            )
            for i in range(len(self.blocks))
        ]

    def stages(self) -> list[Stage]:
        """What each block gives."""
        names = [f"blocks.{i}" for i in range(len(self.blocks))]
        return [Stage(name, len(self.get_parameter(f"{name}.conv2.weight")), axis=1) for name in names]

    def cam_target(self) -> nn.Module:
        """The last block: (batch, 8 * width, bins / 32, frames / 32)."""
        return self.blocks[-1]

    def cam_grid(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Five times a stride of 2 with even padding: the first cell is centred on bin and frame 0, steps are 32."""
        return (0, 32), (0, 32)

    def frequencies_hz(self) -> NDArray[np.float32] | None:
        """Those of the front end."""
        return self.frontend.frequencies_hz
