"""Manifests: reading the one there is, keeping the one that grows, and merging both."""

import csv
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from deepcheck.errors import DataError
from deepcheck.files import write_atomically

Row = dict[str, str]
"""The columns of a manifest, and `id`, which is not written."""

COLUMNS = (
    "path",
    "label",
    "subset",
    "source",
    "system",
    "family",
    "speaker",
    "language",
    "utterance",
    "pair_of",
    "duration_s",
    "original_sample_rate",
    "licence",
)


def read_rows(manifest: Path, subset: str | None = None) -> list[Row]:
    """The rows of `manifest`, those of `subset` if given; a column that it lacks is empty."""
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            if not {"path", "label"} <= set(table.fieldnames or ()):
                raise DataError(f"{manifest} has no columns path and label.", "Give a manifest in CSV with a header.")
            rows = [{name: row.get(name) or "" for name in COLUMNS} for row in table]
            _name(rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{manifest} cannot be read: {error}.") from None
    found = [row for row in rows if subset in (None, row["subset"])]
    if not found:
        known = ", ".join(sorted({row["subset"] for row in rows})) or "no rows at all"
        raise DataError(f'{manifest} has no rows of the subset "{subset}".', f"It has: {known}.")
    return found


def _name(rows: list[Row]) -> None:
    """Add what deepcheck's reader calls each clip, and so `pair_of`: its file's name without ending, else its path."""
    stems = [_stem(row["path"]) for row in rows]
    unique = len(set(stems)) == len(stems)
    for row, stem in zip(rows, stems, strict=True):
        row["id"] = stem if unique else row["path"]


def _stem(path: str) -> str:
    return Path(path).stem


def clip_path(folder: Path, row: Row) -> Path:
    """Where the clip of `row` is, if the manifest is in `folder`."""
    return folder / row["path"].removeprefix("$ROOT/")


class Manifest:
    """`manifest.csv` in `folder`, which grows by a line for each clip that is finished, and survives being killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "manifest.csv"
        self.rows = {row["path"]: row for row in self._whole_lines()}
        self.write()

    def _whole_lines(self) -> Iterator[Row]:
        if not self.path.is_file():
            return
        text = self.path.read_bytes().decode("utf-8", "replace")
        whole = text[: text.rfind("\n") + 1]  # a run that was killed may have left half a line
        for row in csv.DictReader(io.StringIO(whole)):
            if all(row.get(name) is not None for name in COLUMNS) and (self.folder / row["path"]).is_file():
                yield {name: row[name] for name in COLUMNS} | {"id": _stem(row["path"])}

    def __contains__(self, path: str) -> bool:
        return path in self.rows

    def add(self, row: Row) -> None:
        """Add one line, at once."""
        self.rows[row["path"]] = row | {"id": _stem(row["path"])}
        with self.path.open("a", newline="", encoding="utf-8") as file:
            file.write(_text([row], header=False))

    def write(self) -> None:
        """All lines anew, in the order of their paths."""
        write_atomically(self.path, _text(self.rows[path] for path in sorted(self.rows)))


def merge(original: Path, rows: Iterable[Row], manifest: Manifest, place: Path) -> int:
    """Write `place`: the rows of the original manifest and the new ones. Returns how many there are.

    A path is relative to the folder of `place` if it lies below that, else absolute.
    """
    merged = [
        row | {"path": _seen_from(place.parent, clip_path(folder, row))}
        for folder, some in ((original.parent, rows), (manifest.folder, manifest.rows.values()))
        for row in some
    ]
    known = {row["id"]: row["path"] for row in merged}
    _name(merged)
    named = {row["path"]: row["id"] for row in merged}
    for row in merged:  # a clip may be called by its path now, where it was called by its name
        row["pair_of"] = named.get(known.get(row["pair_of"], ""), row["pair_of"])
    write_atomically(place, _text(merged))
    return len(merged)


def _seen_from(folder: Path, path: Path) -> str:
    here, there = os.path.abspath(folder), os.path.abspath(path)  # noqa: PTH100, resolving would follow links
    return os.path.relpath(there, here) if there.startswith(here + os.sep) else there


def _text(rows: Iterable[Row], header: bool = True) -> str:
    out = io.StringIO()
    table = csv.DictWriter(out, COLUMNS, extrasaction="ignore", lineterminator="\n")
    if header:
        table.writeheader()
    table.writerows(rows)
    return out.getvalue()
