"""Whether a report still holds: the files are those that it names, and the model says of them what it says."""

import math
import os
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from deepcheck.engine.model import HUB, Model, load, load_by_hash
from deepcheck.errors import DeepcheckError
from deepcheck.scanner.panel import Panel
from deepcheck.scanner.stamp import digest

TOLERANCES = {"fp32": 1e-3, "bf16": 5e-3}
"""How far a score may lie from the one that was written, by the precision it was computed in: other processors, devices
and numbers of cores add up in another order, and in bfloat16 a sum that falls on the other side of a rounding weighs
more. On one machine the same file, model and settings give the same score to the last bit."""

_DEEPEST = 64  # parts of a path that are looked for below a root: a stranger may have written thousands


class Outcome(StrEnum):
    """What became of a file."""

    SAME = "same"
    CHANGED = "changed"
    MISSING = "missing"
    DIFFERS = "score differs"
    UNHASHED = "no hash"


@dataclass(frozen=True)
class ModelClaim:
    """A model that a report names, and the SHA-256 that it had; `labels` are those of a model of the hub."""

    name: str
    sha256: str
    labels: str | None = None


@dataclass(frozen=True)
class FileClaim:
    """What a report says of a file; `path` as it stands there, `status` and `verdict` as in `FileResult`."""

    path: str
    sha256: str | None
    status: str
    verdict: str | None = None
    llr: float | None = None


@dataclass(frozen=True)
class Claims:
    """All that can be checked of a report.

    `version` is that of the deepcheck that made it, where that is known; `threshold` is what its user
    set, `precision` what it was computed in; `rounding` is by how much a score may have been rounded.
    """

    files: tuple[FileClaim, ...]
    models: tuple[ModelClaim, ...]
    version: str | None
    threshold: float | None = None
    precision: str = "fp32"
    rounding: float = 0.0


@dataclass(frozen=True)
class Checked:
    """A file of the report and what came of it: where it lies now, its SHA-256, and, if it was scored again, `llr`.

    `reason` is a sentence where it is not the same.
    """

    claim: FileClaim
    outcome: Outcome
    found: Path | None = None
    sha256: str | None = None
    rescored: bool = False
    llr: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Verification:
    """What `verify` found: a row a file, in the order of the report.

    `model` says what is wrong with the model, None if it is the one of the report or was not asked for.
    """

    files: tuple[Checked, ...]
    model: str | None = None
    counts: dict[Outcome, int] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        outcomes = [row.outcome for row in self.files]
        object.__setattr__(self, "counts", {outcome: outcomes.count(outcome) for outcome in Outcome})

    @property
    def rescored(self) -> int:
        """How many files were scored again."""
        return sum(row.rescored for row in self.files)

    @property
    def confirmed(self) -> bool:
        """Whether nothing speaks against the report: all files that it has a hash of are the same, and so is the model.

        Files that could not be read when the report was made have no hash, and nothing is claimed of them.
        """
        good = self.counts[Outcome.SAME] + self.counts[Outcome.UNHASHED]
        return self.model is None and good == len(self.files) and self.counts[Outcome.SAME] > 0


