"""Two folders of recordings, `bonafide/` and `spoof/` (or any other words for them), searched recursively."""

from pathlib import Path

from deepcheck.data.protocols.recordings import below
from deepcheck.data.utterance import Protocol, Utterance, parse_label
from deepcheck.errors import DataError


def read(root: Path, subset: str | None = None) -> Protocol:
    """Every audio or video file below `root/<label>/`, or below `root/<subset>/<label>/`.

    The first folder below the label, if there is one, is the source of a recording, and the attack too of a spoof.
    Raises `DataError` if neither label has a folder.
    """
    top = root / subset if subset else root
    if not top.is_dir():
        raise DataError(f"There is no folder {top}.", "Give the folder that holds bonafide/ and spoof/.")
    utterances = []
    for folder in sorted(path for path in top.iterdir() if path.is_dir()):
        try:
            label = parse_label(folder.name)
        except DataError:
            continue
        for path in below(folder):
            inner = path.relative_to(folder)
            group = inner.parts[0] if len(inner.parts) > 1 else None
            utterances.append(
                Utterance(
                    path.relative_to(top).as_posix(),
                    path,
                    label,
                    attack=None if label else group,
                    source=group,
                )
            )
    if not utterances:
        raise DataError(
            f"{top} holds no folder of recordings called bonafide or spoof.",
            "Put the genuine recordings below bonafide/ and the synthetic ones below spoof/, or give a manifest CSV.",
        )
    return Protocol(top.resolve().name, subset, tuple(utterances))
