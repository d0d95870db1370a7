"""Recordings by name. A folder is listed once, for asking the file system after each of 600,000 takes minutes."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from deepcheck.audio.decode import EXTENSIONS

_DEPTH = 8  # folders within folders; where links lead round in a circle, it ends here


def stem(name: str) -> str:
    """`name` without the ending of an audio file, if it has one; in ADD2023_T1.2_T_00000001 it has none."""
    head, _, ending = name.rpartition(".")
    return head if head and ending.lower() in EXTENSIONS else name


def is_recording(path: Path) -> bool:
    """Whether a file is called like audio or video, and is not hidden; what it is, decoding will tell."""
    return stem(path.name) != path.name and not path.name.startswith(".")


def below(folder: Path) -> list[Path]:
    """Every recording below `folder`, in alphabetical order."""
    return sorted(_below(folder, _DEPTH), key=lambda path: path.parts)


class Recordings:
    """The recordings below `folders`; in `find`, neither their ending nor the folder within matters."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self.folders = tuple(folders)
        self._paths: dict[str, Path] = {}
        for folder in self.folders:
            for path in _below(folder, _DEPTH):
                known = self._paths.setdefault(stem(path.name), path)
                if known is not path and known.parent == path.parent:
                    self._paths[stem(path.name)] = min(known, path)  # of x.flac and x.wav always the same one

    def __len__(self) -> int:
        return len(self._paths)

    def find(self, name: str) -> Path | None:
        """The recording that is listed as `name`, with or without an ending; None if it is not there."""
        return self._paths.get(stem(name))


class Listing:
    """The files in the folders below `root` that are asked about, each listed at the first question."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders: dict[str, tuple[dict[str, Path], dict[str, Path]]] = {}

    def find(self, inner: str) -> Path | None:
        """The file at `inner`, else the recording there with another ending; None if there is neither."""
        folder, name = os.path.split(inner)
        if folder not in self._folders:
            recordings = sorted(filter(is_recording, _inside(self.root / folder)), key=lambda path: path.name)
            self._folders[folder] = {p.name: p for p in recordings}, {stem(p.name): p for p in recordings}
        by_name, by_stem = self._folders[folder]
        if name in by_name:
            return by_name[name]
        # What is not called like a recording may be one, and a file system less strict about names than a table.
        path = self.root / inner
        return path if path.is_file() else by_stem.get(stem(name))


def _below(folder: Path, depth: int) -> Iterator[Path]:
    inner = []
    for path in _inside(folder):
        if is_recording(path):
            yield path
        elif depth and not path.name.startswith(".") and path.is_dir():
            inner.append(path)
    for path in sorted(inner):
        yield from _below(path, depth - 1)


def _inside(folder: Path) -> Iterator[Path]:
    try:
        yield from folder.iterdir()
    except OSError:
        return
