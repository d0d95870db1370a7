"""The speech-quality network of the PyPI package distillmos as a detector: convolutions, a transformer, a pooled head.

Stahl and Gamper distilled it from wav2vec 2.0 XLS-R, on much speech in all states ("Distillation and Pruning for
Scalable Self-Supervised Representation-Based Speech Quality Assessment", arXiv:2502.05356). Its weights are not part of
deepcheck: examples/recipes/convert_distillmos.py makes the file that `pretrained` reads.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from deepcheck.audio.decode import SAMPLE_RATE
from deepcheck.card import DetectorSpec
from deepcheck.detectors.attention import AttentionMaps, attention_of
from deepcheck.detectors.base import Detector, Part, Stage
from deepcheck.detectors.expansion import groups_with_blocks, maps_by_layer, no_blocks
from deepcheck.detectors.transformer import Layer
from deepcheck.errors import ConfigError, ModelError
from deepcheck.plasticity.groups import attention_heads, ffn_neurons, head_dimensions
from deepcheck.plasticity.units import UnitGroup

_WINDOW, _HOP = 320, 160  # 20 and 10 ms
_BINS = _WINDOW // 2 + 1
_COMPRESSION = 0.3
_QUIET = 1e-12  # magnitudes below are nothing
_STEPS = 384  # of 20 ms, in the 7.68 s that the network was trained on; they set the wavelengths of its positions
_SHARE = 0.3  # of what the convolutions gave, beside the states of a layer
_AT_ONCE = 2  # windows, on a CPU
_POOLS = ("last", "layers", "both", "all")
_HEAD = ("head.", "head_norm.", "layer_weights")  # which the origin of the weights does not have


class Distilled(Detector):
    """Convolutions over a compressed complex spectrum, transformer layers on the steps of 20 ms, mean and deviation.

    The defaults of `channels` (a convolution each), `width`, `heads`, `neurons` and `layers` are the shape of the
    published network, whose weights `pretrained` reads from a file; it may also name a saved model of this
    detector. `learns` says what training changes: `all`, `layers` (all but the convolutions, which take most of the
    time), or a number, of the last transformer layers, that learn beside the head; what other layers grow learns in
    mode frozen alone. `pool` reads the states of the `last` layer, a learnt weighted sum of all `layers`, `both` the
    last layer and what the convolutions gave, or `all`: each layer and the convolutions, every value brought to mean 0
    and deviation 1 over the training. Beside mean and deviation over time it reads, for each of `lags`, how far a value
    moves in so many steps of 20 ms. `dropout` acts before the head. Windows of more than 7.68 s are longer than what
    the published network has seen.
    """

    # By itself: beside others, what is said of a window differed by 1e-7 with its place among them.
    cpu_batch: ClassVar[int] = 1
    takes_bf16: ClassVar[bool] = True
    explainer: ClassVar[str] = "attention-rollout"

    def __init__(
        self,
        *,
        pretrained: str | None = None,
        learns: str | int = "all",
        pool: str = "last",
        lags: Sequence[int] = (),
        channels: Sequence[int] = (64, 64, 128, 256, 256, 256),
        width: int = 200,
        heads: int = 8,
        neurons: int = 400,
        layers: int = 7,
        dropout: float = 0.0,
        window_s: float = 4.0,
    ) -> None:
        super().__init__()
        _check(learns, pool, lags, channels, (width, heads, neurons, layers))
        self.spec = DetectorSpec(
            "distilled",
            {
                "learns": learns,
                "pool": pool,
                "lags": list(lags),
                "channels": list(channels),
                "width": width,
                "heads": heads,
                "neurons": neurons,
                "layers": layers,
                "dropout": dropout,
                "window_s": window_s,
            },
        )
        self.window_s = window_s
        self.cnn = Convolutions(channels)
        self.standardise = Standardise(self.cnn.values)
        self.projection = nn.Linear(self.cnn.values, width)
        self.layers = nn.ModuleList(Layer(width, heads, neurons) for _ in range(layers))
        self.blocks = no_blocks(layers)
        self.layer_weights = nn.Parameter(torch.zeros(layers)) if pool == "layers" else None
        self.dropout = nn.Dropout(dropout)
        self.pool, self.lags = pool, tuple(lags)
        values = width * (layers if pool == "all" else 1) + self.cnn.values * (pool in ("both", "all"))
        read = (2 + len(lags)) * values
        # Without gains of its own: it only says what is usual.
        self.head_norm = nn.BatchNorm1d(read, affine=False) if pool == "all" else None
        self.head = nn.Linear(read, 1)
        if pretrained is not None:
            _load(self, Path(pretrained).expanduser())
        for part in self._still(learns):
            part.requires_grad_(False)

    def features(self, waveform: Tensor) -> Tensor:
        """(batch, samples) -> (batch, 2, 161, samples / 160), real and imaginary part of the compressed spectrum."""
        # A spectrum spans more decades than bfloat16 resolves: always float32.
        with torch.autocast(waveform.device.type, enabled=False):
            waveform = waveform.float()
            waveform = waveform / (waveform.abs().amax(-1, keepdim=True) + 1e-8)
            spectrum = torch.stft(
                F.pad(waveform, ((_WINDOW - _HOP) // 2,) * 2, mode="reflect"),
                _WINDOW,
                _HOP,
                window=torch.hann_window(_WINDOW, device=waveform.device),
                center=False,
                return_complex=True,
            )
            parts = torch.view_as_real(spectrum)
            power = parts.square().sum(-1, keepdim=True).clamp_min(_QUIET**2)
            compressed = (parts * power.pow((_COMPRESSION - 1) / 2)).permute(0, 3, 1, 2)
            return compressed.contiguous(memory_format=torch.channels_last)  # which convolutions take faster

    def parts(self) -> list[Part]:
        """The convolutions, (batch, 2, 161, frames) -> (batch, values, frames / 2), and all else in front of the head,
        -> (batch, values): 2 + lags for each of `width` with `last` and `layers`, for 1,024 more with `both`, for the
        `width` of each layer and 1,024 with `all`."""
        heads = [self.get_submodule(path).num_heads for path in self._attentions()]
        behind = [p for name, p in self.named_parameters() if not name.startswith(("cnn.", "head."))]
        blocks = [len(list(own.children())) for own in self.blocks]
        with_blocks = f" and {blocks} blocks" if any(blocks) else ""
        read = f"{self.pool} {self.lags or ''}".rstrip()
        return [
            Part("convolutions", self._convolved, list(self.cnn.parameters()), 2 * _HOP),
            Part(f"layers of {heads} heads{with_blocks}, read by {read}", self._read, behind, 0),
        ]

    def _convolved(self, features: Tensor) -> Tensor:
        return self.cnn(features).flatten(1, 2)

    def _read(self, carried: Tensor) -> Tensor:
        convolved = carried.transpose(1, 2)
        return self.pooled(self.states(convolved), convolved)

    def logit_of(self, embedding: Tensor) -> Tensor:
        """What `embedded` gives -> (batch,)."""
        read = embedding if self.head_norm is None else self.head_norm(embedding)
        return self.head(self.dropout(read)).squeeze(-1)

    def convolved(self, features: Tensor) -> Tensor:
        """(batch, 2, 161, frames) -> (batch, frames / 2, values), 1,024 by default."""
        return self._convolved(features).transpose(1, 2)

    def states(self, convolved: Tensor) -> list[Tensor]:
        """(batch, steps, values) -> of each transformer layer its output, (batch, steps, width)."""
        x = self.projection(self.standardise(convolved))
        x = x + _positions(x.shape[1], x.shape[2], x.device).to(x.dtype)
        states = []
        for layer, blocks in zip(self.layers, self.blocks, strict=True):
            x = layer(x)
            for block in blocks.children():
                x = block(x)
            states.append(x)
        return states

    def pooled(self, states: Sequence[Tensor], convolved: Tensor) -> Tensor:
        """What `states` and `convolved` give -> what the head reads: mean and deviation over time, and what moves."""
        if self.pool == "all":
            return torch.cat([_statistics(x, self.lags) for x in (self.standardise(convolved), *states)], 1)
        if self.layer_weights is None:
            chosen = states[-1]
        else:
            chosen = torch.stack(tuple(states), -1) @ self.layer_weights.softmax(0).to(states[-1].dtype)
        read = _statistics(chosen, self.lags)
        if self.pool == "both":
            # Five times as many values as the layers give, and not to count for as much more.
            read = torch.cat([read, _SHARE * _statistics(self.standardise(convolved), self.lags)], 1)
        return read

    def attention_maps(self, waveform: Tensor) -> AttentionMaps:
        """What the transformer layers attend to, 50 steps a second."""
        with attention_of(map(self.get_submodule, self._attentions())) as maps:
            convolved = self.convolved(self.features(waveform))
            states = self.states(convolved)
        read = states if self.pool in ("layers", "all") else states[-1:]
        maps = maps_by_layer(maps, self.blocks)
        return AttentionMaps(maps, read, lambda states: self.logit_of(self.pooled(states, convolved)))

    def groups(self) -> list[UnitGroup]:
        """Of each transformer layer the heads, the dimensions inside them, the feed-forward neurons, and blocks."""
        return groups_with_blocks(self, "layers", "blocks", self.projection.out_features, self._groups_of)

    def _groups_of(self, path: str, number: int) -> list[UnitGroup]:
        attention = f"{path}.attention"
        return [
            attention_heads(self, f"{attention}.heads", layer=number, attention=attention),
            head_dimensions(self, f"{attention}.head-dims", layer=number, attention=attention),
            ffn_neurons(self, f"{path}.ffn", layer=number, up=f"{path}.up", down=f"{path}.down"),
        ]

    def _attentions(self) -> list[str]:
        """The paths of all attention modules, in the order in which they run."""
        return [group.name.removesuffix(".heads") for group in self.groups() if group.part == "heads"]

    def stages(self) -> list[Stage]:
        """What each transformer layer gives, and the blocks behind it read."""
        return [Stage(f"layers.{i}", self.projection.out_features, axis=-1) for i in range(len(self.layers))]

    def cam_target(self) -> nn.Module:
        """The convolutions: (batch, 256, 4 bands, frames / 2)."""
        return self.cnn

    def cam_grid(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Each convolution without padding begins one cell further in; strides double the distances."""
        step = 2 ** (self.cnn.depth - 1)
        return (step, step), (0, 2)

    def frequencies_hz(self) -> NDArray[np.float32]:
        """Those of the Fourier transform, 50 Hz apart."""
        return np.linspace(0, SAMPLE_RATE / 2, _BINS, dtype=np.float32)

    def _still(self, learns: str | int) -> list[nn.Module]:
        if isinstance(learns, str):
            return [self.cnn] if learns == "layers" else []
        return [self.cnn, self.projection, *self.layers[: len(self.layers) - learns]]


