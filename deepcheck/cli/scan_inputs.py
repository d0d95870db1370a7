"""Where the files of a scan are named: arguments, a list, or the sound itself on stdin."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from deepcheck.errors import DataError
from deepcheck.scanner.address import Address
from deepcheck.scanner.passing import passing_folder
from deepcheck.scanner.result import Report

STDIN = Path("-")


@dataclass(frozen=True)
class Inputs:
    """The paths to scan; `sound`, one of them, is a file with what came on stdin."""

    paths: tuple[Path, ...]
    sound: Path | None = None

    def named(self, path: Path) -> Path:
        """The name that the user gave: `-` for what came on stdin."""
        return STDIN if path == self.sound else path

    def as_named(self, report: Report) -> Report:
        """The report with the names that the user gave."""
        if self.sound is None:
            return report
        return replace(report, results=tuple(replace(result, path=self.named(result.path)) for result in report))


@contextmanager
def gathered(paths: Sequence[Path], listed: Path | None, null: bool, watch: bool = False) -> Iterator[Inputs]:
    """The paths as given, then those of the list. Within the block the sound from stdin is a file, after it no more."""
    if not paths and listed is None:
        raise typer.BadParameter("Missing argument 'paths': name files or folders, or a list with --from-file.")
    if null and listed is None:
        raise typer.BadParameter("--null is about a list: it needs --from-file.")
    if STDIN in paths and listed == STDIN:
        raise typer.BadParameter("stdin can be the sound or the list of files, not both.")
    if watch and (listed is not None or STDIN in paths):
        raise typer.BadParameter("--watch takes folders, neither a list nor stdin.")
    if watch and any(isinstance(path, Address) for path in paths):
        raise typer.BadParameter("--watch takes folders on this computer, no addresses.")
    named = [*paths, *(_read(listed, null) if listed is not None else [])]
    with ExitStack() as cleaning:
        if STDIN not in paths:
            yield Inputs(tuple(named))
            return
        sound = cleaning.enter_context(passing_folder("stdin")) / "stdin"
        _receive(sound)
        yield Inputs(tuple(sound if path == STDIN else path for path in named), sound)


def _read(listed: Path, null: bool) -> list[Path]:
    from deepcheck.scanner.listing import read_list

    if listed == STDIN:
        return read_list(sys.stdin.buffer, "The list on stdin", null)
    try:
        with listed.open("rb") as file:
            return read_list(file, str(listed), null)
    except OSError as error:
        raise DataError(f"The list {listed} cannot be read: {error.strerror}.") from None


def _receive(sound: Path) -> None:
    if sys.stdin.isatty():
        raise DataError("There is no sound on stdin.", "Give it some: deepcheck scan - < call.wav")
    try:
        with sound.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
    except OSError as error:
        raise DataError(f"The sound on stdin cannot be kept in {sound.parent}: {error.strerror}.") from None
