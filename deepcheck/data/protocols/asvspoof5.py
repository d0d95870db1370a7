"""ASVspoof 5, track 1: lists called .tsv whose columns are separated by spaces, and the older ones of the challenge."""

from pathlib import Path
from typing import NamedTuple

from deepcheck.data.protocols.corpus import choose, find, look
from deepcheck.data.protocols.recordings import Recordings
from deepcheck.data.protocols.trial_list import read_list
from deepcheck.data.utterance import Protocol

_COLUMNS = {
    # The seed of a codec, which names a recording, is left out; so is the last column, which is always empty.
    10: ("speaker", "file", "gender", "codec", "codec_q", "_", "attack_tag", "attack", "key", "_"),
    6: ("speaker", "file", "gender", "codec", "attack", "key"),
    1: ("file",),
}


class _Part(NamedTuple):
    lists: tuple[str, ...]
    audio: tuple[str, ...]


_PARTS = {
    "train": _Part(("ASVspoof5.train.tsv", "ASVspoof5.train.metadata.txt"), ("flac_T/",)),
    "dev": _Part(("ASVspoof5.dev.track_1.tsv", "ASVspoof5.dev.metadata.txt"), ("flac_D/",)),
    "eval": _Part(("ASVspoof5.eval.track_1.tsv",), ("flac_E_eval/", "flac_E/")),
}
_UNLABELLED = ("ASVspoof5.track_1.eval.trial.txt",)


def read(root: Path, subset: str | None = None, *, audio: bool = True) -> Protocol:
    """The trials below `root`, where the archives of audio and protocols were unpacked; `subset` train, dev or eval.

    Tags: gender, codec, codec_q, attack_tag. With only the list of the challenge phase, which has no keys, the
    trials of `eval` are unlabelled. Raises `DataError` for another subset, and for a list, folder or recordings that
    are not there. Source: README.txt of https://zenodo.org/records/14498691.
    """
    corpus = "ASVspoof 5"
    subset = choose(corpus, subset, _PARTS)
    part = _PARTS[subset]
    hint = "Give the folder that ASVspoof5_protocols.tar.gz and flac_*.tar of ASVspoof 5 were unpacked to."
    tables = look(root, part.lists)
    if not tables and subset == "eval":
        tables = look(root, _UNLABELLED)
    table = (tables or find(corpus, "list", root, part.lists, hint))[0]
    recordings = Recordings(find(corpus, "audio folder", root, part.audio, hint)) if audio else None
    trials = read_list(table, _COLUMNS, recordings)
    if trials and trials[0].label is None:
        note = f"labels are in {part.lists[0]} of ASVspoof5_protocols.tar.gz; {table} has none"
        return Protocol(corpus, subset, trials, note)
    return Protocol(corpus, subset, trials)
