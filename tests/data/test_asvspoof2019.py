"""The lines are those of the published protocols."""

import pytest

from deepcheck.data.protocols import read_data
from deepcheck.data.utterance import Label
from deepcheck.errors import DataError

LA = "LA_0079 LA_T_1138215 - - bonafide\nLA_0039 LA_E_2834763 - A11 spoof\n"
PA = "PA_0079 PA_T_0000001 aaa - bonafide\nPA_0095 PA_T_0005731 aaa AA spoof\n"
LISTS = {"train": "train.trn", "dev": "dev.trl", "eval": "eval.trl"}


def unpack(root, access, subset, lines):
    """A miniature of the archive: the list and an empty file for each of its lines."""
    protocols = root / f"ASVspoof2019_{access}_cm_protocols"
    protocols.mkdir(parents=True, exist_ok=True)
    (protocols / f"ASVspoof2019.{access}.cm.{LISTS[subset]}.txt").write_text(lines)
    audio = root / f"ASVspoof2019_{access}_{subset}" / "flac"
    audio.mkdir(parents=True)
    for line in lines.splitlines():
        if len(line.split()) > 1:
            (audio / f"{line.split()[1]}.flac").touch()
    return root


@pytest.mark.parametrize("subset", LISTS)
def test_logical_access(tmp_path, subset):
    root = unpack(tmp_path / "LA", "LA", subset, LA)
    protocol = read_data(root, "asvspoof2019-la", subset)
    assert protocol.describe() == f"ASVspoof 2019 LA ({subset}): 1 bona fide, 1 spoof"
    genuine, spoof = protocol.utterances
    assert (genuine.id, genuine.label, genuine.attack, genuine.speaker) == (
        "LA_T_1138215",
        Label.BONAFIDE,
        None,
        "LA_0079",
    )
    assert (spoof.id, spoof.label, spoof.attack, spoof.speaker) == ("LA_E_2834763", Label.SPOOF, "A11", "LA_0039")
    assert spoof.path == root / f"ASVspoof2019_LA_{subset}" / "flac" / "LA_E_2834763.flac"
    assert (dict(genuine.tags), dict(spoof.tags)) == ({}, {})


def test_physical_access(tmp_path):
    root = unpack(tmp_path / "PA", "PA", "train", PA)
    genuine, spoof = read_data(root, "asvspoof2019-pa", "train").utterances
    assert (genuine.label, genuine.attack, genuine.get("environment")) == (Label.BONAFIDE, None, "aaa")
    assert (spoof.label, spoof.attack, spoof.get("environment"), spoof.speaker) == (
        Label.SPOOF,
        "AA",
        "aaa",
        "PA_0095",
    )


def test_the_folder_above_will_do(tmp_path):
    unpack(tmp_path / "LA", "LA", "dev", LA)
    assert len(read_data(tmp_path, "asvspoof2019-la", "dev")) == 2


def test_a_subset_is_needed(tmp_path):
    root = unpack(tmp_path, "LA", "train", LA)
    with pytest.raises(DataError, match="needs a subset, not none") as caught:
        read_data(root, "asvspoof2019-la")
    assert caught.value.hint == "There are: train, dev, eval."
    with pytest.raises(DataError, match="not evaluation") as caught:
        read_data(root, "asvspoof2019-la", "evaluation")
    assert caught.value.hint.startswith('Did you mean "eval"?')


def test_missing_list_and_missing_audio_are_named_in_full(tmp_path):
    root = unpack(tmp_path, "LA", "train", LA)
    with pytest.raises(DataError) as caught:
        read_data(root, "asvspoof2019-la", "dev")
    assert str(root / "ASVspoof2019_LA_cm_protocols" / "ASVspoof2019.LA.cm.dev.trl.txt") in caught.value.message
    assert "LA archive" in caught.value.hint
    with pytest.raises(DataError, match=r"ASVspoof2019\.PA\.cm\.train\.trn\.txt"):
        read_data(root, "asvspoof2019-pa", "train")
    for file in (root / "ASVspoof2019_LA_train" / "flac").iterdir():
        file.unlink()
    (root / "ASVspoof2019_LA_train" / "flac").rmdir()
    (root / "ASVspoof2019_LA_train").rmdir()
    with pytest.raises(DataError, match=r"no audio folder .*ASVspoof2019_LA_train/flac"):
        read_data(root, "asvspoof2019-la", "train")


def test_a_listed_file_that_is_not_there(tmp_path):
    root = unpack(tmp_path, "LA", "train", LA)
    (root / "ASVspoof2019_LA_train" / "flac" / "LA_E_2834763.flac").unlink()
    with pytest.raises(DataError, match=r"lists 1 of 2 recordings that are not in .*flac: LA_E_2834763\."):
        read_data(root, "asvspoof2019-la", "train")


@pytest.mark.parametrize("nested", ["LA", "LA/LA"])
def test_a_folder_within_a_folder_and_another_kind_of_audio(tmp_path, nested):
    root = unpack(tmp_path / nested, "LA", "eval", LA)
    flac = root / "ASVspoof2019_LA_eval" / "flac"
    for file in flac.iterdir():
        file.rename(file.with_suffix(".wav"))
    flac.rename(flac.with_name("wav"))
    paths = [u.path for u in read_data(tmp_path, "asvspoof2019-la", "eval").utterances]
    assert [path.relative_to(flac.parent).as_posix() for path in paths] == [
        "wav/LA_T_1138215.wav",
        "wav/LA_E_2834763.wav",
    ]


def test_a_list_of_another_format_has_file_and_line(tmp_path):
    root = unpack(tmp_path, "LA", "train", LA + "\nLA_0009 LA_E_9332881 alaw ita_tx A07 spoof notrim eval\n")
    with pytest.raises(DataError, match=r"train\.trn\.txt, line 4 has 8 columns instead of 5"):
        read_data(root, "asvspoof2019-la", "train")


def test_a_word_that_is_no_label_has_file_and_line(tmp_path):
    root = unpack(tmp_path, "LA", "train", LA + "LA_0039 LA_E_2834764 - A11 spooof\n")
    with pytest.raises(DataError, match=r'train\.trn\.txt, line 3: "spooof" is not a label'):
        read_data(root, "asvspoof2019-la", "train")
