"""A stand-in of the size of AASIST (Jung et al. 2022, arXiv:2110.01200), in shape and arithmetic, with random weights.

Band-pass filters on the waveform, six residual blocks, and attention over the graphs of bands and of times, each node
with each other: some 4.7 GFLOP a second of sound, nearly all of them in the blocks.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WINDOW = 64_600  # samples, as published
_CHANNELS = (32, 32, 64, 64, 64, 64)


class Residual(nn.Module):
    """Two convolutions of 2 x 3, a skip connection, and a third of the frames."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels, (2, 3), padding=(1, 1))
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, (2, 3), padding=(0, 1))
        self.skip = nn.Conv2d(channels_in, channels, (1, 3), padding=(0, 1)) if channels != channels_in else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(F.selu(self.norm2(self.conv1(F.selu(self.norm(x))))))
        return F.max_pool2d(y + (x if self.skip is None else self.skip(x)), (1, 3))


class GraphAttention(nn.Module):
    """Each node hears all others, as much as the product of the two says: (batch, nodes, values) -> the same, wider."""

    def __init__(self, values: int, wider: int) -> None:
        super().__init__()
        self.pair, self.weigh = nn.Linear(values, wider), nn.Linear(wider, 1)
        self.heard, self.own = nn.Linear(values, wider), nn.Linear(values, wider)

    def forward(self, x: Tensor) -> Tensor:
        pairs = torch.tanh(self.pair(x.unsqueeze(1) * x.unsqueeze(2)))
        attention = self.weigh(pairs).squeeze(-1).softmax(-1)
        return F.selu(self.heard(attention @ x) + self.own(x))


class StandIn(nn.Module):
    """(batch, 64,600) -> (batch,)."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv1d(1, 70, 129, bias=False)
        self.blocks = nn.Sequential(*(Residual(i, o) for i, o in zip((1, *_CHANNELS), _CHANNELS, strict=False)))
        self.bands, self.times = GraphAttention(64, 64), GraphAttention(64, 64)
        self.both = GraphAttention(64, 32)
        self.head = nn.Linear(64, 1)

    def forward(self, waveform: Tensor) -> Tensor:
        x = F.max_pool2d(self.filters(waveform.unsqueeze(1)).abs().unsqueeze(1), 3)
        x = self.blocks(F.selu(x))
        bands, times = self.bands(x.amax(3).transpose(1, 2)), self.times(x.amax(2).transpose(1, 2))
        nodes = self.both(torch.cat([bands, times], 1))
        return self.head(torch.cat([nodes.mean(1), nodes.amax(1)], 1)).squeeze(-1)
