"""Trials as counts: how many of each class lie at each place of the score axis.

Every metric here is a function of such counts, and so of those of many resamples at once.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from deepcheck.metrics.arguments import Scores

Counts = NDArray[np.int64]
"""Numbers of trials, shape (..., places)."""

Values = NDArray[np.float64]
"""What a metric gives: one value for each resample, in the shape of the leading axes of the counts."""


@dataclass(frozen=True, eq=False)
class Tally:
    """The trials of all classes in the order of their scores, equal scores at one place.

    `edges`, shape (places,), ascending: the highest score at each place. For each class `counts` holds the number
    of its trials there, shape (..., places), and `means` their mean score, shape (places,). The first class is the
    one to be accepted; leading axes of the counts are resamples. A threshold lies at an edge or below all of them,
    which makes places + 1 operating points.
    """

    edges: Scores
    counts: tuple[Counts, ...]
    means: tuple[Scores, ...]

    @cached_property
    def frr(self) -> Values:
        """The share of the first class at or below each threshold, shape (..., places + 1), from 0 to 1."""
        rejected = _running_sum(self.counts[0])
        return rejected / rejected[..., -1:]

    @cached_property
    def fars(self) -> tuple[Values, ...]:
        """For each further class its share above each threshold, shape (..., places + 1), from 1 to 0."""
        sums = [_running_sum(counts) for counts in self.counts[1:]]
        return tuple((rejected[..., -1:] - rejected) / rejected[..., -1:] for rejected in sums)

    @property
    def thresholds(self) -> Scores:
        """The operating points, shape (places + 1,): 0.001 below the lowest edge, then the edges."""
        return np.concatenate([self.edges[:1] - 0.001, self.edges])


def tally(*classes: Scores) -> Tally:
    """The scores of each class, one-dimensional, finite and not empty, as counts at the distinct scores."""
    edges = np.unique(np.concatenate(classes))
    sums = [np.searchsorted(np.sort(scores), edges, side="right") for scores in classes]
    return Tally(edges, tuple(np.diff(at_or_below, prepend=0) for at_or_below in sums), (edges,) * len(classes))


def _running_sum(counts: Counts) -> Counts:
    """The numbers of trials at or below each threshold, the lowest first."""
    sums = np.zeros((*counts.shape[:-1], counts.shape[-1] + 1), np.int64)
    np.cumsum(counts, axis=-1, out=sums[..., 1:])
    return sums
