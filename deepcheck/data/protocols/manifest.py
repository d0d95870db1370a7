"""A table of recordings with a header: `path` and `label`, and whatever else is known of each."""

import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from deepcheck.data.protocols.recordings import Listing, stem
from deepcheck.data.utterance import Label, Protocol, Utterance, parse_label
from deepcheck.errors import DataError
from deepcheck.registry import did_you_mean

# What a column may be called, in capitals or not. The first name that a table has counts; the others make tags.
_COLUMNS = {
    "path": (
        "path",
        "file",
        "filename",
        "file_name",
        "filepath",
        "file_path",
        "audio",
        "wav",
        "utt",
        "utterance",
        "id",
    ),
    "label": ("label", "key", "target", "class", "cm-label"),
    "subset": ("subset", "split", "partition", "proportion"),
    "attack": ("attack", "system", "attack_label", "system_id"),
    "speaker": ("speaker", "speaker_id"),
    "source": ("source",),
    "pair": ("pair", "pair_of"),
}
_TAKEN = {name for names in _COLUMNS.values() for name in names}
_FIELDS = ("attack", "speaker", "source", "pair")
# Nobody knows what 1 means in a column that is called label; in these it is said.
_WHAT_1_IS = {
    **dict.fromkeys(("is_bonafide", "is_genuine", "is_real"), Label.BONAFIDE),
    **dict.fromkeys(("is_spoof", "is_fake", "is_synthetic"), Label.SPOOF),
}
_YES_OR_NO = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_DELIMITERS = ("\t", ",", ";", "|", " ")  # a blank stands for any white space


class _Row(NamedTuple):
    line: int
    cells: dict[str, str]  # by the keys of _COLUMNS and _WHAT_1_IS, else by what the header says; none is empty


def read(root: Path, subset: str | None = None, *, audio: bool = True) -> Protocol:
    """The rows of the manifest at `root` (a file, or a folder with manifest.csv in it), those of `subset` if given.

    Cells are separated by tabs, commas, semicolons, bars or white space. The path may also be called file,
    filename ..., the label key, target ...; in place of a label, a column is_spoof or is_bonafide may hold 0 and 1.
    Paths are relative to the manifest's folder (so is what follows $ROOT/), and a recording with another ending will
    do. The id of an utterance is its file's name without ending where those are unique, else its path. Every
    further column becomes a tag. Raises `DataError` with the line for a bad label, a missing column, an unknown
    subset or a file that is not there.
    """
    table = root / "manifest.csv" if root.is_dir() else root
    if not table.is_file():
        raise DataError(f"There is no {table}.", "Give the manifest itself, whatever it is called.")
    rows = list(_rows(table))
    if subset is not None:
        known = sorted({row.cells["subset"] for row in rows if "subset" in row.cells})
        if subset not in known:
            raise DataError(f'{table} has no subset "{subset}".', did_you_mean(subset, known))
        rows = [row for row in rows if row.cells.get("subset") == subset]
    for row in rows:
        if "path" not in row.cells:
            raise DataError(f"{table}, line {row.line}: there is no path.")
    paths = [row.cells["path"].removeprefix("$ROOT/") for row in rows]
    stems = [stem(os.path.split(path)[1]) for path in paths]
    ids = stems if len(set(stems)) == len(stems) else paths
    places = _places(table, rows, paths) if audio else [table.parent / path for path in paths]
    utterances = []
    for row, id_, place in zip(rows, ids, places, strict=True):
        try:
            label = _label(row.cells)
        except DataError as error:
            raise DataError(f"{table}, line {row.line}: {error.message}", error.hint) from None
        fields = {name: row.cells[name] for name in _FIELDS if row.cells.get(name, "-") != "-"}
        tags = {name: cell for name, cell in row.cells.items() if name not in _COLUMNS and name not in _WHAT_1_IS}
        utterances.append(Utterance(id_, place, label, tags=tags, **fields))
    return Protocol(table.stem if table.stem != "manifest" else table.resolve().parent.name, subset, tuple(utterances))


def _places(table: Path, rows: list[_Row], paths: list[str]) -> list[Path]:
    listing = Listing(table.parent)
    places = [listing.find(path) for path in paths]
    missing = [at for at, place in enumerate(places) if place is None]
    if missing:
        line, path = rows[missing[0]].line, table.parent / paths[missing[0]]
        more = f", nor {len(missing) - 1} more of the {len(rows)} that are listed" if len(missing) > 1 else ""
        raise DataError(f"{table}, line {line}: there is no file {path}{more}.")
    return [place for place in places if place is not None]


def _label(cells: dict[str, str]) -> Label | None:
    if "label" in cells:
        if cells["label"] in {"0", "1", "0.0", "1.0"}:
            raise DataError(
                f'"{cells["label"]}" is not a label: half of the field writes 1 for bona fide, half for spoof.',
                "Write bonafide or spoof, or call the column is_spoof or is_bonafide.",
            )
        return parse_label(cells["label"])
    for name, meant in _WHAT_1_IS.items():
        if name in cells:
            yes = _YES_OR_NO.get(cells[name].lower())
            if yes is None:
                raise DataError(f'"{cells[name]}" is neither 0 nor 1, as {name} has to be.')
            return meant if yes else Label(1 - meant)
    return None


def _rows(table: Path) -> Iterator[_Row]:
    """Each row that is not empty, with the number of its last line."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            headers = {d: next(csv.reader(_lines([first], d), delimiter=d), []) for d in _DELIMITERS}
            # The separator that makes out most columns.
            delimiter = max(headers, key=lambda d: len(_TAKEN.intersection(_lower(headers[d]))))
            keys = _keys(headers[delimiter])
            if "path" not in keys:
                header = ", ".join(headers[delimiter])
                raise DataError(
                    f'{table} has no column "path" (or {", ".join(_COLUMNS["path"][1:4])} ...).',
                    f"Its header is: {header[:200] or '(empty)'}; at least path,label are needed.",
                )
            reader = csv.reader(_lines(file, delimiter), delimiter=delimiter)
            next(reader)
            for cells in reader:
                # Between white space no cell is empty: in a short row, later ones have slipped to the left.
                if any(cells[len(keys) :]) or (delimiter == " " and 0 < len(cells) < len(keys)):
                    raise DataError(
                        f"{table}, line {reader.line_num} has {len(cells)} cells, the header has {len(keys)}.",
                        "A cell with a separator in it needs quotation marks.",
                    )
                if cells:
                    row = {key: cell.strip() for key, cell in zip(keys, cells, strict=False)}
                    yield _Row(reader.line_num, {key: cell for key, cell in row.items() if cell})
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} is not a CSV file in UTF-8: {error}.") from None


def _lines(lines: Iterable[str], delimiter: str) -> Iterable[str]:
    return (" ".join(line.split()) for line in lines) if delimiter == " " else lines


def _lower(header: list[str]) -> list[str]:
    return [name.strip().lower() for name in header]


def _keys(header: list[str]) -> list[str]:
    """What the cells of each column are filed under."""
    lower = _lower(header)
    keys = [small if small in _WHAT_1_IS else name.strip() for small, name in zip(lower, header, strict=True)]
    for key, names in _COLUMNS.items():
        at = next((lower.index(name) for name in names if name in lower), None)
        if at is not None:
            keys[at] = key
    return keys
