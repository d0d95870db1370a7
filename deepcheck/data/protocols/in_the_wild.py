"""In-the-Wild: a folder of recordings with `meta.csv`, whose columns are `file,speaker,label`."""

from dataclasses import replace
from pathlib import Path

from deepcheck.data.protocols import manifest
from deepcheck.data.protocols.corpus import find, undivided
from deepcheck.data.utterance import Protocol

_CORPUS = "In-the-Wild"


def read(root: Path, subset: str | None = None, *, audio: bool = True) -> Protocol:
    """All recordings of `release_in_the_wild`, at `root` or below it; there are no subsets, and no attacks known.

    Raises `DataError` for a subset, a `meta.csv` that is not there, and recordings that are not there. Source:
    Müller et al., Does Audio Deepfake Detection Generalize?, Interspeech 2022.
    """
    undivided(_CORPUS, subset)
    hint = "Give the folder that release_in_the_wild.zip was unpacked to."
    table = find(_CORPUS, "list", root, ["release_in_the_wild/meta.csv", "meta.csv"], hint)[0]
    return replace(manifest.read(table, audio=audio), name=_CORPUS)
