"""A detector ready for use: the network with its calibration and thresholds."""

from dataclasses import dataclass
from pathlib import Path

from deepcheck import store
from deepcheck.card import Card
from deepcheck.checkpoint import load_checkpoint
from deepcheck.detectors.base import Detector
from deepcheck.files import sha256


@dataclass(frozen=True)
class Model:
    """What `load` returns: the detector (on the CPU, in eval mode), its card, where it came from, its SHA-256."""

    detector: Detector
    card: Card
    path: Path
    sha256: str


def load(name: str | Path | None = None) -> Model:
    """The model called `name`, or in the file of that name; without one the current model, else the shipped one.

    Raises `ModelError` if there is none or its file is not a whole checkpoint.
    """
    entry = store.resolve(str(name) if name is not None else None)
    checkpoint = load_checkpoint(entry.path)
    # Reports name a model as its user does, not as whoever trained it did.
    return Model(checkpoint.build(), checkpoint.named(entry.name).card, entry.path, sha256(entry.path))
