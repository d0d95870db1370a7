"""Where the reports of a scan go, and in which formats."""

import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deepcheck.errors import DeepcheckError
from deepcheck.reports import FORMATS
from deepcheck.reports.write import format_of, require_place

STDOUT = Path("-")
DEFAULT = "table"


@dataclass(frozen=True)
class Target:
    """A report: its format, and the file (or folder) that it is written to, None for stdout."""

    format: str
    path: Path | None = None


def targets(formats: Sequence[str], outputs: Sequence[Path]) -> list[Target]:
    """What `--format` and `--output` ask for together.

    An output whose ending names one of the formats takes it. The formats that are left go, in order, to outputs whose
    ending says nothing, then to those whose ending says something else, then to stdout; outputs that are left follow
    their ending. Without an output the report is a table on stdout. `DeepcheckError` where that leads nowhere.
    """
    waiting = list(formats)
    chosen: dict[Path, str | None] = dict.fromkeys(outputs)
    if len(chosen) < len(outputs):
        raise DeepcheckError("An --output is given twice.", "Every report needs a file of its own.")
    endings = {output: _of_ending(output) for output in outputs}
    for output, ending in endings.items():
        if ending in waiting:
            waiting.remove(ending)
            chosen[output] = ending
    for output in sorted(outputs, key=lambda output: endings[output] is not None):
        if chosen[output] is None and waiting:
            chosen[output] = waiting.pop(0)
    found = [
        Target(kind or (DEFAULT if output == STDOUT else format_of(output)), None if output == STDOUT else output)
        for output, kind in chosen.items()
    ]
    found += [Target(kind) for kind in waiting] if outputs or formats else [Target(DEFAULT)]
    if sum(target.path is None for target in found) > 1:
        raise DeepcheckError("Only one report can go to stdout.", "Give the others an --output each.")
    return found


def _of_ending(output: Path) -> str | None:
    if not output.suffix:  # stdout, a folder, or a file that is called as a table would be
        return None
    try:
        return format_of(output)
    except DeepcheckError:
        return None


def _is_folder(target: Target) -> bool:
    # Formats of other packages are not in the table.
    return target.format in FORMATS and FORMATS[target.format].per_recording


def require_writable(wanted: Iterable[Target]) -> None:
    """`DeepcheckError` if a report could not be written: before hours of scanning, not after them."""
    from deepcheck.audio.decode import EXTENSIONS

    for target in wanted:
        if target.path is None:
            continue
        if target.path.suffix[1:].lower() in EXTENSIONS:  # it may be the evidence
            raise DeepcheckError(
                f"{target.path} is named like a recording; no report is written there.", "Use .csv or .jsonl."
            )
        require_place(target.format, target.path)
        folder = target.path if _is_folder(target) else target.path.parent
        require_room(folder, f"The report cannot be written to {target.path}")


def require_fitting(wanted: Iterable[Target], files: Sequence[Path]) -> None:
    """`DeepcheckError` if a report cannot hold these files, or would take the place of one, whatever it is called."""
    places = {os.path.realpath(target.path): target.path for target in wanted if target.path and target.path.exists()}
    for path in files if places else ():
        report = places.get(os.path.realpath(path))
        if report is not None:
            raise DeepcheckError(f"{report} is one of the files to scan; no report is written there.")
    for target in wanted:
        if target.path is None and _is_folder(target) and len(files) != 1:
            raise DeepcheckError(
                f'The format "{target.format}" makes a file for each recording.', "Name a folder with --output."
            )


def require_room(folder: Path, what: str) -> None:
    """Makes the folder; `DeepcheckError`, about `what`, if nothing could be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DeepcheckError(f"{what}: {error.strerror}.") from None
