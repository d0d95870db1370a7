"""ASVspoof 2021, logical access and deepfake: the key file `trial_metadata.txt`, published apart from the audio."""

from pathlib import Path

from deepcheck.data.protocols.corpus import choose, find, look
from deepcheck.data.protocols.recordings import Recordings
from deepcheck.data.protocols.trial_list import read_list
from deepcheck.data.utterance import Protocol

# The phases of the challenge; the published error rates are those of `eval`.
_PHASES = {"eval": {"eval"}, "progress": {"progress"}, "hidden": {"hidden", "hidden_track"}}
_COLUMNS = {
    "LA": ("speaker", "file", "codec", "transmission", "attack", "key", "trim", "phase"),
    "DF": (
        *("speaker", "file", "codec", "source", "attack", "key", "trim", "phase"),
        *("vocoder", "task", "team", "gender_pair", "language"),
    ),
}
_LEAST = 8  # columns, down to the phase; copies of the DF keys lack some of the last


def read_la(root: Path, subset: str | None = None, *, audio: bool = True) -> Protocol:
    """The logical access trials below `root`; `subset` is a phase: eval, progress or hidden.

    Tags: codec, transmission, trim, phase. Without the key file, all trials of the list that comes with the audio
    as `eval`, unlabelled. Raises `DataError` for another subset, and for a key file, folder or recordings that are
    not there. Source: https://github.com/asvspoof-challenge/2021, eval-package.
    """
    return _read(root, "LA", subset, audio)


def read_df(root: Path, subset: str | None = None, *, audio: bool = True) -> Protocol:
    """The deepfake trials below `root`, which holds all parts of the audio; otherwise as `read_la`.

    The source is the corpus behind a trial (asvspoof, vcc2018, vcc2020). Tags: codec, trim, phase, vocoder, and of
    the Voice Conversion Challenge 2020 task, team, gender_pair, language.
    """
    return _read(root, "DF", subset, audio)


def _read(root: Path, track: str, subset: str | None, audio: bool) -> Protocol:
    corpus = f"ASVspoof 2021 {track}"
    subset = choose(corpus, "hidden" if subset == "hidden_track" else subset, _PHASES)
    archive = f"ASVspoof2021_{track}_eval"
    hint = f"Unpack {archive}*.tar.gz there, all of its parts."
    places = [f"{archive}*/", "./flac/"]
    recordings = Recordings(find(corpus, "audio folder", root, places, hint)) if audio else None
    keys = [
        f"keys/{track}/CM/trial_metadata.txt",
        f"{track}/CM/trial_metadata.txt",
        f"{track}-keys*/keys/CM/trial_metadata.txt",
        "./CM/trial_metadata.txt",
        "./trial_metadata.txt",
    ]
    where = f"{track}-keys-full.tar.gz of https://www.asvspoof.org"
    tables = look(root, keys)
    if not tables and subset == "eval":
        list_ = f"ASVspoof2021.{track}.cm.eval.trl.txt"
        ids = look(root, [f"{archive}*/{list_}", f"./{list_}"])
        if ids:
            note = f"labels and phases are in {keys[0]}, which is not in {root}: unpack {where} there"
            return Protocol(corpus, subset, read_list(ids[0], {1: ("file",)}, recordings), note)
    table = (tables or find(corpus, "key file", root, keys, f"Unpack {where} there."))[0]
    columns = _COLUMNS[track]
    layouts = {count: columns[:count] for count in range(_LEAST, len(columns) + 1)}
    trials = read_list(table, layouts, recordings, lambda tags: tags["phase"] in _PHASES[subset])
    return Protocol(corpus, subset, trials)