class Standardise(nn.Module):
    """The fixed affine map into which the origin's two BatchNorms fall together, with the statistics of its training.

    The convolutions give values of some thousandths, so the map belongs in front of a layer that learns, not in its
    weights, and it is no BatchNorm: a batch of a few sources knows less than the statistics of a large corpus.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, values: int) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(values))
        self.register_buffer("shift", torch.zeros(values))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift


class Convolutions(nn.Sequential):
    """3x3 convolutions with leaky ReLUs on (batch, 2, 161, frames); `values` is what they give every 20 ms.

    All but the first halve the frequency axis, which is not padded; the last one halves the time axis, which is.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.depth = len(channels)
        inputs, bins = 2, _BINS
        for i, outputs in enumerate(channels):
            stride = (2 if i else 1, 2 if i + 1 == len(channels) else 1)
            conv = nn.Conv2d(inputs, outputs, 3, stride, padding=(0, 1))
            nn.init.kaiming_normal_(conv.weight, a=0.1)
            self.extend([conv, nn.LeakyReLU(0.1, inplace=True)])
            inputs, bins = outputs, (bins - 3) // stride[0] + 1
        self.values = inputs * bins

    def forward(self, features: Tensor) -> Tensor:
        # On a CPU a few windows at a time: the maps of a whole batch would not fit into its cache. The graph of an
        # export, which is for any number of windows, cannot say how many parts there are.
        few = features.device.type == "cpu" and not torch.jit.is_tracing()
        parts = features.split(_AT_ONCE) if few else (features,)
        return torch.cat([self._convolved(part) for part in parts])

    def _convolved(self, x: Tensor) -> Tensor:
        for place, module in enumerate(self):
            if place in (0, len(self) - 2):
                # Little of the work, and in bfloat16 most of what that would shift scores by.
                with torch.autocast(x.device.type, enabled=False):
                    x = module(x.to(torch.promote_types(x.dtype, torch.float32)))
            else:
                x = module(x)
        return x


