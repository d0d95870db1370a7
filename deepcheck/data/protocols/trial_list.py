"""Lists of trials: a line each, columns by position, as the ASVspoof and ADD challenges publish them."""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from deepcheck.data.protocols.recordings import Recordings, stem
from deepcheck.data.utterance import Utterance, parse_label
from deepcheck.errors import DataError

Layouts = Mapping[int, tuple[str, ...]]
"""Names of the columns by how many there are. `file` and `key` (the label) have a meaning, as have `attack`, `speaker`
and `source`; `_` is passed over, and any other becomes a tag."""

_FIELDS = ("key", "attack", "speaker", "source")
_SAYS_NOTHING = {"-", "bonafide"}  # as an attack, a codec, a vocoder ...
_HEADER = {"file", "filename", "flac_file_name", "key", "label", "cm-label"}
_NAMED = 3  # missing recordings that an error names


def read_list(
    table: Path,
    layouts: Layouts,
    audio: Recordings | None,
    wanted: Callable[[Mapping[str, str]], bool] = lambda _: True,
) -> tuple[Utterance, ...]:
    """The trials in `table` whose tags are `wanted`, with their recordings in `audio`.

    Without `audio` no recording is looked for, and the path of all is that of the list.

    Columns are separated by any white space; a header, empty lines and a byte-order mark are passed over. In a
    layout without `key` no trial has a label. Raises `DataError` with the line for other columns than those of a
    layout and for a bad label, and with the number of recordings that are not there.
    """
    utterances: list[Utterance] = []
    missing: list[str] = []
    for name, fields, tags in _trials(table, layouts):
        if not wanted(tags):
            continue
        path = audio.find(name) if audio is not None else table
        if path is None:
            missing.append(name)
        else:
            utterances.append(Utterance(stem(name), path, tags=tags, **fields))
    if audio is not None and missing:
        some = ", ".join(missing[:_NAMED]) + (", ..." if len(missing) > _NAMED else "")
        places = " or ".join(str(folder) for folder in audio.folders)
        raise DataError(
            f"{table} lists {len(missing)} of {len(missing) + len(utterances)} recordings that are not in {places}: "
            f"{some}.",
            "Unpack all parts of the corpus, or list those that are there in a manifest CSV (path,label).",
        )
    return tuple(utterances)


def _trials(table: Path, layouts: Layouts) -> Iterator[tuple[str, dict[str, Any], dict[str, str]]]:
    """File, fields and tags of each line; lines that say the same of their files share the latter two."""
    lines = _lines(table)
    first = next(lines, None)
    if first is None:
        return
    layout = layouts.get(len(first[1]))
    if layout is None:
        raise _other_columns(table, *first, sorted(layouts))
    at = {name: index for index, name in enumerate(layout)}
    file = at.pop("file")
    at.pop("_", None)
    known_fields: dict[tuple[str, ...], dict[str, Any]] = {}
    known_tags: dict[tuple[str, ...], dict[str, str]] = {}
    of_fields = {name: index for name, index in at.items() if name in _FIELDS}
    of_tags = {name: index for name, index in at.items() if name not in _FIELDS}
    for number, columns in chain([first], lines):
        if len(columns) != len(layout):
            raise _other_columns(table, number, columns, [len(layout)])
        cells = tuple([columns[index] for index in of_fields.values()])
        fields = known_fields.get(cells)
        if fields is None:
            try:
                fields = known_fields[cells] = _fields(dict(zip(of_fields, cells, strict=True)))
            except DataError as error:
                raise DataError(f"{table}, line {number}: {error.message}", error.hint) from None
        cells = tuple([columns[index] for index in of_tags.values()])
        tags = known_tags.get(cells)
        if tags is None:
            tags = known_tags[cells] = _said(dict(zip(of_tags, cells, strict=True)))
        yield columns[file], fields, tags


def _fields(cells: dict[str, str]) -> dict[str, Any]:
    label = parse_label(cells.pop("key")) if "key" in cells else None
    return {"label": label, **_said(cells)}


def _said(cells: dict[str, str]) -> dict[str, str]:
    return {name: cell for name, cell in cells.items() if cell not in _SAYS_NOTHING}


def _lines(table: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with table.open(encoding="utf-8-sig") as file:
            begun = False
            for number, line in enumerate(file, start=1):
                columns = line.split()
                if columns and (begun or not _HEADER & {column.lower() for column in columns}):
                    yield number, columns
                begun = begun or bool(columns)
    except UnicodeDecodeError:
        raise DataError(f"{table} is not a text file in UTF-8.", "Unpack it, if it is an archive.") from None


def _other_columns(table: Path, number: int, columns: list[str], known: list[int]) -> DataError:
    count = f"{len(columns)} column{'s' if len(columns) > 1 else ''}"
    return DataError(
        f"{table}, line {number} has {count} instead of {' or '.join(map(str, known))}: {' '.join(columns)[:80]}"
    )
