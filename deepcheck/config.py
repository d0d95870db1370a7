"""Settings: frozen dataclasses <-> YAML, unknown keys refused, `--set a.b=c` on top."""

import dataclasses
import json
import types
import typing
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deepcheck.errors import ConfigError
from deepcheck.registry import did_you_mean
from deepcheck.yaml_text import parse_yaml


@dataclass(frozen=True)
class SourceConfig:
    """Where labelled recordings come from: a path, the format it is in (see `--protocol`), a subset of it."""

    path: str = ""
    protocol: str | None = None
    subset: str | None = None


@dataclass(frozen=True)
class DataConfig:
    """Training data; without a `dev` set, `holdout` of the training set is kept aside in whole `holdout_by`."""

    train: SourceConfig = field(default_factory=SourceConfig)
    dev: SourceConfig | None = None
    holdout: float = 0.15
    holdout_by: str = "source"
    copies: bool = True  # whether to learn from spoofs that were made of a genuine recording of the corpus (`pair_of`)
    workers: int | None = None  # loading processes; by default one per core up to 8, none on a single core
    cache_gb: float = 1.0  # decoded audio kept in memory, by all workers together
    variants: int = 0  # versions of each recording that are kept on disk (see `data.variants`); 0: each time a new one
    keep: str | None = None  # where; by default in the folder of the run, which is deleted in the end

    def __post_init__(self) -> None:
        if self.variants < 0:
            raise ConfigError(f'"data.variants" is {self.variants}.', "Give 1 or more, or 0 to keep none.")


