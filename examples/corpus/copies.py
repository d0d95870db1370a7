"""Copy-synthesis: a genuine clip taken apart and put together again, so that nothing but the synthesis differs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import griffin_lim
import numpy as np
import phases
import source_filter
import world

from deepcheck.audio.decode import Waveform

Copy = Callable[[Waveform, np.random.Generator], np.ndarray]


def _nothing_missing() -> str:
    return ""


@dataclass(frozen=True)
class Method:
    """A row of the table. `weight` is how often it is drawn, `missing` says why it cannot be had, if so.

    `make` takes a clip at 16 kHz and draws its parameters from the generator: no constant is there to be learnt.
    """

    name: str
    group: str
    weight: float
    make: Copy
    licence: str = "Apache-2.0"
    missing: Callable[[], str] = _nothing_missing

    @property
    def system(self) -> str:
        """What its clips are called in a manifest."""
        return "copysyn_" + self.name.replace("-", "_")


METHODS: tuple[Method, ...] = (
    Method("world", "world", 12, world.plain, "MIT", world.missing),
    Method("world-mcep", "world", 12, world.smooth, "MIT", world.missing),
    Method("world-coded", "world", 11, world.coded, "MIT", world.missing),
    Method("griffin-lim-mel", "griffin-lim", 30, griffin_lim.mel),
    Method("griffin-lim-linear", "griffin-lim", 10, griffin_lim.linear),
    Method("lpc-pulse", "lpc", 5, source_filter.lpc),
    Method("lpc-mixed", "lpc", 5, source_filter.lpc_mixed),
    Method("minimum-phase", "phase", 1, source_filter.minimum_phase),
    Method("zero-phase", "phase", 2, source_filter.zero_phase),
    Method("random-phase", "phase", 2, phases.randomised),
    Method("sinusoidal", "sinusoidal", 4, phases.sinusoidal),
    Method("phase-vocoder", "phase-vocoder", 4, phases.phase_vocoder),
)


def draw(methods: Sequence[Method], rng: np.random.Generator) -> Method:
    """One of `methods`, by their weights."""
    weights = np.array([method.weight for method in methods])
    return methods[int(rng.choice(len(methods), p=weights / weights.sum()))]
