"""Scores of a speaker verifier, as the challenges hand them out."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepcheck.errors import DataError
from deepcheck.metrics.measurement import Measurement, measure
from deepcheck.metrics.table import min_a_dcf_of

KINDS = ("target", "nontarget", "spoof")


@dataclass(frozen=True)
class Joint:
    """A system that verifies speakers and detects spoofs at once: how many trials of each of `KINDS`, its min a-DCF."""

    system: str
    trials: tuple[int, ...]
    cost: Measurement


def read_joint(path: Path) -> Joint:
    """What such a system, named after its file, is worth; raises as `read_verifier` does."""
    scores = read_verifier(path)
    return Joint(path.stem, tuple(map(len, scores)), measure([min_a_dcf_of()], *scores)[0])


def read_verifier(path: Path) -> tuple[NDArray[np.float64], ...]:
    """(target, nontarget, spoof) scores of a file whose lines hold one of these words and, last, a score.

    So do those of ASVspoof 2019 (source, kind, score). In ASVspoof 2021 the kinds lie in a file of their own, which
    `paste -d ' ' trial_metadata.txt score.txt` brings together. Raises `DataError` if a line is no such trial or a
    kind has none.
    """
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", error)
        raise DataError(f"The scores {path} of a speaker verifier cannot be read: {reason}.") from None
    for number, line in enumerate(lines, start=1):
        words = line.replace(",", " ").split()
        kind = next((word for word in words[:-1] if word in KINDS), None)
        try:
            score = float(words[-1]) if words else None
        except ValueError:
            score = None
        if kind is not None and score is not None:
            found[kind].append(score)
        elif words and number > 1:  # the first line may be a header
            raise DataError(f'{path}, line {number}: "{line.strip()}" is no trial of a speaker verifier.')
    for kind, scores in found.items():
        if not scores:
            raise DataError(f"{path} holds no {kind} trial.", "A line is: source, target|nontarget|spoof, score.")
    return tuple(np.array(found[kind]) for kind in KINDS)
