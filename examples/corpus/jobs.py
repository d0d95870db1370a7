"""A clip that is to be made: its name and row are known before, the sound is made when its turn comes."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import clips
import numpy as np
from rows import Manifest, Row

from deepcheck.errors import DeepcheckError

Made = tuple[np.ndarray, Row]  # the sound, and what is known of it only now


@dataclass(frozen=True)
class Job:
    """`make` is called until it gives a sound, with 0, 1, 2; it draws its parameters anew each time."""

    key: tuple[object, ...]  # what the file's name depends on: the same clip has the same name in every run
    row: Row  # all but path and duration
    ending: str
    make: Callable[[int], Made]
    tries: int = 1
    again: bool = False  # the sound comes from a file that has been through the codec before

    @property
    def path(self) -> str:
        """Where it goes, below the folder of the manifest."""
        name = hashlib.blake2b(repr(self.key).encode(), digest_size=6).hexdigest()
        return f"audio/{name[:2]}/{name}.{self.ending}"


def run(jobs: Iterable[Job], manifest: Manifest, say: Callable[[str], None]) -> tuple[int, int, int]:
    """Make what is not there yet; returns how many were made, were there, and failed. A bad one costs a sentence."""
    made = there = failed = 0
    for job in jobs:
        if job.path in manifest:
            there += 1
            continue
        what = f"{job.row['system']} of {job.row['pair_of'] or job.row['speaker'] or job.row['source']}"
        try:
            sound, more = _made(job)
        except (DeepcheckError, ValueError, ArithmeticError, RuntimeError, IndexError, OSError) as error:
            failed += 1
            say(f"Left out: {what}: {error}")
            continue
        clips.save(manifest.folder / job.path, sound, job.again)
        manifest.add(job.row | more | {"path": job.path, "duration_s": f"{sound.size / clips.SAMPLE_RATE:.4g}"})
        made += 1
        if made % 50 == 0:
            say(f"{made} made, {there} were there, {failed} left out")
    return made, there, failed


def _made(job: Job) -> Made:
    for attempt in range(job.tries - 1):
        try:
            return job.make(attempt)
        except DeepcheckError:  # another draw may do
            continue
    return job.make(job.tries - 1)
