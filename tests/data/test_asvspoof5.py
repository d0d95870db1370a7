"""The lines are those of the published protocols, and some made up after them."""

import pytest
from miniature import rows, touch, write

from deepcheck.data.protocols import read_data
from deepcheck.data.utterance import Label
from deepcheck.errors import DataError

DEV = """\
D_4461 D_0000000169 F - - - AC1 A14 spoof -
D_0461 D_0000000190 M - - - - bonafide bonafide -
"""
EVAL = """\
E_0001 E_0000000001 F C05 2 E_0009538969 AC3 A28 spoof -
E_0002 E_0000000002 M C11 - E_0009538970 - bonafide bonafide -
"""
OLD = "T_4850 T_0000000000 F - A05 spoof\nT_4850 T_0000000001 F - bonafide bonafide\n"


@pytest.fixture
def root(tmp_path):
    """The archives of audio and protocols, unpacked side by side."""
    touch(tmp_path, *(f"flac_D/D_0000000{i}.flac" for i in (169, 190)))
    touch(tmp_path, *(f"flac_E_eval/E_000000000{i}.flac" for i in (1, 2)))
    write(tmp_path, "ASVspoof5_protocols/ASVspoof5.dev.track_1.tsv", DEV)
    return write(tmp_path, "ASVspoof5_protocols/ASVspoof5.eval.track_1.tsv", EVAL)


def test_ten_columns(root):
    protocol = read_data(root, "asvspoof5", "dev")
    assert protocol.describe() == "ASVspoof 5 (dev): 1 bona fide, 1 spoof"
    spoof, genuine = protocol.utterances
    assert (spoof.id, spoof.label, spoof.attack, spoof.speaker) == ("D_0000000169", Label.SPOOF, "A14", "D_4461")
    assert spoof.path == root / "flac_D" / "D_0000000169.flac"
    assert spoof.tags == {"gender": "F", "attack_tag": "AC1"}
    assert (genuine.label, genuine.attack, genuine.speaker, genuine.tags) == (
        *(Label.BONAFIDE, None, "D_0461"),
        {"gender": "M"},
    )


def test_codecs(root):
    assert rows(read_data(root, "asvspoof5", "eval"), "attack", "codec", "codec_q", "gender", "attack_tag") == [
        ("E_0000000001", "spoof", "A28", "C05", "2", "F", "AC3"),
        ("E_0000000002", "bonafide", None, "C11", None, "M", None),
    ]


def test_six_columns(tmp_path):
    touch(tmp_path, "flac_T/T_0000000000.flac", "flac_T/T_0000000001.flac")
    write(tmp_path, "ASVspoof5.train.metadata.txt", OLD)
    protocol = read_data(tmp_path, "asvspoof5", "train")
    assert rows(protocol, "attack", "speaker", "gender", "codec") == [
        ("T_0000000000", "spoof", "A05", "T_4850", "F", None),
        ("T_0000000001", "bonafide", None, "T_4850", "F", None),
    ]


def test_a_header_tabs_and_another_kind_of_audio(tmp_path):
    header = "SPEAKER_ID FLAC_FILE_NAME SPEAKER_GENDER CODEC CODEC_Q CODEC_SEED ATTACK_TAG ATTACK_LABEL KEY TMP\n"
    write(tmp_path, "ASVspoof5.dev.track_1.tsv", "\ufeff" + (header + DEV).replace(" ", "\t").replace("\n", "\r\n"))
    touch(tmp_path, "flac_D/flac_D/D_0000000169.wav", "flac_D/flac_D/D_0000000190.wav")
    assert [u.path.name for u in read_data(tmp_path, "asvspoof5", "dev").utterances] == [
        "D_0000000169.wav",
        "D_0000000190.wav",
    ]


@pytest.mark.parametrize(
    "folders",
    [("flac_E", "flac_E"), ("ASVspoof5_eval/flac_E_eval",) * 2, ("flac_E_aa/flac_E_eval", "flac_E_ab/flac_E_eval")],
)
def test_places_of_the_audio(tmp_path, folders):
    write(tmp_path, "protocols/ASVspoof5_protocols/ASVspoof5.eval.track_1.tsv", EVAL)
    touch(tmp_path, *(f"{folder}/E_000000000{i}.flac" for i, folder in enumerate(folders, start=1)))
    assert len(read_data(tmp_path, "asvspoof5", "eval")) == 2


def test_the_list_without_keys(tmp_path):
    touch(tmp_path, "flac_E_eval/E_0000000001.flac")
    write(tmp_path, "ASVspoof5.track_1.eval.trial.txt", "E_0000000001\n")
    protocol = read_data(tmp_path, "asvspoof5", "eval")
    assert [(u.id, u.label) for u in protocol.utterances] == [("E_0000000001", None)]
    with pytest.raises(DataError, match=r"labels are in ASVspoof5\.eval\.track_1\.tsv of ASVspoof5_protocols\.tar\.gz"):
        protocol.require_both_labels()


def test_errors(root):
    with pytest.raises(DataError, match="ASVspoof 5 needs a subset, not evaluation") as caught:
        read_data(root, "asvspoof5", "evaluation")
    assert caught.value.hint == 'Did you mean "eval"? There are: train, dev, eval.'
    with pytest.raises(DataError, match=r"no list .*ASVspoof5\.train\.tsv \(or ASVspoof5\.train\.metadata\.txt\)"):
        read_data(root, "asvspoof5", "train")
    write(root, "ASVspoof5_protocols/ASVspoof5.dev.track_1.tsv", "LA_0079 D_0000000169 - - bonafide\n")
    with pytest.raises(DataError, match=r"dev\.track_1\.tsv, line 1 has 5 columns instead of 1 or 6 or 10: LA_0079"):
        read_data(root, "asvspoof5", "dev")
    write(root, "ASVspoof5_protocols/ASVspoof5.dev.track_1.tsv", DEV + "D_1 D_2 F - A05 spoof\n")
    with pytest.raises(DataError, match=r"line 3 has 6 columns instead of 10"):
        read_data(root, "asvspoof5", "dev")