def verify(
    claims: Claims,
    *,
    root: Path | None = None,
    sample: int | None = 5,
    seed: int = 0,
    models: Sequence[str] = (),
    device: str = "auto",
    jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Hash every file again, and score `sample` of those that are the same (None: all), drawn by `seed`.

    `root` is where the files lie now, if not where they did: below it, each is looked for by the whole of its path (64
    parts at most), then by ever fewer of its last parts. The models are taken by the names in the report, else from
    among all that are stored by their SHA-256, or are those in `models`, by name or file. `progress(done, total)` is
    called for each file that was hashed or scored.
    """
    rows = []
    for number, claim in enumerate(claims.files, 1):
        rows.append(_hashed(claim, root))
        if progress:
            progress(number, len(claims.files))
    same = [i for i, row in enumerate(rows) if row.outcome is Outcome.SAME]
    chosen = same if sample is None else sorted(random.Random(seed).sample(same, min(sample, len(same))))
    if not chosen:
        return Verification(tuple(rows))
    loaded = _models(claims.models, models)
    if isinstance(loaded, str):
        return Verification(tuple(rows), loaded)
    if claims.precision == "bf16" and device == "auto":
        device = "cpu"  # a GPU keeps other operations in float32; on one it was computed only if somebody asked for it
    panel = Panel(loaded, threshold=claims.threshold, device=device, precision=claims.precision)
    tolerance = TOLERANCES[claims.precision] + claims.rounding
    for done, (index, result) in enumerate(panel.results([_place(rows[i]) for i in chosen], jobs), 1):
        row = rows[chosen[index]]
        wrong = _difference(row.claim, result.status, result.verdict, result.llr, tolerance)
        rows[chosen[index]] = Checked(
            row.claim,
            Outcome.SAME if wrong is None else Outcome.DIFFERS,
            row.found,
            row.sha256,
            rescored=True,
            llr=result.llr,
            reason=wrong,
        )
        if progress:
            progress(done, len(chosen))
    return Verification(tuple(rows))


def _place(row: Checked) -> Path:
    assert row.found is not None
    return row.found


def _hashed(claim: FileClaim, root: Path | None) -> Checked:
    found = next(filter(_is_file, _places(claim.path, root)), None)
    if found is None:
        where = "at its path" if root is None else f"below {root}"
        return Checked(claim, Outcome.MISSING, reason=f"there is no such file {where}")
    if claim.sha256 is None:
        return Checked(claim, Outcome.UNHASHED, found, reason="the report has no SHA-256 of it")
    now = digest(found)
    if now is None:
        return Checked(claim, Outcome.MISSING, found, reason="it cannot be read")
    if now != claim.sha256:
        return Checked(claim, Outcome.CHANGED, found, now, reason="its SHA-256 is another")
    return Checked(claim, Outcome.SAME, found, now)


def _places(written: str, root: Path | None) -> Iterator[Path]:
    for text in dict.fromkeys((written, _as_bytes(written))):
        path = Path(text)
        if root is None:
            yield path
            continue
        parts = [part for part in path.parts if part not in (path.anchor, os.pardir)]
        yield from (root.joinpath(*parts[start:]) for start in range(max(0, len(parts) - _DEEPEST), len(parts)))


def _is_file(place: Path) -> bool:
    try:
        return place.is_file()
    except OSError:  # a name that is longer than any can be here, a folder that nobody may look into
        return False


def _as_bytes(written: str) -> str:
    r"""The path with `\xNN`, as reports write bytes that are no text, as those bytes."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: os.fsdecode(bytes.fromhex(match[1])), written)


def _models(claimed: Sequence[ModelClaim], given: Sequence[str]) -> list[Model] | str:
    """The models of the report; or, in a sentence, why they cannot be had."""
    by_hash: dict[str, Model] = {}
    for name in given:
        model = load(name)
        by_hash[model.sha256] = model
    found = []
    for claim in claimed:
        known = by_hash.get(claim.sha256) or _stored(claim)
        if known is None:
            return (
                f'There is no model here with the SHA-256 {claim.sha256[:16]}... of "{claim.name}", so nothing was '
                "scored again. Name its file with --model."
            )
        found.append(known)
    return found


def _stored(claim: ModelClaim) -> Model | None:
    if claim.name.startswith(HUB):
        try:
            model = load(claim.name, labels=claim.labels)
        except DeepcheckError:
            return None
        return model if model.sha256 == claim.sha256 else None
    return load_by_hash(claim.sha256, claim.name)


def _difference(claim: FileClaim, status: str, verdict: str | None, llr: float | None, tolerance: float) -> str | None:
    if status != claim.status:
        return f"it was {claim.status}, and is now {status}"
    if (llr is None) != (claim.llr is None) or (
        llr is not None and claim.llr is not None and not math.isclose(llr, claim.llr, rel_tol=0.0, abs_tol=tolerance)
    ):
        return f"its score was {_told(claim.llr)}, and is now {_told(llr)}"
    if (verdict or None) != (claim.verdict or None):
        return f"its verdict was {claim.verdict}, and is now {verdict}"
    return None


def _told(llr: float | None) -> str:
    return "none" if llr is None else f"{llr:+.4f}"
