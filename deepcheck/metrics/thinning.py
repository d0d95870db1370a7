"""Fewer places for the same trials, so that resampling a large set costs no more than its precision is worth."""

from collections.abc import Iterable

import numpy as np

from deepcheck.metrics.tally import Tally

FEW = 10_000
"""A tally of at most as many places is left as it is: whatever is then measured on resamples is exact."""

STEP = 0.25
"""How far apart, at most, the operating points are that remain: in standard errors of either class's rate there."""


def thinned(trials: Tally, thresholds: Iterable[float] = ()) -> Tally:
    """The same trials at fewer places: at most about pi / STEP times the sum of the roots of the class sizes.

    An operating point is left out if, at the next higher one that remains, the rate of no class differs by `STEP`
    of its standard error sqrt(rate (1 - rate) / size); the arc sine of the root makes that error the same for all
    rates. So rare errors keep every trial, however large the set. The points that remain are points of the original
    curve, and those at `thresholds` are among them.

    A resample of the thinned tally is one of the trials, of which only these points are seen. Let g and s be the
    largest shares of its bona fide and of its spoof trials that lie at one place. Then what is missed is at most
    (g + s) / 2 of the EER, min(m g, f s) of the least of m frr + f far, (g + s) / 2 bits of min Cllr, and the sum of
    g s / 2 over all places of the AUC; Cllr takes every trial for the mean of its class at the place. Rates at
    `thresholds` are exact. Errors of less than a tenth of the standard error are usual.
    """
    if trials.edges.size <= FEW:
        return trials
    last = np.zeros(trials.edges.size, bool)
    last[-1] = True
    for counts in trials.counts:
        rejected = np.cumsum(counts) / counts.sum()
        step = STEP / (2 * np.sqrt(counts.sum()))
        last[:-1] |= np.diff(np.floor(np.arcsin(np.sqrt(rejected)) / step)) > 0
    at = np.searchsorted(trials.edges, list(thresholds), side="right") - 1
    last[at[at >= 0]] = True
    starts = np.concatenate([[0], np.flatnonzero(last)[:-1] + 1])
    merged = tuple(np.add.reduceat(counts, starts) for counts in trials.counts)
    means = tuple(
        np.add.reduceat(old * mean, starts) / np.maximum(new, 1)
        for old, mean, new in zip(trials.counts, trials.means, merged, strict=True)
    )
    return Tally(trials.edges[last], merged, means)
