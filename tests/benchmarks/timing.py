"""How long pieces of work take beside each other: on a machine that has other things to do, only ratios say something.

The pieces take turns, so that what disturbs one disturbs all, and the median of the rounds counts.
"""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Spent:
    """Seconds on the clock, and of the processor (with those of processes that were waited for)."""

    wall_s: float
    cpu_s: float

    def __str__(self) -> str:
        return f"{self.wall_s:.3f} s, {self.cpu_s:.3f} s of CPU"


def timed(work: Callable[[], object]) -> Spent:
    """One round of `work()`."""
    before, own_s, began = os.times(), time.process_time(), time.perf_counter()
    work()
    wall_s, own_s, after = time.perf_counter() - began, time.process_time() - own_s, os.times()
    return Spent(wall_s, own_s + sum(after[2:4]) - sum(before[2:4]))  # `os.times` counts in hundredths


def in_turn(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Spent]:
    """The medians of each, after one round that does not count (files and kernels are then at hand)."""
    seen: dict[str, list[Spent]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            spent = timed(work)
            if number:
                seen[name].append(spent)
    return {
        name: Spent(statistics.median(one.wall_s for one in each), statistics.median(one.cpu_s for one in each))
        for name, each in seen.items()
    }
