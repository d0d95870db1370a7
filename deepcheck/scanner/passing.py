"""Sound that is on this computer only while it is scanned."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def passing_folder(kind: str) -> Iterator[Path]:
    """A new folder for sound, gone after the block; `kind` is a word for its name.

    What scans of this user left there which were killed, and could not delete it themselves, is deleted first.
    """
    clear_up(kind)
    with tempfile.TemporaryDirectory(prefix=f"deepcheck-{kind}-{os.getpid()}-") as folder:
        yield Path(folder)


def clear_up(kind: str) -> None:
    """Deletes the folders of this kind whose processes live no more."""
    if os.name != "posix":  # elsewhere a look at a process may end it
        return
    start = f"deepcheck-{kind}-"
    for folder in Path(tempfile.gettempdir()).glob(f"{start}*-*"):
        process = folder.name.removeprefix(start).partition("-")[0]
        if process.isdecimal() and _is_mine(folder) and not _lives(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_mine(folder: Path) -> bool:
    try:
        return folder.lstat().st_uid == os.getuid()
    except OSError:  # another scan was faster
        return False


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
