"""How many units have to go for a detector to be so much faster: by the clock, not by counting operations."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from deepcheck.audio.decode import SAMPLE_RATE
from deepcheck.checkpoint import Checkpoint
from deepcheck.detectors.base import Detector
from deepcheck.engine.surgery import statistics_of
from deepcheck.errors import ConfigError
from deepcheck.plasticity.growth import prune
from deepcheck.plasticity.selection import Ask, Pool, Selection, pools_of, select

FRACTIONS = tuple(number / 20 for number in range(1, 20))
"""What may go, as shares of the units that are meant."""
ROUNDS = 9


@dataclass(frozen=True)
class Pace:
    """Without the share `fraction` of its units a detector is `speed` times as fast."""

    fraction: float
    speed: float


@dataclass(frozen=True)
class Reached:
    """The least of `FRACTIONS` that reaches the target, what was measured on the way, in its order, and who goes."""

    fraction: float
    measured: tuple[Pace, ...]
    selections: tuple[Selection, ...]


def reach_speed(
    parent: Checkpoint,
    target: float,
    ask: Ask,
    *,
    scope: str = "layer",
    criterion: str = "gradient-entropy",
    probe: Any = None,
    seed: int = 0,
) -> Reached:
    """What has to go for `parent` to be `target` times as fast on this machine's CPU, found by bisection.

    `ask` says of which units, and not how many; `scope`, `criterion` and `probe` are those of
    `surgery.statistics_of` and `selection.pools_of`. Speed is taken for certain to grow with what goes, which holds
    but for noise and the widths that a processor likes. Raises `ConfigError` for a target that is none, beside another
    number, and where it cannot be reached, with what can be had.
    """
    if ask.neurons is not None or ask.fraction is not None:
        raise ConfigError("How much to remove is said twice.", "Give a target speed, neurons or a fraction alone.")
    if not 1 < target < float("inf"):
        raise ConfigError(f"A target speed of {target:g} is none.", "Give how many times as fast, such as 1.5.")
    offers = _offers(parent, ask, scope, criterion)
    widest = max(offers.values(), key=lambda pools: sum(len(pool.groups) for pool in pools))
    known = statistics_of(parent, widest, criterion, probe)
    fractions = [*offers]
    measured: list[Pace] = []
    low, high, best = 0, len(fractions) - 1, None
    # The most that can go comes first: where that is not enough, no more need be measured.
    middle = high
    while low <= high:
        selections = tuple(select(known, offers[fraction := fractions[middle]], criterion, seed))
        measured.append(Pace(fraction, speed_of(parent, selections)))
        if measured[-1].speed >= target:
            best, high = Reached(fraction, tuple(measured), selections), middle - 1
        elif best is None:
            break
        else:
            low = middle + 1
        middle = (low + high) // 2
    if best is None:
        most = measured[-1]
        raise ConfigError(
            f"Without {most.fraction:.0%} of these units the model is {most.speed:.2f} times as fast, not {target:g}.",
            "Ask for less, or let more take part (--layer all --scope all). What no pruning reaches takes the rest.",
        )
    return replace(best, measured=tuple(measured))


def _offers(parent: Checkpoint, ask: Ask, scope: str, criterion: str) -> dict[float, list[Pool]]:
    """The pools by the share that goes, of those shares that can."""
    groups, offers = parent.build().groups(), {}
    refused: ConfigError | None = None
    for fraction in FRACTIONS:
        asked = replace(ask, neurons=None, fraction=fraction)
        try:
            offers[fraction] = pools_of(groups, asked, scope, parent.card.grown_from, criterion)
        except ConfigError as error:  # too few units for one to go, or for one to stay
            refused = error
    if not offers:
        assert refused is not None
        raise refused
    return offers


def speed_of(parent: Checkpoint, selections: Sequence[Selection]) -> float:
    """How many times as fast the forward pass is without the units that go: the median over `ROUNDS` of the ratio of
    two passes right after each other, on one batch as large as a scan's."""
    whole, lighter = parent.build().eval(), parent.build().eval()
    prune(lighter, {one.group.name: one.kept for one in selections if len(one.removed)})
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(whole.cpu_batch, round(whole.window_s * SAMPLE_RATE), generator=generator)
    for detector in (whole, lighter):  # what is set up once would count for the first
        _seconds(detector, noise)
    return statistics.median(_seconds(whole, noise) / _seconds(lighter, noise) for _ in range(ROUNDS))


def _seconds(detector: Detector, noise: Tensor) -> float:
    began = time.perf_counter()
    with torch.inference_mode():
        detector.score(noise)
    return time.perf_counter() - began