def _statistics(x: Tensor, lags: Sequence[int]) -> Tensor:
    """(batch, steps, values) -> (batch, (2 + lags) * values): mean, deviation, and the root mean square of what a value
    moves by within each lag, or within the recording where that is shorter.

    In float32: from recording to recording a mean may differ by less than bfloat16 resolves.
    """
    with torch.autocast(x.device.type, enabled=False):
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        last = x.shape[1] - 1
        squares = [x.var(1, correction=0)]
        squares += [_moves(x, min(lag, last)).square().mean(1) if last else torch.zeros_like(x[:, 0]) for lag in lags]
        # The square root of nothing has no gradient.
        return torch.cat([x.mean(1), *((square + 1e-6).sqrt() for square in squares)], 1)


def _moves(x: Tensor, lag: int) -> Tensor:
    return x[:, lag:] - x[:, :-lag]


def _positions(steps: int, width: int, device: torch.device) -> Tensor:
    """(steps, width): sines and cosines in turn (Vaswani et al. 2017, arXiv:1706.03762), the slowest over 768 steps."""
    rates = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(2 * _STEPS) / width))
    angles = torch.arange(steps, device=device).unsqueeze(1) * rates
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, :width]


def _load(model: Distilled, path: Path) -> None:
    """Fill `model` with the tensors in the file, which may be without a head; `ModelError` if they do not fit."""
    hint = "Give the file that examples/recipes/convert_distillmos.py writes, or a model of this detector."
    try:
        # Beside its weights a model's file keeps what was measured with it.
        tensors = {name: tensor for name, tensor in load_file(path).items() if not name.startswith("evidence.")}
        missing, unknown = model.load_state_dict(tensors, strict=False)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"The pretrained weights {path} cannot be loaded: {reason}", hint) from error
    missing = [name for name in missing if not name.startswith(_HEAD)]
    if missing or unknown:
        odd = f"it has no {missing[0]}" if missing else f"nothing here is called {unknown[0]}"
        raise ModelError(f"The pretrained weights {path} do not fit: {odd}.", hint)


def _check(
    learns: str | int, pool: str, lags: Sequence[int], channels: Sequence[int], shape: tuple[int, int, int, int]
) -> None:
    width, heads, _, layers = shape
    if pool not in _POOLS:
        raise ConfigError(f'There is no pooling "{pool}".', f"Choose one of: {', '.join(_POOLS)}.")
    if not all(isinstance(lag, int) and lag >= 1 for lag in lags):
        raise ConfigError(f"lags are {list(lags)}.", "Give numbers of steps of 20 ms, such as [1, 4, 16], or none.")
    if not 1 <= len(channels) <= 6 or min(*channels, *shape) < 1 or width % heads:
        raise ConfigError(
            f"channels {list(channels)} and width, heads, neurons, layers {shape} make no detector.",
            "Give one to six numbers of channels, a width that the heads divide, and nothing below 1.",
        )
    known = learns in ("all", "layers") if isinstance(learns, str) else 0 <= learns <= layers
    if not known:
        raise ConfigError(f"learns is {learns!r}.", f"Give all, layers, or a number of layers from 0 to {layers}.")
