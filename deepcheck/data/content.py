"""Recordings that are the same by their content, whatever they are called."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path

from deepcheck.data.utterance import Utterance
from deepcheck.files import sha256

_LEAST = 256  # bytes


def twins(utterances: Sequence[Utterance]) -> list[list[int]]:
    """The indices of utterances whose files are the same to the last byte, group by group, each of two and more.

    Files are told apart by their sizes first, so few are read. Those that cannot be read have no twins, nor have the
    remains of files in which no sound fits.
    """
    sizes = [_size(utterance.path) for utterance in utterances]
    found: list[list[int]] = []
    for group in _alike(range(len(utterances)), sizes):
        hashes = {index: _hash(utterances[index].path) for index in group}
        found += _alike(group, hashes)
    return sorted(found)


def _alike(indices: Iterable[int], keys: Sequence[Hashable] | dict[int, str | None]) -> list[list[int]]:
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for index in indices:
        if keys[index] is not None:
            groups[keys[index]].append(index)
    return [group for group in groups.values() if len(group) > 1]


def _size(path: Path) -> int | None:
    try:
        size = path.stat().st_size
        return size if size >= _LEAST else None
    except (OSError, ValueError):
        return None


def _hash(path: Path) -> str | None:
    try:
        return sha256(path)
    except OSError:
        return None
