"""How far a scan has come."""

import time
from dataclasses import dataclass, field

from deepcheck.scanner.result import SPOOF, FileResult


@dataclass
class Tally:
    """Files of a scan, and what is known of those that are done.

    `known` of the `done` ones were not scored now: an earlier scan had done so. `size` and `done_size` are bytes of
    the files that are left to this scan: their share tells how much of it is done better than the number of files,
    of which one may last a second and another an hour.
    """

    files: int = 0
    done: int = 0
    known: int = 0
    flagged: int = 0
    not_scored: int = 0
    heard_s: float = 0.0
    size: int = 0
    done_size: int = 0
    began: float = field(default_factory=lambda: time.monotonic())

    def add(self, result: FileResult, size: int | None) -> None:
        """Take in a result; `size` in bytes of the file, None if an earlier scan had scored it."""
        self.done += 1
        self.flagged += result.verdict == SPOOF
        self.not_scored += result.verdict is None
        if size is None:
            self.known += 1
        else:
            self.heard_s += result.duration_s or 0.0
            self.done_size += size

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first file was begun."""
        return max(time.monotonic() - self.began, 1e-3)

    @property
    def speed(self) -> float:
        """Seconds of sound a second."""
        return self.heard_s / self.elapsed_s

    @property
    def left_s(self) -> float | None:
        """Seconds until the end at the pace so far; None until there is one."""
        if not self.done_size:
            return None
        return self.elapsed_s * max(self.size - self.done_size, 0) / self.done_size
