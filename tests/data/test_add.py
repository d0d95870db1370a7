"""The lines are those of published label files, and some made up after them."""

import pytest
from miniature import rows, touch, write

from deepcheck.data.protocols import read_data
from deepcheck.errors import DataError

R2 = "ADD2023_T1.2R2_E_00000003.wav genuine\nADD2023_T1.2R2_E_00000004.wav fake\n"
TRAIN = "ADD_T_00000000.wav genuine\nADD_T_00000001.wav fake\n"


def labelled(root, table, folder, lines):
    """A label file, and an empty recording for each of its lines."""
    write(root, table, lines)
    return touch(root, *(f"{folder}/{line.split()[0].removesuffix('.wav')}.wav" for line in lines.splitlines()))


def test_2023(tmp_path):
    root = labelled(tmp_path, "Track1.2/testR2/label.txt", "Track1.2/testR2/wav", R2)
    labelled(root, "Track1.2/train/label.txt", "Track1.2/train/wav", "ADD2023_T1.2_T_00000001.wav fake\n")
    protocol = read_data(root, "add2023", "testR2")
    assert protocol.describe() == "ADD 2023 (Track1.2/testR2): 1 bona fide, 1 spoof"
    assert rows(protocol) == [("ADD2023_T1.2R2_E_00000003", "bonafide"), ("ADD2023_T1.2R2_E_00000004", "spoof")]
    path = root / "Track1.2/testR2/wav/ADD2023_T1.2R2_E_00000003.wav"
    assert protocol.utterances[0].path == path
    assert read_data(root, "add2023", "eval").utterances == protocol.utterances
    assert rows(read_data(root, "add2023", "train")) == [("ADD2023_T1.2_T_00000001", "spoof")]
    # The folder of one part needs no subset.
    assert read_data(root / "Track1.2/testR2", "add2023").describe() == "ADD 2023 (testR2): 1 bona fide, 1 spoof"


def test_2022(tmp_path):
    root = labelled(tmp_path, "ADD_train_dev/label/train_label.txt", "ADD_train_dev/train", TRAIN)
    labelled(root, "ADD_train_dev/label/dev_label.txt", "ADD_train_dev/dev", "ADD_D_00000000 genuine\n")
    labelled(root, "track1adp_out/label.txt", "track1adp_out", "ADD_A_00000007.wav fake\n")
    labelled(root, "eval_R2/track3_R2_label.txt", "eval_R2/wav", "ADD_E3_00000000.wav spoof 0\n")
    assert rows(read_data(root, "add2022", "train")) == [("ADD_T_00000000", "bonafide"), ("ADD_T_00000001", "spoof")]
    assert rows(read_data(root, "add2022", "dev")) == [("ADD_D_00000000", "bonafide")]
    assert rows(read_data(root, "add2022", "Track1adp_out")) == [("ADD_A_00000007", "spoof")]
    assert rows(read_data(root, "add2022", "track3_R2")) == [("ADD_E3_00000000", "spoof")]


def test_the_subsets_there_are(tmp_path):
    root = labelled(
        tmp_path, "Track1.2/testR1/label.txt", "Track1.2/testR1/wav", "ADD2023_T1.2R1_E_00000000.wav fake\n"
    )
    labelled(root, "Track1.2/testR2/label.txt", "Track1.2/testR2/wav", R2)
    with pytest.raises(DataError, match=r"2 label files are of the subset \(none\)") as caught:
        read_data(root, "add2023")
    assert caught.value.hint == "There are: Track1.2/testR1, Track1.2/testR2."
    with pytest.raises(DataError, match="2 label files are of the subset eval"):
        read_data(root, "add2023", "eval")
    with pytest.raises(DataError, match="ADD 2023 needs a subset, not testR3") as caught:
        read_data(root, "add2023", "testR3")
    assert "There are: Track1.2/testR1, Track1.2/testR2." in caught.value.hint
    assert len(read_data(root, "add2023", "Track1.2/testR2")) == 2


def test_errors(tmp_path):
    (tmp_path / "ADD").mkdir()
    with pytest.raises(DataError, match=r"ADD 2022: there is no label file .* in .*ADD, nor"):
        read_data(tmp_path / "ADD", "add2022", "train")
    root = labelled(tmp_path, "train/label.txt", "train/wav", TRAIN)
    (root / "train" / "wav" / "ADD_T_00000001.wav").unlink()
    with pytest.raises(
        DataError, match=r"label\.txt lists 1 of 2 recordings that are not in .*train: ADD_T_00000001\.wav"
    ):
        read_data(root, "add2022", "train")
    write(root, "train/label.txt", "ADD2023_T2_T_00000001.wav 0.00-0.43-T/0.43-1.2-F 0\n")
    with pytest.raises(DataError, match=r'label\.txt, line 1: "0\.00-0\.43-T/0\.43-1\.2-F" is not a label'):
        read_data(root, "add2022", "train")
