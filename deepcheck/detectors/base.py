"""What every detector is: a waveform in, one logit out, and a list of what may grow or shrink."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from deepcheck.card import DetectorSpec
from deepcheck.detectors import DETECTORS
from deepcheck.detectors.arguments import require_types
from deepcheck.detectors.attention import AttentionMaps
from deepcheck.errors import ConfigError
from deepcheck.plasticity.units import Plastic, UnitGroup


@dataclass(frozen=True)
class Part:
    """A part of a detector: the `parameters` that it consists of, and what it does, `forward`, (batch, ...) -> (batch,
    ..., frames) of `step` samples each; or, with a `step` of 0, to values of the whole window. With its parameters the
    `name` says all that this depends on."""

    name: str
    forward: Callable[[Tensor], Tensor]
    parameters: Sequence[Tensor]
    step: int


@dataclass(frozen=True)
class Stage:
    """The output of a `module` (a path; of a tuple the first) that the next one reads: `channels` along `axis`.

    Where these are the units of a `group`, they lie there in so many `blocks`.
    """

    module: str
    channels: int
    axis: int
    group: str | None = None
    blocks: int = 1


class Detector(Plastic):
    """Base of all detectors.

    A subclass sets `spec` and implements `features`, `embedded` and `logit_of`, `groups` and `cam_target`; it then
    has train, eval, scan, growing, pruning, saving and loading for nothing. One without an embedding implements
    `logit` in the place of the two, and nothing will be known of how far a recording lies from what it was trained
    on. What its constructor draws at random must be a parameter or a persistent buffer: only those are in a file.
    """

    spec: DetectorSpec
    window_s: float
    """Seconds of sound that one score is based on."""
    cpu_batch: ClassVar[int] = 8
    """Windows at a time on a CPU: a property of the architecture (cache), not of the machine."""
    takes_bf16: ClassVar[bool] = False
    """Whether a scan may take bfloat16 unasked, where that is faster: it moves the logits of the shipped detectors of
    this kind by 0.02 at most (`python -m tests.benchmarks --only precision`)."""
    explainer: ClassVar[str] = "gradient-x-input"
    """Which of `deepcheck.explain.EXPLAINERS` shows best what the score rests on."""

    def features(self, waveform: Tensor) -> Tensor:
        """(batch, samples) at 16 kHz -> what feature augmentations act on, (batch, ..., bins, frames)."""
        raise NotImplementedError

    def parts(self) -> list[Part]:
        """What makes the embedding of the features, in order, where it can be divided. What the first of them give of a
        recording stays what it is while they do not learn, and can be kept (see `data.variants`)."""
        return []

    def resumed(self, carried: Tensor, done: int) -> Tensor:
        """What the first `done` of `parts` give (of none: features) -> (batch, values), as `embedded`."""
        for part in self.parts()[done:]:
            carried = part.forward(carried)
        return carried

    def embedded(self, features: Tensor) -> Tensor:
        """Features -> (batch, values), what the last layer reads of a window."""
        return self.resumed(features, 0)

    def logit_of(self, embedding: Tensor) -> Tensor:
        """(batch, values), as `embedded` gives them -> (batch,) logit, higher = more bona fide."""
        raise NotImplementedError

    def logit(self, features: Tensor) -> Tensor:
        """Features -> (batch,) logit, higher = more bona fide."""
        return self.logit_of(self.embedded(features))

    @property
    def has_embedding(self) -> bool:
        """Whether the logit is made from an embedding."""
        return type(self).logit is Detector.logit

    def score(self, waveform: Tensor) -> Tensor:
        """(batch, samples) at 16 kHz -> (batch,) logit, higher = more bona fide."""
        return self.logit(self.features(waveform))

    forward = score

    def groups(self) -> list[UnitGroup]:
        """What may grow or shrink, in the order of the forward pass, with the widths of now."""
        raise NotImplementedError

    def stages(self) -> list[Stage]:
        """What a column beside the detector reads of it, in the order of the forward pass; without any there can be
        none (see `detectors.progressive`)."""
        return []

    def cam_target(self) -> nn.Module:
        """The module whose output a class activation map is drawn from."""
        raise NotImplementedError

    def cam_grid(self) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """Where the cells of that map lie: (first, step) in bins of the features, and likewise in frames.

        None: evenly over the features.
        """
        return None

    def frequencies_hz(self) -> NDArray[np.float32] | None:
        """The frequency of each bin of the features, (bins,), rising; None if their bins are no frequencies."""
        return None

    def features_s(self) -> float:
        """The seconds that the frames of the features cover from the beginning of a window on: its own, unless the
        features are padded beyond its end."""
        return self.window_s

    def leader(self) -> "Detector":
        """The detector that an explanation looks into: itself, or of several the one that says most."""
        return self

    def attention_maps(self, waveform: Tensor) -> AttentionMaps:
        """What the layers attend to in (batch, samples) at 16 kHz; only of detectors with attention."""
        raise NotImplementedError


def build(spec: DetectorSpec) -> Detector:
    """A new detector with random weights; `ConfigError` for an unknown name or argument."""
    constructor = DETECTORS.resolve(spec.name)
    require_types(spec.name, constructor, spec.arguments)
    try:
        detector = constructor(**spec.arguments)
    except TypeError as error:
        raise ConfigError(f'The detector "{spec.name}" cannot be built: {error}.') from error
    assert isinstance(detector, Detector)
    if not (isinstance(detector.window_s, int | float) and 0.5 <= detector.window_s <= 60):
        raise ConfigError(f"A window of {detector.window_s!r} s makes no sense.", "Set window_s between 0.5 and 60.")
    return detector


def build_unfilled(spec: DetectorSpec) -> Detector:
    """As `build`, in a fraction of the time: its parameters hold anything, its buffers what they should.

    For a strict load, or a look at the shapes. The global generator of random numbers is left as it was.
    """
    with torch.random.fork_rng(devices=[]), _NoDraws():
        return build(spec)


class _NoDraws(TorchFunctionMode):
    """Leaves parameters as they were allocated where `torch.nn.init` would draw them.

    Only whole functions of `nn.init` are left out, and of these the ones that PyTorch lets a mode see. What else a
    constructor draws takes time and does no harm.
    """

    _DRAWS = frozenset({"uniform_", "normal_", "kaiming_uniform_"})  # by name: transformers replaces the functions

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        tensor = kwargs.get("tensor")  # which the methods of the same names call self
        if isinstance(tensor, nn.Parameter) and func.__name__ in self._DRAWS:
            return tensor
        return func(*args, **kwargs)


def parameter_count(model: nn.Module) -> int:
    """How many numbers the model learns."""
    return sum(parameter.numel() for parameter in model.parameters())
