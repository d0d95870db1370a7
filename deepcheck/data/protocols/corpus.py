"""Where an unpacked corpus keeps its parts: places to look for them, in the root that was given and a little below."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from deepcheck.data.protocols.recordings import is_recording
from deepcheck.errors import DataError
from deepcheck.registry import did_you_mean


def choose(corpus: str, subset: str | None, known: Iterable[str]) -> str:
    """`subset`, if it is one of `known`; else `DataError` that names those."""
    names = list(known)
    if subset not in names:
        raise DataError(f"{corpus} needs a subset, not {subset or 'none'}.", did_you_mean(subset or "", names))
    return subset


def undivided(corpus: str, subset: str | None) -> None:
    """`DataError` if a subset is asked for of a corpus that was published in one piece."""
    if subset is not None:
        raise DataError(
            f'{corpus} has no subset "{subset}": it was published in one piece.',
            "Leave the subset out, or list the recordings of each subset in a manifest CSV.",
        )


def levels(root: Path, depth: int = 2) -> Iterator[list[Path]]:
    """The root itself, then the folders in it, then the folders in those ...; found only as they are asked for."""
    folders = [root]
    yield folders
    for _ in range(depth):
        folders = [child for folder in folders for child in _children(folder)]
        yield folders


def look(root: Path, places: Sequence[str]) -> list[Path]:
    """What there is at the first of `places` (relative, `*` allowed) with anything at it; [] if none has.

    Archives unpack to a folder of their own, so what is not in the root itself is looked for in its folders, and
    in theirs. A place that begins with `./` is one of the root alone.
    """
    for depth, folders in enumerate(levels(root)):
        for place in places:
            if depth and place.startswith("./"):
                continue
            found = [path for folder in folders for path in sorted(folder.glob(place.removeprefix("./")))]
            if found:
                return found
    return []


def find(corpus: str, what: str, root: Path, places: Sequence[str], hint: str) -> list[Path]:
    """As `look`; but `DataError` with all places that were looked at if there is nothing, and `hint` as the way out."""
    found = look(root, places)
    if not found:
        first, *others = (place.removeprefix("./") for place in places)
        also = f" (or {', '.join(others)})" if others else ""
        raise DataError(f"{corpus}: there is no {what} {root / first}{also}, nor that in a folder of {root}.", hint)
    return found


def _children(folder: Path) -> list[Path]:
    try:
        # A recording is no folder: to ask each of 600,000 would take longer than the list of their names.
        paths = [path for path in folder.iterdir() if not is_recording(path) and not path.name.startswith(".")]
    except OSError:
        return []
    return sorted(path for path in paths if path.is_dir())
