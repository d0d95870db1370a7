"""ASVspoof 2019, logical and physical access: `SPEAKER FILE ENVIRONMENT ATTACK KEY` a line."""

from pathlib import Path

from deepcheck.data.protocols.corpus import choose, find
from deepcheck.data.protocols.recordings import Recordings
from deepcheck.data.protocols.trial_list import read_list
from deepcheck.data.utterance import Protocol

_LISTS = {"train": "train.trn", "dev": "dev.trl", "eval": "eval.trl"}
_COLUMNS = {5: ("speaker", "file", "environment", "attack", "key")}


def read_la(root: Path, subset: str | None = None, *, audio: bool = True) -> Protocol:
    """The logical access set at `root` (the folder `LA` or the one above it); `subset` train, dev or eval.

    Raises `DataError` for another subset, a list or folder that is not there, and recordings that are not there.
    Source: README.LA.txt of https://doi.org/10.7488/ds/2555.
    """
    return _read(root, "LA", subset, audio)


def read_pa(root: Path, subset: str | None = None, *, audio: bool = True) -> Protocol:
    """The physical access set at `root` (the folder `PA` or the one above it); `subset` train, dev or eval.

    The tag `environment` is room size, T60 and distance of the talker; the attack is distance and quality of the
    replay. Raises as `read_la` does. Source: README.PA.txt of https://doi.org/10.7488/ds/2555.
    """
    return _read(root, "PA", subset, audio)


def _read(root: Path, access: str, subset: str | None, audio: bool) -> Protocol:
    corpus = f"ASVspoof 2019 {access}"
    subset = choose(corpus, subset, _LISTS)
    hint = f"Give the folder that the {access} archive of ASVspoof 2019 was unpacked to."
    list_ = f"ASVspoof2019_{access}_cm_protocols/ASVspoof2019.{access}.cm.{_LISTS[subset]}.txt"
    folder = f"ASVspoof2019_{access}_{subset}"
    table = find(corpus, "list", root, [list_], hint)[0]
    places = [f"{folder}/flac/", f"{folder}/"]
    recordings = Recordings(find(corpus, "audio folder", root, places, hint)) if audio else None
    return Protocol(corpus, subset, read_list(table, _COLUMNS, recordings))
