"""Pool adjacent violators: the best monotone map from scores to likelihood ratios, as blocks of equal ones."""

import numpy as np

from deepcheck.metrics.tally import Counts


def pool(bonafide: Counts, spoof: Counts) -> tuple[Counts, Counts]:
    """(bona fide, spoof) trials of each block, in ascending order of their odds; both arguments have shape (places,).

    Neighbours are merged until the odds of bona fide rise strictly from block to block (Ayer et al., "An empirical
    distribution function for sampling with incomplete information", 1955). The log of a block's odds, less that of
    the whole, is the log-likelihood ratio that suits its trials best; the blocks are also the edges of the convex
    hull of the ROC (Fawcett and Niculescu-Mizil, "PAV and the ROC convex hull", 2007). Places without a trial belong
    to no block. Takes time in proportion to the number of places.
    """
    held = bonafide + spoof > 0
    bonafide, spoof = bonafide[held], spoof[held]
    while True:
        rises = bonafide[:-1] * spoof[1:] < bonafide[1:] * spoof[:-1]
        starts = np.concatenate([[0], np.flatnonzero(rises) + 1])
        if starts.size == bonafide.size:
            return bonafide, spoof
        shrinks = starts.size < 0.75 * bonafide.size
        # A run without a rise lies in one block of the solution, so that it can be pooled as a whole.
        bonafide, spoof = np.add.reduceat(bonafide, starts), np.add.reduceat(spoof, starts)
        if not shrinks:
            return _pool_in_turn(bonafide, spoof)


def _pool_in_turn(bonafide: Counts, spoof: Counts) -> tuple[Counts, Counts]:
    """`pool` block by block, each step merging two for good: linear even where few merge at a time."""
    blocks: list[tuple[int, int]] = []
    for b, s in zip(bonafide.tolist(), spoof.tolist(), strict=True):
        while blocks and blocks[-1][0] * s >= b * blocks[-1][1]:
            below = blocks.pop()
            b, s = below[0] + b, below[1] + s
        blocks.append((b, s))
    pooled = np.array(blocks, np.int64)
    return pooled[:, 0], pooled[:, 1]
