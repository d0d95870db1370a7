"""Which trials are held out together, so that each is judged by what was learnt from others."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Folds = NDArray[np.int64]
"""The number of its fold for each trial, shape (trials,), counted from 0."""


def random_folds(labels: NDArray[np.bool_], count: int, seed: int = 0) -> Folds:
    """`count` folds at random that hold the same share of each label, to within a trial."""
    draw = np.random.default_rng(seed)
    folds = np.zeros(labels.size, np.int64)
    for label in (False, True):
        members = draw.permutation(np.flatnonzero(labels == label))
        folds[members] = np.arange(members.size) % count
    return folds


def group_folds(labels: NDArray[np.bool_], groups: Sequence[str], count: int) -> Folds:
    """At most `count` folds that divide no group and are about as large in each label as whole groups allow.

    The largest group first, each to the fold where it adds least to the sum of squared shares of the labels.
    """
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    shares = np.stack([np.bincount(member, labels == label) / max((labels == label).sum(), 1) for label in (0, 1)], 1)
    filled = np.zeros((count, 2))
    fold_of = np.zeros(len(shares), np.int64)
    for group in np.argsort(-shares.max(axis=1), kind="stable"):
        added = (filled + shares[group]) ** 2 - filled**2
        fold_of[group] = added.sum(axis=1).argmin()
        filled[fold_of[group]] += shares[group]
    folds: Folds = fold_of[member]
    return folds
