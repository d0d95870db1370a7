"""ADD 2022 and 2023: files with `label` in their name, a recording and genuine or fake a line."""

import re
from pathlib import Path

from deepcheck.data.protocols.corpus import choose, levels
from deepcheck.data.protocols.recordings import Recordings
from deepcheck.data.protocols.trial_list import read_list
from deepcheck.data.utterance import Protocol
from deepcheck.errors import DataError

_COLUMNS = {2: ("file", "key"), 3: ("file", "key", "_")}
_DEPTH = 3  # Track1.2/testR2/label.txt, in the folder of an archive
_LABEL = re.compile(r"[_.-]?label[_.-]?", re.IGNORECASE)
_EVAL = re.compile(r"test|eval", re.IGNORECASE)


def read_2022(root: Path, subset: str | None = None, *, audio: bool = True) -> Protocol:
    """The recordings of one label file below `root`; `subset` is the part of its name that tells it from the others.

    `label/train_label.txt` is train, `track1adp_out/label.txt` is track1adp_out; `eval` is also the one that is
    called test or eval. Recordings are looked for below the folder of the label file, else below the one above.
    Raises `DataError` with the subsets there are, and for recordings that are not there.
    Source: http://addchallenge.cn/add2022.
    """
    return _read("ADD 2022", root, subset, audio)


def read_2023(root: Path, subset: str | None = None, *, audio: bool = True) -> Protocol:
    """As `read_2022`: `Track1.2/testR2/label.txt` is testR2, or Track1.2/testR2 where other tracks have one too.

    Source: http://addchallenge.cn/add2023.
    """
    return _read("ADD 2023", root, subset, audio)


def _read(corpus: str, root: Path, subset: str | None, audio: bool) -> Protocol:
    tables = {
        _name(table, root): table
        for folders in levels(root, _DEPTH)
        for folder in folders
        for table in sorted(folder.glob("*[lL]abel*.txt"))
    }
    if not tables:
        raise DataError(
            f"{corpus}: there is no label file (label.txt, train_label.txt ...) in {root}, nor in a folder of it.",
            "Give the folder that the archives of the challenge were unpacked to.",
        )
    fits = [name for name in tables if subset is None or f"/{name}".lower().endswith(f"/{subset}".lower())]
    if not fits and subset == "eval":
        fits = [name for name in tables if _EVAL.match(name.split("/")[-1])]
    if len(fits) > 1:
        raise DataError(
            f"{corpus}: {len(fits)} label files are of the subset {subset or '(none)'}.",
            f"There are: {', '.join(fits)}.",
        )
    name = fits[0] if fits else choose(corpus, subset, tables)
    folder = tables[name].parent
    recordings = (Recordings([folder]) or Recordings([folder.parent])) if audio else None
    return Protocol(corpus, name, read_list(tables[name], _COLUMNS, recordings))


def _name(table: Path, root: Path) -> str:
    inner = table.relative_to(root)
    parts = [_LABEL.sub("", part) for part in (*inner.parts[:-1], inner.stem)]
    return "/".join(part for part in parts if part) or root.resolve().name
