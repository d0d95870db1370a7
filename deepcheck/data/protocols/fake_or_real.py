"""Fake-or-Real: folders `for-VARIANT/{training,validation,testing}/{real,fake}`, no list."""

from pathlib import Path

from deepcheck.data.protocols.corpus import choose, levels
from deepcheck.data.protocols.recordings import below
from deepcheck.data.utterance import Label, Protocol, Utterance
from deepcheck.errors import DataError

_CORPUS = "Fake-or-Real"
_PARTS = {"train": "training", "dev": "validation", "eval": "testing"}
_LABELS = {"real": Label.BONAFIDE, "fake": Label.SPOOF}
_SPELT = {"for-2sec": "for-2seconds", "for-rerec": "for-rerecorded"}  # the same variant; archive and folder differ


def read(root: Path, subset: str | None = None) -> Protocol:
    """The recordings of the variants below `root`, or of the one that `root` is; `subset` train, dev or eval.

    The variant (for-original, for-norm, for-2seconds, for-rerecorded) is the source of a recording. Some published
    files are empty: they are listed like the others, and reported as not decodable. Raises `DataError` for another
    subset and for folders that are not there. Source: https://bil.eecs.yorku.ca/datasets.
    """
    subset = choose(_CORPUS, next((name for name, part in _PARTS.items() if part == subset), subset), _PARTS)
    part = _PARTS[subset]
    utterances = []
    for variant in (folder for level in levels(root) for folder in level):
        name = variant.resolve().name
        for word, label in _LABELS.items():
            utterances += [
                Utterance(path.relative_to(root).as_posix(), path, label, source=_SPELT.get(name, name))
                for path in below(variant / part / word)
            ]
    if not utterances:
        raise DataError(
            f"{_CORPUS}: there are no recordings in {root / part}/real or fake, nor in those of a folder of {root}.",
            "Give the folder that for-norm, for-original ... were unpacked to, or one of them.",
        )
    return Protocol(_CORPUS, subset, tuple(utterances))
