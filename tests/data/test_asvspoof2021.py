"""The lines are those of the published keys, and some made up after them."""

import re

import pytest
from miniature import rows, touch, write

from deepcheck.data.protocols import read_data
from deepcheck.data.utterance import Label
from deepcheck.engine.evaluate import evaluate
from deepcheck.engine.model import load
from deepcheck.errors import DataError

LA = """\
LA_0009 LA_E_9332881 alaw ita_tx A07 spoof notrim eval
LA_0007 LA_E_5932896 none loc_tx bonafide bonafide notrim eval
LA_0020 LA_E_1000002 g722 sin_tx A19 spoof notrim progress
LA_0021 LA_E_1000003 opus loc_tx bonafide bonafide trim hidden
LA_0022 LA_E_1000004 gsm mad_tx A10 spoof trim hidden_track
"""
DF = """\
LA_0023 DF_E_2000011 nocodec asvspoof A14 spoof notrim progress traditional_vocoder - - - -
TEF2 DF_E_2000013 low_m4a vcc2020 Task1-team20 spoof notrim eval neural_vocoder_nonautoregressive Task1 team20 FF E
TGF1 DF_E_2000024 mp3m4a vcc2020 Task2-team12 spoof notrim eval traditional_vocoder Task2 team12 FF G
LA_0043 DF_E_2000026 mp3m4a asvspoof bonafide bonafide notrim eval bonafide - - - -
"""
FLAC = "ASVspoof2021_LA_eval/flac"
PARTS = "ASVspoof2021_DF_eval_part0{}/ASVspoof2021_DF_eval/flac"


def audio(root, lines, *folders):
    """An empty file for each line, dealt to the folders in turn."""
    names = [line.split()[min(1, line.count(" "))] for line in lines.splitlines()]
    return touch(root, *(f"{folders[i % len(folders)]}/{name}.flac" for i, name in enumerate(names)))


@pytest.fixture
def la(tmp_path):
    """The logical access archives, unpacked side by side."""
    return write(audio(tmp_path / "2021", LA, FLAC), "LA-keys-full/keys/LA/CM/trial_metadata.txt", LA)


def test_logical_access(la):
    protocol = read_data(la, "asvspoof2021-la", "eval")
    assert protocol.describe() == "ASVspoof 2021 LA (eval): 1 bona fide, 1 spoof"
    spoof, genuine = protocol.utterances
    assert (spoof.id, spoof.label, spoof.attack, spoof.speaker) == ("LA_E_9332881", Label.SPOOF, "A07", "LA_0009")
    assert spoof.path == la / FLAC / "LA_E_9332881.flac"
    assert spoof.tags == {"codec": "alaw", "transmission": "ita_tx", "trim": "notrim", "phase": "eval"}
    assert (genuine.label, genuine.attack, genuine.get("codec")) == (Label.BONAFIDE, None, "none")


@pytest.mark.parametrize(
    ("subset", "ids"),
    [
        ("eval", ["LA_E_5932896", "LA_E_9332881"]),
        ("progress", ["LA_E_1000002"]),
        ("hidden", ["LA_E_1000003", "LA_E_1000004"]),
        ("hidden_track", ["LA_E_1000003", "LA_E_1000004"]),
    ],
)
def test_phases(la, subset, ids):
    protocol = read_data(la, "asvspoof2021-la", subset)
    assert sorted(u.id for u in protocol.utterances) == ids
    assert protocol.subset == subset.removesuffix("_track")


def test_deepfake(tmp_path):
    root = audio(tmp_path, DF, *(PARTS.format(i) for i in range(4)))
    write(root, "DF-keys-full/keys/DF/CM/trial_metadata.txt", DF)
    write(root, "LA-keys-full/keys/LA/CM/trial_metadata.txt", LA)  # of the other track
    protocol = read_data(root, "asvspoof2021-df", "eval")
    assert protocol.describe() == "ASVspoof 2021 DF (eval): 1 bona fide, 2 spoof"
    assert rows(protocol, "attack", "source", "codec", "vocoder", "task", "team", "gender_pair", "language") == [
        (
            *("DF_E_2000013", "spoof", "Task1-team20", "vcc2020", "low_m4a", "neural_vocoder_nonautoregressive"),
            *("Task1", "team20", "FF", "E"),
        ),
        (
            *("DF_E_2000024", "spoof", "Task2-team12", "vcc2020", "mp3m4a", "traditional_vocoder"),
            *("Task2", "team12", "FF", "G"),
        ),
        ("DF_E_2000026", "bonafide", None, "asvspoof", "mp3m4a", None, None, None, None, None),
    ]
    assert protocol.utterances[0].path == root / PARTS.format(1) / "DF_E_2000013.flac"
    assert [u.get("vocoder") for u in read_data(root, "asvspoof2021-df", "progress").utterances] == [
        "traditional_vocoder"
    ]


