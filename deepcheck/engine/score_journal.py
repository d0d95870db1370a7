"""The scores of an evaluation as they come, in a file from which a stopped one goes on."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from deepcheck.data.utterance import Utterance
from deepcheck.files import write_atomically


@dataclass(frozen=True, slots=True)
class Entry:
    """The score of the utterance `index`, or the reason why there is none."""

    index: int
    llr: float
    duration_s: float
    error: str | None = None


class ScoreJournal:
    """What is known of the scores of one model on some utterances, on disk if `path` is given.

    The first line says what was scored by which model (its SHA-256) in which condition; a file about something else
    is begun anew. Done again are a line that was cut off by the end of the process, a recording whose file has
    changed since, and one that could not be scored: what was in the way may be gone.
    """

    def __init__(self, path: Path | None, model: str, condition: str, utterances: Sequence[Utterance]) -> None:
        self.path = path
        self.entries: dict[int, Entry] = {}
        self._utterances = utterances
        named = "\n".join(f"{utterance.id}\t{utterance.path}" for utterance in utterances)
        digest = hashlib.sha256(named.encode("utf-8", "surrogateescape")).hexdigest()
        self.about = {"model": model, "condition": condition, "utterances": digest}
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        if self.path is not None:
            # Only whole lines stay, or the next one would be glued to a torn one.
            lines = [json.dumps(self.about), *self._read(self.path)]
            write_atomically(self.path, "".join(f"{line}\n" for line in lines))
            self._file = self.path.open("a", encoding="utf-8", buffering=1)  # every line is on disk at once
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, entry: Entry) -> None:
        """Take in one more."""
        self.entries[entry.index] = entry
        if self._file is not None and entry.error is None:
            self._file.write(json.dumps(asdict(entry) | {"file": self._state(entry.index)}) + "\n")

    def _read(self, path: Path) -> list[str]:
        if not path.is_file():
            return []
        good = []
        with path.open(encoding="utf-8") as file:
            try:
                if json.loads(file.readline() or "null") != self.about:
                    return []
                for line in file:
                    known = json.loads(line)
                    state, entry = known.pop("file"), Entry(**known)
                    if state == self._state(entry.index):
                        self.entries[entry.index] = entry
                        good.append(line.rstrip("\n"))
            except (LookupError, TypeError, ValueError):
                pass  # the torn last line
        return good

    def _state(self, index: int) -> list[int]:
        """Size and time of a recording, which stand for its content: hashing all takes as long as scoring them."""
        try:
            state = self._utterances[index].path.stat()
        except OSError:
            return []
        return [state.st_size, state.st_mtime_ns]
