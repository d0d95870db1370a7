"""What every metric asks of its arguments."""

import numpy as np
from numpy.typing import NDArray

from deepcheck.errors import ConfigError, DataError

Scores = NDArray[np.float64]
"""One number per trial, shape (trials,), higher = more bona fide."""


def both_classes(bonafide: Scores, spoof: Scores) -> tuple[Scores, Scores]:
    """The two lists of scores as float64 arrays, in their order.

    `DataError` if either is empty, is not one-dimensional or holds a NaN or an infinity.
    """
    return finite("bona fide", bonafide), finite("spoof", spoof)


def finite(name: str, scores: Scores) -> Scores:
    """The scores of the class called `name` as a float64 array, in their order.

    `DataError` if there are none, or they are not one-dimensional, or one is NaN or infinite.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1:
        raise DataError(
            f"The {name} scores have the shape {scores.shape}.",
            "Give one number per recording, as a flat list.",
        )
    if scores.size == 0:
        raise DataError(f"There are no {name} scores.", "Give at least one recording of each class.")
    bad = scores.size - int(np.count_nonzero(np.isfinite(scores)))
    if bad:
        raise DataError(
            f"{bad} of {scores.size} {name} scores are not finite numbers.",
            "Leave those recordings out, or find out why the model gives NaN or infinity for them.",
        )
    return scores


def require_fraction(name: str, value: float) -> None:
    """`ConfigError` unless `value` lies strictly between 0 and 1."""
    if not 0 < value < 1:
        raise ConfigError(f"{name} is {value}.", "Give a number between 0 and 1, both excluded.")
