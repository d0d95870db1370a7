"""Any audio-classification model of the Hugging Face hub as a detector; `hub_checkpoint` reads them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from deepcheck.audio.decode import SAMPLE_RATE
from deepcheck.audio.torchaudio_import import import_torchaudio
from deepcheck.card import DetectorSpec
from deepcheck.detectors.base import Detector
from deepcheck.detectors.encoder_config import allowed, require_sizes
from deepcheck.detectors.hooks import hooked
from deepcheck.errors import ConfigError
from deepcheck.plasticity.groups import attention_heads, ffn_neurons, head_dimensions
from deepcheck.plasticity.units import UnitGroup

# What makes the input of a model from a waveform; True: its tensors are (batch, frames, bins), else (batch, bins,
# frames). Wav2Vec2FeatureExtractor only normalises, which is done here.
_WAVEFORM = "Wav2Vec2FeatureExtractor"
_EXTRACTORS = {
    _WAVEFORM: False,
    "ASTFeatureExtractor": True,
    "SeamlessM4TFeatureExtractor": True,
    "WhisperFeatureExtractor": False,
}
# They make banks of filters and windows of these sizes before any weights are read.
_MOST = {"feature_size": 1024, "num_mel_bins": 1024, "n_fft": 1 << 14, "hop_length": 1 << 14, "max_length": 1 << 13,
         "chunk_length": 60, "stride": 64}  # fmt: skip
_GROWING = ("wav2vec2", "hubert")  # architectures whose layers are known to `plasticity.groups`


class Hub(Detector):
    """A network of `transformers` that sorts sound into labels, some of which mean bona fide and some spoof.

    `config` is the network's own configuration and `extractor` that of its feature extractor, both of which a
    checkpoint carries, so that it is rebuilt without the hub; `bonafide` and `spoof` are the numbers of the labels.
    The logit is the log-odds of the one kind against the other: log sum exp of the bona fide labels' outputs less that
    of the spoof labels'. Labels of neither kind are left out. `window_s` may not be longer than what the network sees.
    """

    cpu_batch: ClassVar[int] = 4

    def __init__(
        self,
        *,
        config: Mapping[str, Any],
        extractor: Mapping[str, Any],
        bonafide: Sequence[int],
        spoof: Sequence[int],
        window_s: float = 4.0,
    ) -> None:
        super().__init__()
        document = config_of(config)
        labels = document.num_labels
        _check_labels(bonafide, spoof, labels)
        self.extractor = extractor_of(extractor, window_s)
        self.network = _network(document)
        self.bonafide, self.spoof, self.window_s = list(bonafide), list(spoof), window_s
        self.spec = DetectorSpec(
            "hub",
            {
                "config": plain(document),
                "extractor": dict(extractor),
                "bonafide": self.bonafide,
                "spoof": self.spoof,
                "window_s": window_s,
            },
        )
        for name, parameter in self.network.named_parameters():
            if name.endswith("masked_spec_embed"):  # which only training of another kind reads
                parameter.requires_grad = False

    def features(self, waveform: Tensor) -> Tensor:
        """(batch, samples) -> what the network reads: (batch, 1, samples), normalised, or (batch, bins, frames)."""
        if isinstance(self.extractor, _Normalisation):
            return self.extractor(waveform).unsqueeze(1)
        sounds = list(waveform.float().cpu().numpy())
        read = self.extractor(sounds, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        features = read[self.network.main_input_name]
        if _EXTRACTORS[type(self.extractor).__name__]:
            if "attention_mask" in read:  # windows are equally long, so padding is at the end of all of them
                features = features[:, : int(read["attention_mask"][0].sum())]
            features = features.transpose(1, 2)
        return features.to(waveform.device)

    def embedded(self, features: Tensor) -> Tensor:
        """What `features` gives -> (batch, values), the input of the network's last part."""
        seen: list[Tensor] = []
        with hooked([(self.network.classifier, lambda _module, inputs: seen.append(inputs[0]))], before=True):
            self.outputs(features)
        return seen[-1]

    def logit_of(self, embedding: Tensor) -> Tensor:
        """(batch, values) -> (batch,)."""
        outputs = self.network.classifier(embedding)
        return outputs[:, self.bonafide].logsumexp(1) - outputs[:, self.spoof].logsumexp(1)

    def outputs(self, features: Tensor) -> Tensor:
        """What `features` gives -> (batch, labels), the outputs of the network as it came."""
        if isinstance(self.extractor, _Normalisation):
            features = features.squeeze(1)
        elif _EXTRACTORS[type(self.extractor).__name__]:
            features = features.transpose(1, 2)
        outputs: Tensor = self.network(**{self.network.main_input_name: features}, return_dict=True).logits
        return outputs

    def groups(self) -> list[UnitGroup]:
        """Of each layer the heads, the dimensions inside them, and the feed-forward neurons; of most networks none."""
        if self.network.config.model_type not in _GROWING:
            return []
        encoder = f"network.{self.network.base_model_prefix}.encoder.layers"
        groups = []
        for i in range(len(self.get_submodule(encoder))):  # type: ignore[arg-type]
            path = f"{encoder}.{i}"
            attention = f"{path}.attention"
            up, down = (f"{path}.feed_forward.{part}_dense" for part in ("intermediate", "output"))
            groups += [
                attention_heads(self, f"{attention}.heads", layer=i + 1, attention=attention),
                head_dimensions(self, f"{attention}.head-dims", layer=i + 1, attention=attention),
                ffn_neurons(self, f"{path}.ffn", layer=i + 1, up=up, down=down),
            ]
        return groups

    def features_s(self) -> float:
        """Of feature extractors that fill up to a length of their own, that length."""
        if hasattr(self.extractor, "chunk_length"):  # Whisper's, in seconds
            return float(self.extractor.chunk_length)
        if type(self.extractor).__name__ == "ASTFeatureExtractor":
            return self.extractor.max_length * 0.01  # Kaldi's frames are 10 ms apart
        return self.window_s

    def cam_target(self) -> nn.Module:
        """The last of the layers that are no convolutions."""
        stacks = [
            module
            for name, module in self.network.named_modules()
            if isinstance(module, nn.ModuleList) and "conv" not in name
        ]
        return max(stacks, key=len)[-1]


