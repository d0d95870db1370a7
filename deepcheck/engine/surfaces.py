"""The surfaces of all recordings of a set, each decoded once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from deepcheck.audio import isolated
from deepcheck.audio.surface import Surface, measure
from deepcheck.data.utterance import Protocol, Utterance
from deepcheck.errors import AudioError, ConfigError
from deepcheck.runtime import cores


@dataclass(frozen=True)
class Surfaces:
    """The labelled utterances of a protocol with their surfaces, and those that could not be read, with the reason."""

    protocol: str
    utterances: tuple[Utterance, ...]
    surfaces: tuple[Surface, ...]
    skipped: tuple[tuple[Utterance, str], ...]


def gather(
    protocol: Protocol, *, jobs: int | None = None, progress: Callable[[int, int], None] | None = None
) -> Surfaces:
    """Reads every labelled recording of `protocol`; `progress(done, total)` is called after each.

    `jobs` processes decode, apart from this one: what crashes or hangs a decoder is skipped with that reason.
    """
    if jobs is not None and jobs < 1:
        raise ConfigError(f"The number of jobs is {jobs}.", "Give at least 1.")
    utterances = [utterance for utterance in protocol.utterances if utterance.label is not None]
    found: list[tuple[Utterance, Surface]] = []
    skipped: list[tuple[Utterance, str]] = []
    stop = threading.Event()

    def measured(utterance: Utterance) -> Surface | str:
        try:
            return measure(np.concatenate(list(isolated.decode(utterance.path, stop=stop))))
        except AudioError as error:
            return error.message

    pool = ThreadPoolExecutor(jobs or cores())
    try:
        for done, (utterance, surface) in enumerate(zip(utterances, pool.map(measured, utterances), strict=True), 1):
            if isinstance(surface, Surface):
                found.append((utterance, surface))
            else:
                skipped.append((utterance, surface))
            if progress:
                progress(done, len(utterances))
    finally:  # an interrupt must not wait for thousands of recordings that nobody wants any more
        stop.set()
        pool.shutdown(cancel_futures=True)
    kept, surfaces = tuple(u for u, _ in found), tuple(s for _, s in found)
    return Surfaces(protocol.describe(), kept, surfaces, tuple(skipped))
