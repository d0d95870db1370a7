"""What every detector is: a waveform in, one logit out, and a list of what may grow or shrink."""

from typing import ClassVar

from torch import Tensor, nn

from deepcheck.card import DetectorSpec
from deepcheck.detectors import DETECTORS
from deepcheck.errors import ConfigError
from deepcheck.plasticity.units import Plastic, UnitGroup


class Detector(Plastic):
    """Base of all detectors.

    A subclass sets `spec` and implements `features`, `logit`, `groups` and `cam_target`; it then has train,
    eval, scan, growing, pruning, saving and loading for nothing.
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


def parameter_count(model: nn.Module) -> int:
    """How many numbers the model learns."""
    return sum(parameter.numel() for parameter in model.parameters())
