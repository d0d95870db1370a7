"""What has been said of each file already, on disk: a scan that is killed, or repeated, does not score it again."""

import errno
import hashlib
import json
import logging
import os
import platform
import re
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Self

from deepcheck.scanner.address import located
from deepcheck.scanner.provenance import code_digest
from deepcheck.scanner.record import from_record, to_record
from deepcheck.scanner.result import Basis, FileResult
from deepcheck.scanner.stamp import Stamp, digest

_log = logging.getLogger(__name__)

_SYNC_S = 5.0  # so much work may be lost with the power; the end of the process alone loses nothing that was added
_BEGINNING = '{"file": '
_DECODER = json.JSONDecoder()


class _Line(NamedTuple):
    """The last line about a file: which journal it stands in and where, and the file as it was."""

    journal: Path
    offset: int
    size: int
    mtime_ns: int
    ctime_ns: int


def folder_of(journals: Path, basis: Basis) -> Path:
    """The folder below `journals` for results that rest on this model, these settings and this code."""
    about = [to_record(_timeless(basis)), code_digest()]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    name = re.sub(r"[^A-Za-z0-9._+-]+", "-", basis.model)[:60]
    return journals / f"{name}-{digest[:16]}"


def _timeless(basis: Basis) -> Basis:
    return replace(basis, created="", models=tuple(map(_timeless, basis.models)))


class Journal:
    """Results by file, for one model with one set of settings: a folder with a file of lines from each computer.

    A line is a JSON object, written in one piece and never changed: `file` (true path, size, times) and `result`.
    The last line about a file counts. Lines that are torn or not understood are passed over, and those that other
    scans add at the same time are left whole. In memory is where a line stands, not what it says.

    A journal that cannot be read or written is said once, as a warning in the log, and then done without.
    """

    def __init__(self, journals: Path, basis: Basis) -> None:
        self.folder = folder_of(journals, basis)
        self.path = self.folder / _own_name()
        self._lines: dict[bytes, _Line] = {}
        self._handle: int | None = None
        self._end = 0
        self._synced = time.monotonic()

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Only for their owner: the names of recordings can be as private as the recordings.
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
            self._handle = os.open(self.path, flags, 0o600)
            if not self._ends_with_a_line():
                self._write(b"\n")  # what a killed scan left of its last line ends here
        except OSError as error:
            self._give_up(error)
        for path in sorted(self.folder.glob("*.jsonl")):
            with suppress(OSError):  # somebody else's
                self._index(path)
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            with suppress(OSError):
                os.fsync(self._handle)
            os.close(self._handle)
            self._handle = None

    def __len__(self) -> int:
        return len(self._lines)

    def find(self, path: Path, now: Stamp) -> FileResult | None:
        """What was said of the file at `path`, if it is still the same: `now` is its stamp.

        Where only its times differ - it was copied over, or its permissions changed - its SHA-256 decides.
        """
        line = self._lines.get(_key(now.place))
        if line is None or line.size != now.size:
            return None
        result = self._result(line)
        if result is None:
            return None
        if (line.mtime_ns, line.ctime_ns) != (now.mtime_ns, now.ctime_ns):
            if digest(path) != result.sha256:
                return None
            self.add(now, result)
        return replace(result, path=path)

    def add(self, then: Stamp, result: FileResult) -> None:
        """Remember the result of a file whose stamp was `then`.

        A result without a SHA-256 is not kept: the file could not be read, which says nothing of its content.
        """
        if self._handle is None or result.sha256 is None:
            return
        about = [then.place, then.size, then.mtime_ns, then.ctime_ns]
        # In ASCII, which carries names that are no text.
        text = json.dumps({"file": about, "result": to_record(replace(result, path=located(then.place)))}) + "\n"
        data = text.encode("ascii")
        known = self._lines.get(_key(then.place))
        try:
            if known is None or self._bytes(known) != data:
                self._write(data)
                self._lines[_key(then.place)] = _Line(
                    self.path, self._end - len(data), then.size, then.mtime_ns, then.ctime_ns
                )
        except OSError as error:
            self._give_up(error)

    def _write(self, data: bytes) -> None:
        assert self._handle is not None
        written = os.write(self._handle, data)
        if written < len(data):
            raise OSError(errno.ENOSPC, "No space left on device", str(self.path))
        # Where another scan appends as well, the place is only known afterwards.
        self._end = os.lseek(self._handle, 0, os.SEEK_CUR)
        if time.monotonic() - self._synced > _SYNC_S:
            os.fsync(self._handle)
            self._synced = time.monotonic()

    def _ends_with_a_line(self) -> bool:
        assert self._handle is not None
        if not os.fstat(self._handle).st_size:
            return True
        os.lseek(self._handle, -1, os.SEEK_END)
        return os.read(self._handle, 1) == b"\n"

    def _index(self, path: Path) -> None:
        offset = 0
        with path.open("rb") as file:
            for line in file:
                about = _about(line)
                if about is not None:
                    place, *state = about
                    self._lines[_key(place)] = _Line(path, offset, *state)
                offset += len(line)

    def _bytes(self, line: _Line) -> bytes:
        with line.journal.open("rb") as file:
            file.seek(line.offset)
            return file.readline()

    def _result(self, line: _Line) -> FileResult | None:
        try:
            return from_record(json.loads(self._bytes(line))["result"])
        except (OSError, LookupError, RecursionError, TypeError, ValueError):
            return None

    def _give_up(self, error: OSError) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        _log.warning(
            "The journal %s cannot be written (%s): if this scan is stopped, it begins anew.",
            self.path,
            error.strerror or error,
        )


def _own_name() -> str:
    # Neither computers nor users that share a home share a file: appending is not safe over every network.
    computer = re.sub(r"[^A-Za-z0-9._-]+", "-", platform.node())[:60]
    return f"{computer}-{os.getuid() if hasattr(os, 'getuid') else 0}.jsonl"


def _key(place: str) -> bytes:
    return hashlib.sha256(place.encode("utf-8", "surrogatepass")).digest()[:16]


def _about(line: bytes) -> tuple[str, int, int, int] | None:
    """What the beginning of a whole line says of its file; the rest is read when it is wanted."""
    try:
        text = line.decode("ascii")
        if not text.startswith(_BEGINNING) or not text.endswith("}\n"):
            return None
        about, _ = _DECODER.raw_decode(text, len(_BEGINNING))
    except (ValueError, RecursionError):
        return None
    match about:
        case [str(place), int(size), int(mtime_ns), int(ctime_ns)]:
            return place, size, mtime_ns, ctime_ns
    return None
