"""Which files a scan covers."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from deepcheck.audio.decode import EXTENSIONS
from deepcheck.errors import DataError
from deepcheck.scanner.address import Address, below, located


@dataclass(frozen=True)
class Found:
    """`files` to be scored in order; `unreadable` holds (path, reason) of folders that could not be opened."""

    files: tuple[Path, ...]
    unreadable: tuple[tuple[Path, str], ...]


def discover(paths: Iterable[str | Path]) -> Found:
    """Files as given, and below each folder every file with a known ending, in alphabetical order, each once.

    A file that is named is taken whatever it is called; hidden files and folders below a folder are passed over,
    and links to folders are not followed. A named path that does not exist is kept, to become a row of the
    report, unless there is nothing else: then, as when no audio is found at all, `DataError`. URLs lead to files and
    folders elsewhere (`address.below`).
    """
    given = [located(path) for path in paths]
    found = look(given)
    away = any(isinstance(path, Address) and path.info is not None for path in found.files)
    if given and not away and not any(os.path.exists(path) for path in given):  # noqa: PTH110 - as in `look`
        raise DataError(f"There is nothing at {', '.join(str(path) for path in given[:3])}.", "Check the path.")
    if not found.files and not found.unreadable:
        places = ", ".join(str(path) for path in given[:3])
        raise DataError(
            f"There is no audio or video file in {places}.",
            "Files are recognised by their ending (wav, mp3, m4a, mp4 ...); one that is named is always tried.",
        )
    return found


def look(paths: Iterable[Path]) -> Found:
    """As `discover`, and no error if there is nothing."""
    files: dict[str, Path] = {}  # by true path, so that no spelling and no link counts a recording twice
    unreadable: dict[Path, str] = {}

    def refuse(error: OSError) -> None:
        unreadable[Path(error.filename)] = "no permission to open the folder"

    def add(path: Path) -> None:
        files.setdefault(os.path.realpath(path), path)

    for path in paths:
        if isinstance(path, Address):
            files |= {str(one): one for one in below(path)}
            continue
        if not os.path.isdir(path):  # noqa: PTH112 - the method raises where a folder above must not be entered
            add(path)
            continue
        for folder, folders, names in os.walk(path, onerror=refuse):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if not name.startswith(".") and Path(name).suffix[1:].lower() in EXTENSIONS:
                    add(Path(folder, name))
    return Found(tuple(files.values()), tuple(unreadable.items()))
