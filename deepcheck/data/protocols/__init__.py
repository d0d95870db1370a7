"""Readers of corpus formats by name; each in a file of its own.

A reader is a function `(root: Path, subset: str | None) -> Protocol`.
"""

from pathlib import Path

from deepcheck.data.utterance import Protocol
from deepcheck.errors import DataError
from deepcheck.registry import Registry

PROTOCOLS = Registry(
    "protocol",
    {
        "manifest": "deepcheck.data.protocols.manifest:read",
        "folders": "deepcheck.data.protocols.folders:read",
        "asvspoof2019-la": "deepcheck.data.protocols.asvspoof2019:read_la",
        "asvspoof2019-pa": "deepcheck.data.protocols.asvspoof2019:read_pa",
    },
)


def read_data(path: str | Path, protocol: str | None = None, subset: str | None = None) -> Protocol:
    """The labelled recordings at `path`, in the format `protocol`.

    Without a name, a .csv or .tsv file (or a folder that holds a manifest.csv) is a manifest, any other folder
    is taken for one with `bonafide/` and `spoof/` in it. Raises `DataError` if what was asked for is not there.
    """
    root = Path(path).expanduser()
    if not root.exists():
        raise DataError(f"There is nothing at {root}.", "Give a manifest CSV, or the folder of a corpus.")
    if protocol is None:
        if root.is_dir() and (root / "manifest.csv").is_file():
            root = root / "manifest.csv"
        protocol = "folders" if root.is_dir() else "manifest"
    read = PROTOCOLS.resolve(protocol)
    found = read(root, subset)
    assert isinstance(found, Protocol)
    if not found.utterances:
        raise DataError(f"{root} holds no recordings{f' of the subset {subset}' if subset else ''}.")
    return found
