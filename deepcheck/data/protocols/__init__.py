"""Readers of corpus formats by name; each in a file of its own.

A reader is a function `(root: Path, subset: str | None) -> Protocol`; one that goes by a list also takes `audio=False`,
for the list alone where its recordings may be missing. A further format is one file and one row below;
`corpus` finds the parts of an unpacked archive, `recordings` lists its audio, `trial_list` reads lists that have no
header.
"""

from inspect import signature
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
        "asvspoof2021-la": "deepcheck.data.protocols.asvspoof2021:read_la",
        "asvspoof2021-df": "deepcheck.data.protocols.asvspoof2021:read_df",
        "asvspoof5": "deepcheck.data.protocols.asvspoof5:read",
        "in-the-wild": "deepcheck.data.protocols.in_the_wild:read",
        "fake-or-real": "deepcheck.data.protocols.fake_or_real:read",
        "wavefake": "deepcheck.data.protocols.wavefake:read",
        "mlaad": "deepcheck.data.protocols.mlaad:read",
        "add2022": "deepcheck.data.protocols.add:read_2022",
        "add2023": "deepcheck.data.protocols.add:read_2023",
    },
)


def read_data(path: str | Path, protocol: str | None = None, subset: str | None = None, audio: bool = True) -> Protocol:
    """The labelled recordings at `path`, in the format `protocol`.

    Without a name, a file (or a folder that holds a manifest.csv) is a manifest, any other folder is taken for one
    with `bonafide/` and `spoof/` in it. With `audio=False`, for scores that somebody else computed, the list will do
    and recordings may be missing. Raises `DataError` if what was asked for is not there.
    """
    root = Path(path).expanduser()
    if not root.exists():
        raise DataError(f"There is nothing at {root}.", "Give a manifest CSV, or the folder of a corpus.")
    if protocol is None:
        protocol = "manifest" if root.is_file() or (root / "manifest.csv").is_file() else "folders"
    read = PROTOCOLS.resolve(protocol)
    # Where folders are the list, there is nothing to be had without the recordings.
    goes_by_a_list = "audio" in signature(read).parameters
    found = read(root, subset, audio=audio) if goes_by_a_list else read(root, subset)
    assert isinstance(found, Protocol)
    if not found.utterances:
        raise DataError(f"{root} holds no recordings{f' of the subset {subset}' if subset else ''}.")
    return found
