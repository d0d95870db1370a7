"""Trials drawn again, with replacement and within each class, so that its size stays.

Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 8 (several samples).
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from deepcheck.metrics.arguments import Scores
from deepcheck.metrics.tally import Counts, Tally

Indices = NDArray[np.int32]

_BATCH = 2**18
"""Numbers that are drawn or counted at a time: few enough for a processor's cache."""


def resampled(trials: Tally, number: int, draw: Generator) -> Iterator[Tally]:
    """`number` resamples of the trials of a tally without leading axes, some at a time along the first axis.

    How many trials a resample has at each place is multinomial, so that the trials need not be drawn one by one.
    """
    draws = draw.spawn(len(trials.counts))  # one for each class, so that it does not matter how many rows are drawn
    at_a_time = max(1, _BATCH // trials.edges.size)
    for done in range(0, number, at_a_time):
        rows = min(at_a_time, number - done)
        counts = tuple(_multinomial(own, rows, draw) for own, draw in zip(trials.counts, draws, strict=True))
        yield Tally(trials.edges, counts, trials.means)


def _multinomial(counts: Counts, rows: int, draw: Generator) -> Counts:
    # Only places that hold a trial: rounding could give the others one, and they would take time.
    held, size = np.flatnonzero(counts), counts.sum()
    drawn = np.zeros((rows, counts.size), np.int64)
    drawn[:, held] = draw.multinomial(size, counts[held] / size, size=rows)
    return drawn


def resampled_pairs(
    first: tuple[Tally, Sequence[Scores]], second: tuple[Tally, Sequence[Scores]], number: int, draw: Generator
) -> Iterator[tuple[Tally, Tally]]:
    """`number` resamples of trials that two systems scored: the same trials for both, some at a time.

    Each system comes as its tally and the scores that it was made of, for each class in the order of the trials.
    """
    # Half as wide as they might be, indices take about half the time.
    places = [
        [np.searchsorted(trials.edges, scores).astype(np.int32) for scores in classes]
        for trials, classes in (first, second)
    ]
    sizes = [scores.size for scores in first[1]]
    draws = draw.spawn(len(sizes))
    at_a_time = max(1, _BATCH // max(*sizes, first[0].edges.size, second[0].edges.size))
    for done in range(0, number, at_a_time):
        rows = min(at_a_time, number - done)
        drawn = [
            draw.integers(size, size=(rows, size), dtype=np.int32) for size, draw in zip(sizes, draws, strict=True)
        ]
        one, other = (
            Tally(trials.edges, tuple(map(_count, own, drawn, [trials.edges.size] * len(own))), trials.means)
            for (trials, _), own in zip((first, second), places, strict=True)
        )
        yield one, other


def _count(places: Indices, drawn: Indices, number: int) -> Counts:
    """How many of the drawn trials, one row a resample, lie at each of `number` places."""
    rows = len(drawn)
    own_places = places[drawn] + number * np.arange(rows, dtype=np.int32)[:, None]
    return np.bincount(own_places.ravel(), minlength=rows * number).reshape(rows, number)
