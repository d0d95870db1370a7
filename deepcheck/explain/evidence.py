"""What a method of explanation gives: evidence for and against, by time and perhaps frequency."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Evidence:
    """How much each place of a window speaks for a spoof; below zero: for bona fide.

    `values` are (bins, frames), where `frequencies_hz` has the frequency of each bin; or (1, frames), for the time
    alone, with None. The frames follow one another from the beginning of the window on, `frame_s` each; places closer
    than `resolution` frames cannot be told apart.
    """

    values: Tensor
    frame_s: float
    frequencies_hz: NDArray[np.float32] | None = None
    resolution: float = 1.0


def over_features(
    values: Tensor, frequencies_hz: NDArray[np.float32] | None
) -> tuple[Tensor, NDArray[np.float32] | None]:
    """(..., bins, frames) -> (bins, frames) and their frequencies; without these, the sums, (1, frames), and None."""
    values = values.reshape(-1, *values.shape[-2:]).sum(0)
    return (values.sum(0, keepdim=True), None) if frequencies_hz is None else (values, frequencies_hz)
