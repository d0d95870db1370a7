"""A detector ready for use: the network with its calibration and thresholds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from torch import Tensor

import deepcheck
from deepcheck import store
from deepcheck.card import Card
from deepcheck.checkpoint import load_checkpoint
from deepcheck.detectors.base import Detector, parameter_count
from deepcheck.files import sha256

HUB = "hf:"
"""What the name of a model of the Hugging Face hub begins with, or of a folder with such a model."""


@dataclass(frozen=True)
class Model:
    """What `load` returns: the detector (on the CPU, in eval mode), its card, where it came from, its SHA-256.

    `evidence` is what was measured of it on recordings (`checkpoint.Checkpoint` says what); empty for many models.
    """

    detector: Detector
    card: Card
    path: Path
    sha256: str
    evidence: Mapping[str, Tensor] = field(default_factory=dict)


def load(name: str | Path | None = None, *, labels: str | None = None) -> Model:
    """The model called `name`, or in the file of that name; without one the current model, else the shipped one.

    `hf:owner/name` (or `hf:owner/name@revision`, or `hf:` and a folder) is an audio-classification model of the
    Hugging Face hub, of which `labels` say what its labels mean (see `from_hub`). Only such a name may lead to the
    network, and only if the model is not on this machine yet.

    Raises `ModelError` if there is none or its file is not a whole checkpoint.
    """
    if name is not None and str(name).startswith(HUB):
        return from_hub(str(name), labels)
    entry = store.resolve(str(name) if name is not None else None)
    checkpoint = load_checkpoint(entry.path)
    # Reports name a model as its user does, not as whoever trained it did.
    card = checkpoint.named(entry.name).card
    digest = store.shipped()[entry.name]["sha256"] if entry.shipped else sha256(entry.path)  # `resolve` has held it
    return Model(checkpoint.build(), card, entry.path, digest, checkpoint.evidence)


def load_by_hash(digest: str, name: str) -> Model | None:
    """The stored or shipped model whose file has the SHA-256 `digest`, that called `name` first; None if none has.

    Other names may hold the same file, and the name may hold another one by now.
    """
    for entry in sorted(store.entries(), key=lambda entry: entry.name != name):  # others need not be hashed then
        if entry.path.is_file() and sha256(entry.path) == digest:
            return load(entry.name)
    return None


def from_hub(name: str, labels: str | None = None, window_s: float = 4.0) -> Model:
    """An audio-classification model of the Hugging Face hub, without calibration; `name` begins with `hf:`.

    `labels` (`spoof=fake,bonafide=real`) says which of its labels mean what, without it their names have to leave no
    doubt; `window_s` is how much it hears at a time. `path` is the folder that it was read from, `sha256` that of its
    files and of these settings. It is downloaded unless it was before; see `hub_checkpoint.fetch` for what is
    refused, and for the errors.
    """
    from deepcheck.detectors.hub_checkpoint import fetch  # which most models do without

    found = fetch(name.removeprefix(HUB), labels, window_s)
    # A folder is nobody's business but its owner's: models are sent to others.
    origin = name if found.revision else HUB + found.folder.name
    stage = {"stage": "import", "from": origin, "revision": found.revision, "labels": found.labels}
    card = Card(
        name,
        found.detector.spec,
        history=(stage,),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=deepcheck.__version__,
        parameters=parameter_count(found.detector),
    )
    return Model(found.detector, card, found.folder, found.sha256)