class _Normalisation(nn.Module):
    """Wav2Vec2FeatureExtractor for windows of one length: mean 0 and variance 1, if the model wants that."""

    def __init__(self, wanted: bool) -> None:
        super().__init__()
        self.wanted = wanted

    def forward(self, waveform: Tensor) -> Tensor:
        if not self.wanted:
            return waveform
        variance, mean = torch.var_mean(waveform, -1, correction=0, keepdim=True)
        return (waveform - mean) / (variance + 1e-7).sqrt()


def config_of(settings: Mapping[str, Any]) -> Any:
    """The configuration object of `settings`, without what may not come from a file of strangers.

    `ConfigError` if they describe no network that sorts sound into labels.
    """
    import_torchaudio()  # before transformers, whose audio models fail to import beside a broken torchaudio
    from transformers import CONFIG_MAPPING, MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING

    kind = settings.get("model_type")
    known = sorted(config.model_type for config in MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING)
    if kind not in known:
        raise ConfigError(
            f"Networks of the type {kind!r} do not sort sound into labels.", f"These types do: {', '.join(known)}."
        )
    try:
        config = CONFIG_MAPPING[kind].from_dict(allowed(settings))
    except Exception as error:  # of a library's own kinds, for a value that is not what it should be
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"The configuration of the network makes no sense: {reason}") from error
    # Masking is the augmentation chain's business, and layers of different widths cannot be skipped at random.
    for name, off in (("apply_spec_augment", False), ("layerdrop", 0.0), ("encoder_layerdrop", 0.0)):
        if hasattr(config, name):
            setattr(config, name, off)
    return config


def plain(config: Any) -> dict[str, Any]:
    """The configuration as it stands in a checkpoint: JSON, and only what differs from the defaults of its type."""
    document = json.loads(json.dumps(config.to_diff_dict()))
    return allowed(document)


def extractor_of(settings: Mapping[str, Any], window_s: float) -> Any:
    """What makes the network's input from a waveform; `ConfigError` if that is not known here, or sees less than
    `window_s`."""
    import_torchaudio()
    import transformers

    kind = settings.get("feature_extractor_type")
    if kind not in _EXTRACTORS:
        raise ConfigError(f"The feature extractor {kind!r} is not known.", f"These are: {', '.join(_EXTRACTORS)}.")
    require_sizes(settings, "A feature extractor")
    for name, most in _MOST.items():
        if (size := settings.get(name)) is not None and (type(size) is not int or not 0 < size <= most):
            raise ConfigError(f'A feature extractor whose "{name}" is {size!r:.50} makes no sense.')
    rate = settings.get("sampling_rate", SAMPLE_RATE)
    if rate != SAMPLE_RATE:
        raise ConfigError(f"The model hears sound at {rate} Hz.", f"Only models for {SAMPLE_RATE} Hz can be used.")
    if kind == _WAVEFORM:
        return _Normalisation(bool(settings.get("do_normalize", True)))
    extractor = getattr(transformers, kind).from_dict(dict(settings))
    # 10 ms a frame, of 25 ms each; Whisper's extractor has whole seconds.
    longest = {
        "ASTFeatureExtractor": lambda: extractor.max_length / 100 + 0.015,
        "WhisperFeatureExtractor": lambda: extractor.n_samples / SAMPLE_RATE,
    }
    if kind in longest and window_s > longest[kind]() + 1e-6:
        raise ConfigError(
            f"The network sees {longest[kind]():.2f} s at a time, less than windows of {window_s:g} s.",
            "Choose shorter windows.",
        )
    return extractor


def _network(config: Any) -> Any:
    from transformers import MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING

    # Never the `Auto` classes, which may be told to run what lies beside the weights.
    constructor: Any = MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING[type(config)]
    return constructor._from_config(config, dtype=torch.float32)


def _check_labels(bonafide: Sequence[int], spoof: Sequence[int], labels: int) -> None:
    named = [*bonafide, *spoof]
    valid = all(type(number) is int and 0 <= number < labels for number in named)
    if not (valid and bonafide and spoof and len(set(named)) == len(named)):
        raise ConfigError(
            f"Of {labels} labels, {list(bonafide)} as bona fide and {list(spoof)} as spoof make no detector.",
            "Give different numbers from 0 on, at least one of each kind.",
        )
