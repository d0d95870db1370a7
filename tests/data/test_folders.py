import pytest

from deepcheck.data.protocols import read_data
from deepcheck.data.utterance import Label
from deepcheck.errors import DataError


@pytest.fixture
def folder(tmp_path):
    def make(*files):
        for file in files:
            place = tmp_path / "set" / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        return tmp_path / "set"

    return make


def test_nested_folders_give_source_and_attack(folder):
    place = folder(
        "bonafide/loose.wav",
        "bonafide/radio/deep/er/g.FLAC",
        "spoof/melo/s.mp3",
        "spoof/melo/notes.txt",
        "other/x.wav",
        "stray.wav",
    )
    protocol = read_data(place)
    assert (protocol.name, protocol.subset) == ("set", None)
    assert [(u.id, u.label, u.attack, u.source) for u in protocol.utterances] == [
        ("bonafide/loose.wav", Label.BONAFIDE, None, None),
        ("bonafide/radio/deep/er/g.FLAC", Label.BONAFIDE, None, "radio"),
        ("spoof/melo/s.mp3", Label.SPOOF, "melo", "melo"),
    ]
    assert protocol.utterances[1].path == place / "bonafide/radio/deep/er/g.FLAC"


def test_any_words_for_the_labels(folder):
    place = folder("Real/a.wav", "fake/b.wav", "genuine/c.wav", "deepfake/d.wav")
    assert {u.path.name: u.label for u in read_data(place).utterances} == {
        "a.wav": Label.BONAFIDE,
        "b.wav": Label.SPOOF,
        "c.wav": Label.BONAFIDE,
        "d.wav": Label.SPOOF,
    }


def test_digits_are_no_labels(folder):
    with pytest.raises(DataError, match="no folder of recordings called bonafide or spoof"):
        read_data(folder("0/a.wav", "1/b.wav"))


def test_subset(folder):
    place = folder("train/real/a.wav", "train/fake/b.wav", "test/real/c.wav", "test/fake/d.wav")
    protocol = read_data(place, subset="test")
    assert (protocol.name, protocol.subset) == ("test", "test")
    assert [u.id for u in protocol.utterances] == ["fake/d.wav", "real/c.wav"]
    with pytest.raises(DataError, match=r"There is no folder .*dev"):
        read_data(place, subset="dev")


def test_one_label_alone_is_read(folder):
    assert read_data(folder("spoof/a.wav")).describe() == "set: 0 bona fide, 1 spoof"


def test_empty_label_folders_are_an_error_with_the_way_out(folder):
    with pytest.raises(DataError, match="no folder of recordings") as caught:
        read_data(folder("bonafide/readme.txt"))
    assert "bonafide/" in caught.value.hint


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match=r"There is nothing at .*nowhere"):
        read_data(tmp_path / "nowhere")


def test_unknown_protocol_names_the_nearest(folder):
    with pytest.raises(Exception, match='no protocol "asvspoof2019"') as caught:
        read_data(folder("bonafide/a.wav"), protocol="asvspoof2019")
    assert "asvspoof2019-la" in caught.value.hint
