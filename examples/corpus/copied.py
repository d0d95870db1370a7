"""Which copies are made of which clips."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import splices
from clips import format_of, settle
from copies import Method, draw
from jobs import Job, Made
from rows import Row, clip_path

from deepcheck.audio.decode import SAMPLE_RATE, read
from deepcheck.errors import AudioError
from deepcheck.seeding import seed_of

_TRIES = 3
_LONGEST_S = 60  # some methods hold all frames of a clip at once


def copy_jobs(
    genuine: Sequence[Row],
    folder: Path,
    methods: Sequence[Method],
    *,
    per_clip: int,
    ending: str,
    spliced: float,
    seed: int,
) -> Iterator[Job]:
    """`per_clip` copies of each of `genuine`, whose paths start at `folder`; the share `spliced` only in part."""
    for row in genuine:
        rng = np.random.default_rng(seed_of("copies", seed, row["id"]))
        for count in range(per_clip):
            partly = bool(rng.random() < spliced)
            yield _job(row, folder, draw(methods, rng), partly, count, ending, seed)


def _job(row: Row, folder: Path, method: Method, partly: bool, count: int, ending: str, seed: int) -> Job:
    path = clip_path(folder, row)
    system = method.system.replace("copysyn", "splice") if partly else method.system
    make = splices.splice(method.make) if partly else method.make
    key = ("copy", system, row["id"], count, seed)

    def sound(attempt: int) -> Made:
        original = read(path)
        if original.size > _LONGEST_S * SAMPLE_RATE:
            raise AudioError(f"it is longer than {_LONGEST_S} s; cut it into sentences first")
        return settle(make(original, np.random.default_rng(seed_of(*key, attempt))), original), {}

    changed = {
        "label": "spoof",
        "source": f"engine:{system}",
        "system": system,
        "family": "vocoder",
        "pair_of": row["id"],
        "licence": f"{method.licence} + source {row['licence'] or 'unknown'}",
    }
    return Job(key, row | changed, format_of(path, ending), sound, _TRIES, again=path.suffix.lower() == ".opus")
