"""A part of a scan, so that several computers share one."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from deepcheck.errors import ConfigError
from deepcheck.scanner.discover import Found


@dataclass(frozen=True)
class Shard:
    """Number `index`, from 1, of `count` parts; every file is in exactly one of them.

    Which one follows from its path as it was found, so that files that come or go between the beginnings of the
    parts move no other file, and the computers need only agree on how they name the folder.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `2/8`; `ConfigError` for anything but that."""
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise ConfigError(f'"{text}" is no part of a scan.', "Give 1/8, 2/8 ... 8/8 to eight runs.")
        return cls(int(match[1]), int(match[2]))

    def of(self, found: Found) -> Found:
        """The part of what was found, in its order; it may be empty."""
        return Found(
            tuple(path for path in found.files if path in self),
            tuple((path, why) for path, why in found.unreadable if path in self),
        )

    def __contains__(self, path: Path) -> bool:
        digest = hashlib.sha256(os.fsencode(path)).digest()
        return int.from_bytes(digest[:8]) % self.count == self.index - 1
