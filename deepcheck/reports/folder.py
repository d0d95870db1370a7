"""A folder with a document for each recording, and an index that says which is whose."""

import csv
import hashlib
import io
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path

from deepcheck.errors import DeepcheckError
from deepcheck.files import exact, sha256, write_atomically
from deepcheck.reports.text import path_cell

INDEX = "deepcheck-index.csv"
COLUMNS = ["file", "recording", "sha256"]

_LONGEST = 120  # bytes of a name without its ending; file systems take 255, of which a temporary name needs some
_ORDINARY = " ._-+"
# Devices of Windows, whatever their ending.
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(10))}


def put(folder: Path, ending: str, recordings: Sequence[Path], texts: Iterable[str]) -> list[Path]:
    """Write the text on each recording as `folder/NAME + ending`; the paths written, in this order.

    A name is made of the recording's, and of its folder's where two are called the same. The index in the folder keeps
    it for the next time, with the recording's path and the digest of what was written: only files that still are as
    they were written here are replaced. Whatever else has the name stays, and the document gets another. An empty text
    takes the recording's document away. Raises `DeepcheckError` if the folder, or its index, is something else.
    """
    require_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    index = _Index(folder, ending)
    written = []
    try:
        for recording, name, text in zip(recordings, _names(recordings), texts, strict=True):
            content = text.encode("utf-8", "backslashreplace")
            file = index.place(recording, name, content)
            if content:
                write_atomically(folder / file, content)
                index.note(file, recording, content)
                written.append(folder / file)
    finally:
        index.write()
    return written


def require_folder(folder: Path) -> None:
    """`DeepcheckError` where there is something else."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise DeepcheckError(
            f"{folder} is no folder, but this format makes a file for each recording.", "Name a folder for them."
        )


def safe(name: str) -> str:
    """A file name for any system and shell that looks like `name`: letters, marks and digits of any script, ` ._-+`,
    and `_` for whatever else.
    """
    normal = unicodedata.normalize("NFC", name)
    kept = "".join(c if c in _ORDINARY or c.isalnum() or unicodedata.category(c)[0] == "M" else "_" for c in normal)
    kept = kept.strip(" .")
    if kept.startswith("-") or kept.partition(".")[0].casefold() in _RESERVED:
        kept = f"_{kept}"
    return kept.encode()[:_LONGEST].decode("utf-8", "ignore").rstrip(" .") or "recording"


def _names(recordings: Sequence[Path]) -> list[str]:
    """A name each, with the folder in front where it is needed to tell recordings apart."""
    alone = [safe(exact(Path(recording.name))) for recording in recordings]
    times = Counter(map(_same, alone))
    return [
        safe(f"{exact(Path(recording.parent.name))}-{name}")
        if recording.parent.name and times[_same(name)] > 1
        else name
        for recording, name in zip(recordings, alone, strict=True)
    ]


def _same(name: str) -> str:
    # Some file systems tell neither upper from lower case nor composed from decomposed letters.
    return unicodedata.normalize("NFC", name).casefold()


class _Index:
    """What was written into a folder: by file, the recording and the digest of the content."""

    def __init__(self, folder: Path, ending: str) -> None:
        self.folder, self.ending = folder, ending
        self.rows = self._read()
        self.taken = {_same(path.name) for path in folder.iterdir()} | set(map(_same, self.rows))
        self.before: dict[str, list[str]] = {}
        for file, (recording, _) in self.rows.items():
            if file.endswith(ending):
                self.before.setdefault(recording, []).append(file)

    def place(self, recording: Path, name: str, content: bytes) -> str:
        """The file for a recording: the one it had if nobody has changed that, else a name that nothing has.

        For no content, what it had is taken away.
        """
        old = self.before.get(_cell(recording))
        if old:
            file = old.pop(0)
            path = self.folder / file
            own = not os.path.lexists(path) or (_regular(path) and sha256(path) == self.rows[file][1])
            if own and not content:
                path.unlink(missing_ok=True)
            if not own or not content:
                del self.rows[file]
            if own:
                return file
        for number in count(1):
            file = f"{name}{f'-{number}' if number > 1 else ''}{self.ending}"
            if _same(file) not in self.taken or (file not in self.rows and self._holds(file, content)):
                break
        return file

    def note(self, file: str, recording: Path, content: bytes) -> None:
        """Enter what was written."""
        self.rows[file] = (_cell(recording), hashlib.sha256(content).hexdigest())
        self.taken.add(_same(file))

    def write(self) -> None:
        """Put the index into the folder."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerows([COLUMNS, *([file, *row] for file, row in self.rows.items())])
        write_atomically(self.folder / INDEX, text.getvalue())

    def _read(self) -> dict[str, tuple[str, str]]:
        path = self.folder / INDEX
        if not os.path.lexists(path):
            return {}
        text = path.read_bytes().decode("utf-8", "backslashreplace") if _regular(path) else ""
        try:
            rows = list(csv.reader(io.StringIO(text, newline="")))
        except csv.Error:
            rows = []
        if not rows or rows[0] != COLUMNS:
            raise DeepcheckError(f"{path} is no index of such a folder.", "Name another folder, or remove that file.")
        return {row[0]: (row[1], row[2]) for row in rows[1:] if len(row) == len(COLUMNS) and _within(row[0])}

    def _holds(self, file: str, content: bytes) -> bool:
        # As after a run that was killed before it could write the index.
        path = self.folder / file
        return _regular(path) and path.read_bytes() == content


def _regular(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _within(file: str) -> bool:
    # Whoever wrote the index: a file of another folder is none of this one.
    return file.isprintable() and not set("/\\:") & set(file) and bool(file.strip(". "))


def _cell(recording: Path) -> str:
    return path_cell(exact(recording))
