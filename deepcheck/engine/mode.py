"""The modes of training: what learns, and what stays as it was."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from deepcheck.config import TrainConfig
from deepcheck.detectors.base import Detector
from deepcheck.engine.lora import hold, insert, merge, require_peft
from deepcheck.errors import ConfigError
from deepcheck.plasticity.freeze import Freeze, new_entries


class Unfrozen:
    """Everything learns; what the last growth added may have a rate of its own."""

    at_once: ClassVar[bool] = False
    """Whether there are no steps, but one fit of the head to all that there is."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config

    def prepare(self, detector: Detector) -> None:
        """Change the detector, in place, before anything else knows its parameters."""

    def begin(self, detector: Detector, grown_from: Mapping[str, int]) -> tuple[dict[str, Tensor], Freeze | None]:
        """(which entries are new, by tensor; what holds the rest still) of a detector that is where it will train."""
        return new_entries(detector, detector.groups(), grown_from), None

    def finish(self, detector: Detector) -> None:
        """Bring the detector, in place, to the shape that it had before `prepare`."""


class Frozen(Unfrozen):
    """Only what the last growth added learns."""

    def begin(self, detector: Detector, grown_from: Mapping[str, int]) -> tuple[dict[str, Tensor], Freeze | None]:
        """As of all modes; `ConfigError` if nothing is new."""
        new, _ = super().begin(detector, grown_from)
        if not new:
            model = self.config.start or "a new detector"
            raise ConfigError(
                f"Nothing of {model} was added by growth, so frozen nothing would learn.",
                "Grow it first (deepcheck grow), or take mode unfrozen.",
            )
        return new, Freeze(detector, new)


class Lora(Unfrozen):
    """Only low-rank adapters and the head learn."""

    def prepare(self, detector: Detector) -> None:
        """Put the adapters in."""
        insert(detector, self.config.lora, self.config.seed)

    def begin(self, detector: Detector, grown_from: Mapping[str, int]) -> tuple[dict[str, Tensor], Freeze | None]:
        """As of all modes; here what grew is as still as the rest."""
        return {}, hold(detector)

    def finish(self, detector: Detector) -> None:
        """Merge the adapters into what they adapt."""
        merge(detector)


class Probe(Unfrozen):
    """The head learns alone, and at once."""

    at_once: ClassVar[bool] = True


MODES: dict[str, type[Unfrozen]] = {"unfrozen": Unfrozen, "frozen": Frozen, "lora": Lora, "probe": Probe}


def require_mode(mode: str) -> None:
    """`ConfigError` for what is no mode of training, or one that this installation cannot do."""
    if mode not in MODES:
        raise ConfigError(f'There is no mode "{mode}".', f"Choose one of: {', '.join(MODES)}.")
    if MODES[mode] is Lora:
        require_peft()