def test_deepfake_keys_without_the_last_columns(tmp_path):
    short = "".join(" ".join(line.split()[:11]) + "\n" for line in DF.splitlines())
    root = write(audio(tmp_path, DF, "flac"), "trial_metadata.txt", short)
    assert len(read_data(root, "asvspoof2021-df", "eval")) == 3


@pytest.mark.parametrize(
    ("flac", "key"),
    [
        (FLAC, "keys/LA/CM/trial_metadata.txt"),
        (FLAC, "ASVspoof2021_LA_eval/keys/LA/CM/trial_metadata.txt"),
        (FLAC, "LA-keys-stage-1/keys/CM/trial_metadata.txt"),
        ("ASVspoof2021_LA_eval/" + FLAC, "keys/LA/CM/trial_metadata.txt"),
        ("flac", "trial_metadata.txt"),
        ("flac", "keys/LA/CM/trial_metadata.txt"),
        ("LA/" + FLAC, "LA/keys/LA/CM/trial_metadata.txt"),
    ],
)
def test_places_of_keys_and_audio(tmp_path, flac, key):
    root = write(audio(tmp_path, LA, flac), key, LA)
    assert len(read_data(root, "asvspoof2021-la", "eval")) == 2


def test_an_archive_that_still_lies_there_is_no_folder(la):
    touch(la, "ASVspoof2021_LA_eval.tar.gz")
    assert len(read_data(la, "asvspoof2021-la", "eval")) == 2
    (la / "ASVspoof2021_LA_eval").rename(la / "elsewhere")
    with pytest.raises(DataError, match="no audio folder") as caught:
        read_data(la, "asvspoof2021-la", "eval")
    assert caught.value.hint == "Unpack ASVspoof2021_LA_eval*.tar.gz there, all of its parts."


def test_a_phase_is_needed(la):
    with pytest.raises(DataError, match="ASVspoof 2021 LA needs a subset, not none") as caught:
        read_data(la, "asvspoof2021-la")
    assert caught.value.hint == "There are: eval, progress, hidden."
    with pytest.raises(DataError, match="not train"):
        read_data(la, "asvspoof2021-la", "train")


def test_what_is_not_there_is_named_with_where_it_was_looked_for(tmp_path):
    root = audio(tmp_path, LA, FLAC)
    with pytest.raises(DataError) as caught:
        read_data(root, "asvspoof2021-la", "progress")
    assert f"there is no key file {root / 'keys/LA/CM/trial_metadata.txt'} (or LA/CM/" in caught.value.message
    assert caught.value.hint == "Unpack LA-keys-full.tar.gz of https://www.asvspoof.org there."
    with pytest.raises(DataError, match=rf"no audio folder {re.escape(str(root))}/ASVspoof2021_DF_eval\*") as caught:
        read_data(root, "asvspoof2021-df", "eval")
    assert "all of its parts" in caught.value.hint


def test_a_part_that_was_not_unpacked(tmp_path):
    root = write(audio(tmp_path, DF, PARTS.format(0), PARTS.format(1)), "keys/DF/CM/trial_metadata.txt", DF)
    for file in (root / PARTS.format(1)).iterdir():
        file.unlink()
    with pytest.raises(DataError) as caught:
        read_data(root, "asvspoof2021-df", "eval")
    # Of the phase alone: a recording of another one may be missing.
    assert "lists 2 of 3 recordings that are not in" in caught.value.message
    assert caught.value.message.endswith("ASVspoof2021_DF_eval_part01: DF_E_2000013, DF_E_2000026.")
    assert "Unpack all parts" in caught.value.hint


def test_the_list_without_keys(tmp_path, stored_model):
    ids = "".join(line.split()[1] + "\n" for line in LA.splitlines())
    root = write(audio(tmp_path, LA, FLAC), "ASVspoof2021_LA_eval/ASVspoof2021.LA.cm.eval.trl.txt", ids)
    protocol = read_data(root, "asvspoof2021-la", "eval")
    assert [u.id for u in protocol.utterances] == ids.split()
    assert {u.label for u in protocol.utterances} == {None}
    assert protocol.utterances[0].path == root / FLAC / "LA_E_9332881.flac"
    with pytest.raises(DataError, match=r"labels and phases are in keys/LA/CM/trial_metadata\.txt, which is not in"):
        evaluate(load(stored_model()), protocol, device="cpu")
    # Which of them are of another phase is in the keys.
    with pytest.raises(DataError, match="there is no key file"):
        read_data(root, "asvspoof2021-la", "hidden")
    write(root, "keys/LA/CM/trial_metadata.txt", LA)
    assert read_data(root, "asvspoof2021-la", "eval").counts() == {Label.BONAFIDE: 1, Label.SPOOF: 1}