@dataclass(frozen=True)
class SamplingConfig:
    """How a batch is filled: half bona fide, half spoof.

    A source is drawn in proportion to its size to the power of `source_power` (1: as the data are, 0: all
    sources alike). A share of `paired` of the batch are couples of one source: a spoof beside a genuine
    recording of the same place, so that the place cannot be the answer. Windows are `min_crop_s` to `max_crop_s` long
    (null: as long as the detector's), those of one batch alike.
    """

    source_power: float = 0.5
    paired: float = 0.5
    samples_per_epoch: int | None = None  # by default as many as there are recordings
    min_crop_s: float = 1.5
    max_crop_s: float | None = None


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with warm-up and a cosine (or no) decay to zero."""

    lr: float = 1e-3
    weight_decay: float = 0.01
    schedule: str = "cosine"  # cosine | constant
    warmup_steps: int = 200
    clip_norm: float = 1.0
    label_smoothing: float = 0.0
    accumulate: int = 1  # parts in which a batch passes through the network, where memory is short
    new_rate: float = 1.0  # factor on the learning rate of what growth added
    head_rate: float = 1.0  # the same of the head, which begins from nothing where the rest is pretrained
    average: float = 0.0  # decay per step of a running mean of the weights, which is what is tested; 0: none


@dataclass(frozen=True)
class DistilConfig:
    """A model to learn from beside the labels: `weight` is the share of the loss that what it says makes up.

    `teacher` is a name or a file; for a training over folds a file for each, such as runs/NAME/fold-{fold}.safetensors,
    and `teacher_final` the one for the last training, on everything. See `engine.distil` for `temperature`.
    """

    teacher: str | None = None
    teacher_final: str | None = None
    weight: float = 0.5
    temperature: float = 1.0

    def __post_init__(self) -> None:
        for wrong, name, allowed in (
            (not 0 <= self.weight <= 1, "weight", "a share from 0 to 1"),
            (not 0 < self.temperature < float("inf"), "temperature", "a number above 0, such as 2"),
        ):
            if wrong:
                raise ConfigError(f'"distil.{name}" is {getattr(self, name)}.', f"Give {allowed}.")


@dataclass(frozen=True)
class LoraConfig:
    """Low-rank adapters, for mode lora: `alpha` / `rank` scales what they add; `dropout` acts on what they read.

    `targets` are the linear layers and 2-D convolutions that they adapt, by the last part of their names; the default
    is the queries and values of attention, as in arXiv:2106.09685.
    """

    rank: int = 8
    alpha: int = 16
    dropout: float = 0.1
    targets: Sequence[str] = ("q_proj", "v_proj")

    def __post_init__(self) -> None:
        for wrong, name, allowed in (
            (self.rank < 1, "rank", "at least 1"),
            (self.alpha < 1, "alpha", "at least 1, such as twice the rank"),
            (not 0 <= self.dropout < 1, "dropout", "a share from 0 to below 1"),
            (not self.targets, "targets", "at least one name, such as [q_proj, v_proj]"),
        ):
            if wrong:
                raise ConfigError(f'"lora.{name}" is {getattr(self, name)}.', f"Give {allowed}.")


@dataclass(frozen=True)
class ProbeConfig:
    """Mode probe: how much the weights of the head are held down, and that more so where they tell genuine recordings,
    or spoofs, of one source from those of another (see `engine.probe.fit_head`)."""

    l2: float = 0.03
    evenness: float = 0.1

    def __post_init__(self) -> None:
        for name in ("l2", "evenness"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f'"probe.{name}" is {getattr(self, name)}.', "Give 0 or more.")


@dataclass(frozen=True)
class CalibrationConfig:
    """Error rates that the thresholds are fitted for on the development set, and with what confidence.

    They are fitted once more under each of `conditions` (see `eval --conditions`; none: an empty list), on at most
    `condition_recordings` of the development set, where that is large enough to show such rates at all. Where a
    recording came that way, the wider thresholds hold. `reference_recordings` of the training set say what the
    detector was trained on, so that it is known how far a recording lies from that (0: it is not).
    """

    false_alarm: float = 0.01
    miss: float = 0.05
    confidence: float = 0.95
    conditions: Sequence[str] = ("telephone", "resample:8k", "opus:16k", "mp3:32k", "aac:32k", "noise:10dB")
    condition_recordings: int = 1400
    reference_recordings: int = 2000

    def __post_init__(self) -> None:
        for name in ("false_alarm", "miss", "confidence"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise ConfigError(f'"calibration.{name}" is {value}.', "Give a share between 0 and 1, such as 0.01.")
        for name in ("condition_recordings", "reference_recordings"):
            if getattr(self, name) < 0:
                raise ConfigError(f'"calibration.{name}" is {getattr(self, name)}.', "Give 0 or more.")


@dataclass(frozen=True)
class StageConfig:
    """One stage of a schedule: `do` train, grow or prune, with the settings of that command."""

    do: str = "train"
    epochs: int | None = None  # train; by default those of the whole configuration
    lr: float | None = None
    mode: str = "unfrozen"
    layer: str = "all"  # grow, prune
    neurons: int = 0
    share: float = 0.0  # grow, instead of neurons: this share of the units of the layer
    part: str | None = None
    init: str = "zero"
    criterion: str = "gradient-entropy"
    scope: str = "layer"
    recordings: int = 512


@dataclass(frozen=True)
class FoldsConfig:
    """Training over `count` folds in whole groups of `by` (see `data.folds`; 0: not at all), and the `final` model.

    `mean` is the mean of the weights of the models of all folds: for detectors that begin with pretrained weights
    (arXiv:2203.05482); `train` one more training, on everything.
    """

    count: int = 0
    by: str = "source"
    final: str = "train"  # mean | train

    def __post_init__(self) -> None:
        if self.count < 0 or self.count == 1:
            raise ConfigError(f'"folds.count" is {self.count}.', "Give at least 2, or 0 for a training without folds.")
        if self.final not in ("mean", "train"):
            raise ConfigError(f'"folds.final" is "{self.final}".', "Choose one of: mean, train.")


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what `deepcheck train` makes."""

    name: str = "detector"
    description: str = ""
    seed: int = 0
    epochs: int = 20
    batch_size: int = 32
    patience: int | None = 5  # epochs without a better development EER before the run stops; null: never
    device: str = "auto"
    precision: str = "auto"
    compile: bool = False  # torch.compile what the step computes of the features: minutes at first, then faster
    save_minutes: float = 5.0
    detector: Mapping[str, Any] = field(default_factory=dict)  # resnet18 unless it has a name
    start: str | None = None  # a model by name or file to train further, instead of a new detector
    mode: str = "unfrozen"  # frozen: only what the last growth added learns; lora: adapters; probe: the head alone
    data: DataConfig = field(default_factory=DataConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    augment: Sequence[Mapping[str, Any]] = ()
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loss: Mapping[str, Any] = field(default_factory=dict)  # bce unless it has a name; see `engine.losses`
    distil: DistilConfig = field(default_factory=DistilConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    stages: Sequence[StageConfig] = ()  # instead of one training: train, grow, train, prune, train
    rounds: int = 0  # how often the stages are repeated at most, while the development EER falls; 0: they run once
    rounds_patience: int = 2  # rounds without a better development EER before that ends
    folds: FoldsConfig = field(default_factory=FoldsConfig)  # instead of a development set

    def __post_init__(self) -> None:
        # So that `--set detector.width=32` alone says enough.
        object.__setattr__(self, "detector", {"name": "resnet18", **self.detector})
        object.__setattr__(self, "loss", {"name": "bce", **self.loss})


def load_config(
    path: str | Path | None = None, overrides: Sequence[str] = (), base: Mapping[str, Any] | None = None
) -> TrainConfig:
    """The settings of the YAML file at `path`, changed by `overrides` like `optimizer.lr=3e-4`.

    Without a file they are those of `base` (as from `to_dict`), else the defaults. Paths under `data` are relative to
    the YAML file. Raises `ConfigError` naming the key and the nearest one that exists, or the value and the type that
    it should have.
    """
    raw: dict[str, Any] = deepcopy(dict(base or {}))
    if path is not None:
        try:
            raw = parse_yaml(Path(path).read_text(encoding="utf-8"), str(path)) or {}
        except OSError as error:
            raise ConfigError(f"The settings {path} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path} is not valid YAML: {error}") from None
        if not isinstance(raw, dict):
            raise ConfigError(f"{path} holds no settings but a {type(raw).__name__}.")
        data = raw.get("data")
        for subset in ("train", "dev"):
            place = data.get(subset) if isinstance(data, dict) else None
            if isinstance(place, dict) and place.get("path"):
                place["path"] = str(Path(path).parent / Path(str(place["path"])).expanduser())
    for override in overrides:
        _override(raw, override)
    config: TrainConfig = from_dict(TrainConfig, raw)
    return config


def to_dict(config: Any) -> dict[str, Any]:
    """Plain dicts, lists and scalars, as YAML and JSON hold them."""
    plain: dict[str, Any] = json.loads(json.dumps(_plain(dataclasses.asdict(config)), sort_keys=True))
    return plain


def to_yaml(config: Any) -> str:
    """The settings as a YAML document that `load_config` reads back."""
    return yaml.safe_dump(_plain(dataclasses.asdict(config)), sort_keys=False, allow_unicode=True)


def from_dict(cls: Any, raw: Mapping[str, Any], where: str = "") -> Any:
    """A dataclass from nested mappings; every key and the type of every value is checked."""
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{where or 'The document'} should hold settings, not {raw!r}.")
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in raw.items():
        path = f"{where}.{key}" if where else str(key)
        if key not in hints:
            raise ConfigError(f'There is no setting "{path}".', did_you_mean(str(key), list(hints)))
        values[key] = _convert(hints[key], value, path)
    return cls(**values)


def _convert(hint: Any, value: Any, path: str) -> Any:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in options:
        return None
    target = next(option for option in options if option is not type(None))
    if dataclasses.is_dataclass(target):
        return from_dict(target, value, path)
    origin = typing.get_origin(target) or target
    if origin is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-3 (no dot) as text
        except ValueError:
            pass
    elif origin in (int, bool, str) and type(value) is origin:
        return value
    elif origin is Mapping and isinstance(value, str):
        return {"name": value}
    elif origin is Mapping and isinstance(value, Mapping):
        return dict(value)
    elif origin is Sequence and isinstance(value, list):
        [kind] = typing.get_args(target)
        if dataclasses.is_dataclass(kind):
            return [from_dict(kind, item, f"{path}[{number}]") for number, item in enumerate(value)]
        if kind is str:
            return [_convert(str, item, f"{path}[{number}]") for number, item in enumerate(value)]
        return [{"name": item} if isinstance(item, str) else item for item in value]
    kind = getattr(origin, "__name__", str(origin)).lower()
    raise ConfigError(f'"{path}" should be of type {kind}, not {value!r}.')


def _override(raw: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f'"{override}" does not set anything.', "Write it as key=value, such as optimizer.lr=3e-4.")
    *parents, last = key.strip().split(".")
    level = raw
    for parent in parents:
        if level.get(parent) is None:
            level[parent] = {}
        level = level[parent]
        if not isinstance(level, dict):
            raise ConfigError(f'"{key}" cannot be set: "{parent}" is a single value.')
    try:
        level[last] = parse_yaml(text, f'"{override[:80]}"')
    except ConfigError:
        level[last] = text


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
