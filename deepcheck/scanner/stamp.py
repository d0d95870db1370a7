"""Whether a file is still the one that it was."""

import os
from dataclasses import dataclass
from pathlib import Path

from deepcheck.files import sha256


@dataclass(frozen=True, slots=True)
class Stamp:
    """Where a file truly lies, its size, and when its content and its entry in the file system last changed.

    Programs that copy files may set the time of the content back; that of the entry only the system sets (except
    on Windows, where it is the time of creation).
    """

    place: str
    size: int
    mtime_ns: int
    ctime_ns: int


def stamp(path: Path) -> Stamp | None:
    """The stamp of what lies at `path` now, links followed; None if there is nothing that could be looked at."""
    try:
        status = os.stat(path)  # noqa: PTH116 - takes paths that pathlib refuses
    except (OSError, ValueError):
        return None
    return Stamp(os.path.realpath(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def digest(path: Path) -> str | None:
    """The SHA-256 of the content of the file at `path`; None if it cannot be read, or is a pipe or a device."""
    try:
        return sha256(path) if path.is_file() else None  # a pipe would be waited for
    except (OSError, ValueError):
        return None
