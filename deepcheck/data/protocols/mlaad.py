"""MLAAD: `fake/LANGUAGE/MODEL/*.wav`, spoofs alone; what they were made from is in M-AILABS."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path

from deepcheck.data.protocols.corpus import find, levels, undivided
from deepcheck.data.protocols.recordings import below, stem
from deepcheck.data.utterance import Label, Protocol, Utterance

_CORPUS = "MLAAD"
_MAILABS = re.compile(r"m[-_ ]?ailabs", re.IGNORECASE)
_LOCALE = re.compile(r"[a-z]{2}_[A-Z]{2}")
_TOLD = ("architecture", "is_original_language")  # of the columns of meta.csv, those to compare by


def read(root: Path, subset: str | None = None) -> Protocol:
    """The spoofs below `root`, and the recordings of M-AILABS if a folder of that name is in it or beside it.

    The attack is the folder of the model. Tags: language, and from `meta.csv`, if it is there, architecture and
    is_original_language. `pair` is the genuine recording of the same name. There are no subsets. Raises `DataError`
    for a subset, and if there is no folder `fake`. Source: https://deepfake-total.com/mlaad, arXiv:2401.09512.
    """
    undivided(_CORPUS, subset)
    hint = "Give the folder that the archive was unpacked to, with fake/en, fake/de ... in it."
    fake = root if root.resolve().name == "fake" else find(_CORPUS, "folder", root, ["fake/"], hint)[0]
    top = fake.resolve().parent
    genuine = [
        utterance
        for place in dict.fromkeys((root.resolve(), top, top.parent))
        for folder in list(levels(place, 1))[1]
        if _MAILABS.match(folder.name)
        for utterance in _genuine(folder)
    ]
    ids: dict[str, str | None] = {}
    for utterance in genuine:
        name = stem(utterance.path.name)
        ids[name] = None if name in ids else utterance.id  # a name that two have tells nothing
    told: dict[Path, Mapping[str, Mapping[str, str]]] = {}
    spoofs = []
    for path in below(fake):
        language, *inner = path.relative_to(fake).parts
        if not inner:
            continue
        if path.parent not in told:
            told[path.parent] = _meta(path.parent / "meta.csv")
        spoofs.append(
            Utterance(
                f"fake/{path.relative_to(fake).as_posix()}",
                path,
                Label.SPOOF,
                attack=inner[0] if len(inner) > 1 else None,
                pair=ids.get(stem(path.name)),
                tags={"language": language, **told[path.parent].get(path.name, {})},
            )
        )
    note = "" if genuine else f"its genuine recordings, a folder called M-AILABS, are neither in {root} nor beside it"
    return Protocol(_CORPUS, None, (*genuine, *spoofs), note)


def _genuine(folder: Path) -> list[Utterance]:
    """M-AILABS: `LOCALE/by_book/{female,male}/SPEAKER/BOOK/wavs/*.wav`, or `LOCALE/by_book/mix/BOOK/...`."""
    found = []
    for path in below(folder):
        inner = path.relative_to(folder)
        locale = next((part for part in inner.parts if _LOCALE.fullmatch(part)), None)
        sex = next((at for at, part in enumerate(inner.parts) if part in {"female", "male"}), None)
        found.append(
            Utterance(
                f"{folder.name}/{inner.as_posix()}",
                path,
                Label.BONAFIDE,
                speaker=inner.parts[sex + 1] if sex is not None else None,
                tags={"language": locale[:2]} if locale else {},
            )
        )
    return found


def _meta(table: Path) -> Mapping[str, Mapping[str, str]]:
    """What `meta.csv` tells of each file; its cells are separated by |, and transcripts may hold anything else."""
    if not table.is_file():
        return {}
    with table.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        rows = csv.DictReader(file, delimiter="|", quoting=csv.QUOTE_NONE)
        return {
            Path(row.get("path") or "").name: {name: cell for name in _TOLD if (cell := row.get(name))} for row in rows
        }
