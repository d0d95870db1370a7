"""What every detector is: a waveform in, one logit out, and a list of what may grow or shrink."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from deepcheck.card import DetectorSpec
from deepcheck.detectors import DETECTORS
from deepcheck.errors import ConfigError
from deepcheck.plasticity.units import Plastic, UnitGroup


class Detector(Plastic):
    """Base of all detectors.

    A subclass sets `spec` and implements `features`, `logit`, `groups` and `cam_target`; it then has train,
    eval, scan, growing, pruning, saving and loading for nothing. What its constructor draws at random must be a
    parameter or a persistent buffer: only those are in a file.
    """

    spec: DetectorSpec
    window_s: float
    """Seconds of sound that one score is based on."""
    cpu_batch: ClassVar[int] = 8
    """Windows at a time on a CPU: a property of the architecture (cache), not of the machine."""

    def features(self, waveform: Tensor) -> Tensor:
        """(batch, samples) at 16 kHz -> what feature augmentations act on, (batch, ..., bins, frames)."""
        raise NotImplementedError

    def logit(self, features: Tensor) -> Tensor:
        """Features -> (batch,) logit, higher = more bona fide."""
        raise NotImplementedError

    def score(self, waveform: Tensor) -> Tensor:
        """(batch, samples) at 16 kHz -> (batch,) logit, higher = more bona fide."""
        return self.logit(self.features(waveform))

    forward = score

    def groups(self) -> list[UnitGroup]:
        """What may grow or shrink, in the order of the forward pass, with the widths of now."""
        raise NotImplementedError

    def cam_target(self) -> nn.Module:
        """The module whose output a class activation map is drawn from."""
        raise NotImplementedError


def build(spec: DetectorSpec) -> Detector:
    """A new detector with random weights; `ConfigError` for an unknown name or argument."""
    constructor = DETECTORS.resolve(spec.name)
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
