"""A table of recordings: CSV or TSV with a header; `path` and `label`, and whatever else is known of each."""

import csv
from pathlib import Path

from deepcheck.data.utterance import Protocol, Utterance, parse_label
from deepcheck.errors import DataError
from deepcheck.registry import did_you_mean

_FIELDS = {
    "attack": ("attack", "system"),
    "speaker": ("speaker",),
    "source": ("source",),
    "pair": ("pair", "pair_of"),
}
_TAKEN = {"path", "label", "subset", *(name for names in _FIELDS.values() for name in names)}


def read(root: Path, subset: str | None = None) -> Protocol:
    """The rows of the manifest at `root` (a file), those of `subset` alone if it is given.

    Paths are relative to the manifest's folder; the id of an utterance is its file's name without ending where
    those are unique, else its path. Every further column becomes a tag. Raises `DataError` with the line for a
    bad label, a missing column, an unknown subset or a file that is not there.
    """
    rows = _rows(root)
    if subset is not None:
        known = sorted({row.get("subset") or "" for _, row in rows} - {""})
        if subset not in known:
            raise DataError(f'{root} has no subset "{subset}".', did_you_mean(subset, known))
        rows = [(line, row) for line, row in rows if row.get("subset") == subset]
    for line, row in rows:
        if not row["path"]:
            raise DataError(f"{root}, line {line}: there is no path.")
    stems = [Path(row["path"]).stem for _, row in rows]
    unique = len(set(stems)) == len(stems)
    utterances = []
    for (line, row), stem in zip(rows, stems, strict=True):
        path = root.parent / row["path"]
        if not path.is_file():
            raise DataError(f"{root}, line {line}: there is no file {path}.")
        try:
            label = parse_label(row["label"]) if row.get("label") else None
        except DataError as error:
            raise DataError(f"{root}, line {line}: {error.message}", error.hint) from None
        fields = {
            field: next((row[name] for name in names if row.get(name) not in (None, "", "-")), None)
            for field, names in _FIELDS.items()
        }
        tags = {key: value for key, value in row.items() if key not in _TAKEN and isinstance(value, str) and value}
        utterances.append(Utterance(stem if unique else row["path"], path, label, tags=tags, **fields))
    return Protocol(root.stem if root.stem != "manifest" else root.resolve().parent.name, subset, tuple(utterances))


def _rows(root: Path) -> list[tuple[int, dict[str, str]]]:
    """Each row with the number of its (last) line; a cell that is missing at the end of a row is None."""
    try:
        with root.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.DictReader(file, delimiter="\t" if "\t" in first else ",")
            columns = reader.fieldnames or []
            if "path" not in columns:
                raise DataError(
                    f'{root} has no column "path".',
                    f"Its header is: {', '.join(columns)[:200] or '(empty)'}; at least path,label are needed.",
                )
            return [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{root} is not a CSV file in UTF-8: {error}.") from None
