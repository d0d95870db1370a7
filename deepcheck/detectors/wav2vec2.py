"""wav2vec 2.0 (Baevski et al. 2020, arXiv:2006.11477) with a pooled linear head."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from deepcheck.audio.torchaudio_import import import_torchaudio
from deepcheck.card import DetectorSpec
from deepcheck.detectors.attention import AttentionMaps, attention_of
from deepcheck.detectors.base import Detector, Stage
from deepcheck.detectors.encoder_config import allowed
from deepcheck.detectors.expansion import expanded, groups_with_blocks, maps_by_layer, no_blocks
from deepcheck.detectors.hooks import hooked
from deepcheck.errors import ConfigError, ModelError
from deepcheck.plasticity.groups import attention_heads, ffn_neurons, head_dimensions
from deepcheck.plasticity.units import UnitGroup

SIZES: dict[str, dict[str, Any]] = {
    # "wav2vec 2.0 small" of arXiv:2603.24343: randomly initialised.
    "small": {"hidden_size": 256, "num_hidden_layers": 12, "num_attention_heads": 4, "intermediate_size": 512},
    "base": {},
    "large": {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "feat_extract_norm": "layer",
        "conv_bias": True,
        "do_stable_layer_norm": True,
    },
}
_POOLS = ("mean", "layers")


class Wav2Vec2(Detector):
    """The encoder of `size` (small, base, large) at random, or of `pretrained` (a folder, or an id on the HF hub).

    `pool` reads the mean over time of the last layer (`mean`), or of a learnt weighted sum of all layers
    (`layers`). `config` is the encoder's own configuration, which a checkpoint carries, so that a saved detector is
    rebuilt without its origin; it wins over `size`. LayerDrop and SpecAugment inside the encoder are off.
    """

    cpu_batch: ClassVar[int] = 4
    explainer: ClassVar[str] = "attention-rollout"

    def __init__(
        self,
        *,
        size: str = "small",
        pretrained: str | None = None,
        pool: str = "layers",
        config: Mapping[str, Any] | None = None,
        dropout: float = 0.0,
        window_s: float = 4.0,
    ) -> None:
        super().__init__()
        if pool not in _POOLS:
            raise ConfigError(f'There is no pooling "{pool}".', f"Choose one of: {', '.join(_POOLS)}.")
        self.encoder = _pretrained(pretrained) if pretrained else _from_config(config or _size(size))
        document = self.encoder.config.to_diff_dict()
        self.spec = DetectorSpec(
            "wav2vec2", {"config": document, "pool": pool, "dropout": dropout, "window_s": window_s}
        )
        self.window_s = window_s
        self.pool = pool
        self.blocks = no_blocks(self.encoder.config.num_hidden_layers)
        self.layer_weights = nn.Parameter(torch.zeros(self.encoder.config.num_hidden_layers))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.encoder.config.hidden_size, 1)
        for parameter in self._unread():
            parameter.requires_grad = False
        # transformers would ask for the gradient of the waveform, which halves the speed where few weights learn.
        self.encoder.feature_extractor._requires_grad = False

    def features(self, waveform: Tensor) -> Tensor:
        """(batch, samples) -> (batch, channels, frames), the output of the convolutions, 50 frames a second."""
        mean = waveform.mean(-1, keepdim=True)
        deviation = waveform.std(-1, keepdim=True)
        return self.encoder.feature_extractor((waveform - mean) / (deviation + 1e-5))

    def embedded(self, features: Tensor) -> Tensor:
        """(batch, channels, frames) -> (batch, hidden), the mean over time."""
        return self.states(features).mean(1)

    def logit_of(self, embedding: Tensor) -> Tensor:
        """(batch, hidden) -> (batch,)."""
        return self.head(self.dropout(embedding)).squeeze(-1)

    def states(self, features: Tensor) -> Tensor:
        """(batch, channels, frames) -> (batch, frames, hidden)."""
        return self.pooled(self.outputs(features))

    def outputs(self, features: Tensor) -> list[Tensor]:
        """(batch, channels, frames) -> the last output, or that of each layer: (batch, frames, hidden) each."""
        hidden, _ = self.encoder.feature_projection(features.transpose(1, 2))
        # What the blocks give comes before anybody looks at what their layer gives.
        with expanded(self.encoder.encoder.layers, self.blocks):
            if self.pool == "mean":
                return [self.encoder.encoder(hidden).last_hidden_state]
            outputs: list[Tensor] = []

            def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
                outputs.append(output)

            with hooked((layer, keep) for layer in self.encoder.encoder.layers):
                self.encoder.encoder(hidden)
            return outputs

    def pooled(self, outputs: Sequence[Tensor]) -> Tensor:
        """What `outputs` gives -> (batch, frames, hidden)."""
        if self.pool == "mean":
            return outputs[-1]
        every = torch.stack(tuple(outputs), -1)
        return every @ self.layer_weights.softmax(0).to(every.dtype)

    def attention_maps(self, waveform: Tensor) -> AttentionMaps:
        """What the layers of the encoder attend to, 50 frames a second."""
        attentions = [group.name.removesuffix(".heads") for group in self.groups() if group.part == "heads"]
        with attention_of(map(self.get_submodule, attentions)) as maps:
            outputs = self.outputs(self.features(waveform))
        maps = maps_by_layer(maps, self.blocks)
        return AttentionMaps(maps, outputs, lambda states: self.logit_of(self.pooled(states).mean(1)))

    def groups(self) -> list[UnitGroup]:
        """Of each layer the heads, the dimensions inside them, the neurons of the feed-forward part, and blocks."""
        width = self.encoder.config.hidden_size
        return groups_with_blocks(self, "encoder.encoder.layers", "blocks", width, self._groups_of)

    def _groups_of(self, path: str, number: int) -> list[UnitGroup]:
        attention = f"{path}.attention"
        up, down = (f"{path}.feed_forward.{part}_dense" for part in ("intermediate", "output"))
        return [
            attention_heads(self, f"{attention}.heads", layer=number, attention=attention),
            head_dimensions(self, f"{attention}.head-dims", layer=number, attention=attention),
            ffn_neurons(self, f"{path}.ffn", layer=number, up=up, down=down),
        ]

    def stages(self) -> list[Stage]:
        """What each layer of the encoder gives, and the blocks behind it read."""
        layers, width = len(self.encoder.encoder.layers), self.encoder.config.hidden_size
        return [Stage(f"encoder.encoder.layers.{i}", width, axis=-1) for i in range(layers)]

    def cam_target(self) -> nn.Module:
        """The last encoder layer."""
        return self.encoder.encoder.layers[-1]

    def _unread(self) -> Iterator[nn.Parameter]:
        """What a file has to carry though no score depends on it; without a gradient, no optimiser touches it."""
        if hasattr(self.encoder, "masked_spec_embed"):
            yield self.encoder.masked_spec_embed
        if self.encoder.adapter is not None:
            yield from self.encoder.adapter.parameters()
        if self.pool == "mean":
            yield self.layer_weights
        elif self.encoder.config.do_stable_layer_norm:
            yield from self.encoder.encoder.layer_norm.parameters()  # which comes after the last layer


def _size(name: str) -> dict[str, Any]:
    if name not in SIZES:
        raise ConfigError(f'There is no wav2vec 2.0 of size "{name}".', f"Choose one of: {', '.join(SIZES)}.")
    return SIZES[name]


def _quiet(config: Any) -> Any:
    # Layers of different widths cannot be skipped at random, and masking is the augmentation chain's business.
    config.layerdrop = 0.0
    config.apply_spec_augment = False
    return config


def _from_config(settings: Mapping[str, Any]) -> Any:
    import_torchaudio()  # before transformers, whose audio models fail to import beside a broken torchaudio
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    return Wav2Vec2Model(_quiet(Wav2Vec2Config.from_dict(allowed(settings))))


def _pretrained(name: str) -> Any:
    import_torchaudio()
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    try:
        config = _quiet(Wav2Vec2Config.from_pretrained(name))
        return Wav2Vec2Model.from_pretrained(name, config=config, use_safetensors=True)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f'The pretrained encoder "{name}" cannot be loaded: {reason}',
            "Give the id of a wav2vec 2.0 model on the Hugging Face hub, or a folder that save_pretrained has written.",
        ) from error
