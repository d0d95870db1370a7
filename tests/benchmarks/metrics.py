"""What an evaluation of many trials costs: `python -m tests.benchmarks.metrics [--trials N] [--resamples N]`.

As many trials as the largest public sets have, four fifths of them spoofs. Each row has the seconds on the clock and
those of the processor, the latter also in plain sorts of the same scores in the same run, which says more on a machine
that has other things to do; and the most memory that the process has held so far.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable

import numpy as np

from deepcheck.metrics.comparison import compare
from deepcheck.metrics.curve import convex_hull, visible_points
from deepcheck.metrics.measurement import measure
from deepcheck.metrics.reliability import reliability
from deepcheck.metrics.table import EER, METRICS, carried_over
from deepcheck.metrics.tally import tally

ROW = "{:44} {:>8} {:>8} {:>8} {:>8}"


def seconds_of(work: Callable[[], object]) -> tuple[float, float]:
    """How long `work()` took on the clock, and how long on the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def peak_megabytes() -> float:
    """The most memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def systems(trials: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The scores of bona fide and spoof by two systems, which differ by a little noise."""
    draw = np.random.default_rng(0)
    first = [draw.normal(1.5, 1.7, trials - trials * 4 // 5), draw.normal(-1.5, 1.7, trials * 4 // 5)]
    return first, [scores + draw.normal(0, 0.3, scores.size) for scores in first]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=700_000)
    parser.add_argument("--resamples", type=int, default=1000)
    options = parser.parse_args()
    first, second = systems(options.trials)
    pooled = np.concatenate(first)
    counts = tally(*first)
    metrics = [*METRICS.values(), carried_over(0.0)[0]]
    sort = min(seconds_of(lambda: np.sort(pooled)) for _ in range(5))

    print(f"{options.trials:,} trials, {options.resamples:,} resamples\n")
    print(ROW.format("", "clock s", "CPU s", "sorts", "peak MB"))
    rows: list[tuple[str, Callable[[], object]]] = [
        ("sorted once and counted", lambda: tally(*first)),
        *((f"{metric.title}, once counted", lambda metric=metric: metric.of(counts)) for metric in metrics),
        ("points of a DET plot", lambda: visible_points(*first)),
        ("corners of the convex hull", lambda: convex_hull(*first)),
        ("reliability table", lambda: reliability(*first)),
        ("EER with its interval", lambda: measure([EER], *first, resamples=options.resamples)),
        (f"all {len(metrics)} metrics with intervals", lambda: measure(metrics, *first, resamples=options.resamples)),
        ("EER of two systems compared", lambda: compare([EER], first, second, resamples=options.resamples)),
    ]
    print(ROW.format("plain sort", *(f"{seconds:.3f}" for seconds in sort), "1", f"{peak_megabytes():.0f}"))
    for name, work in rows:
        clock, processor = seconds_of(work)
        print(
            ROW.format(
                name, f"{clock:.3f}", f"{processor:.3f}", f"{processor / sort[1]:.1f}", f"{peak_megabytes():.0f}"
            )
        )


if __name__ == "__main__":
    main()
