"""Cutting a stream of blocks into windows of a detector's length."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from deepcheck.audio.decode import Waveform


class Window(NamedTuple):
    """A stretch of a recording: samples[start:end] of it, `samples` always of the detector's length."""

    start: int
    end: int
    samples: Waveform


def cut(blocks: Iterable[Waveform], size: int, hop: int) -> Iterator[Window]:
    """Windows of `size` samples every `hop`, the last one aligned with the end of the recording.

    A recording shorter than `size` gives one window of itself repeated (`tile`): padding with zeros would tell
    a detector its length. A rest shorter than a quarter of a hop is left out. Holds at most one window and
    one block in memory; yields nothing for an empty stream.
    """
    buffer = np.zeros(0, np.float32)
    first = 0  # position of buffer[0] in the recording
    start = 0  # where the next window begins
    covered = 0  # where the last window ended
    for block in blocks:
        buffer = np.concatenate([buffer, block])
        while first + len(buffer) >= start + size:
            yield Window(start, start + size, buffer[start - first :][:size].copy())
            covered, start = start + size, start + hop
        # The window at the end will need the last `size` samples, wherever the end is.
        spent = min(start, first + len(buffer) - size) - first
        if spent > 0:
            buffer, first = buffer[spent:], first + spent
    end = first + len(buffer)
    if not covered and end:
        yield Window(0, end, tile(buffer, size))
    elif end - covered >= max(1, hop // 4):
        yield Window(end - size, end, buffer[-size:].copy())


def tile(samples: Waveform, size: int) -> Waveform:
    """`samples` repeated up to exactly `size`."""
    return np.tile(samples, -(-size // len(samples)))[:size]
