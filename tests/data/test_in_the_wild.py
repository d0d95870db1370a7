import pytest
from miniature import rows, touch, write

from deepcheck.data.protocols import read_data
from deepcheck.errors import DataError

META = "file,speaker,label\n0.wav,Alec Guinness,spoof\n1.wav,Alec Guinness,spoof\n4.wav,Barack Obama,bona-fide\n"


@pytest.mark.parametrize("folder", ["release_in_the_wild", "In-the-Wild/release_in_the_wild", "."])
def test_the_table_and_its_folder(tmp_path, folder):
    place = write(tmp_path / folder, "meta.csv", META)
    touch(place, "0.wav", "1.wav", "4.wav")
    protocol = read_data(tmp_path, "in-the-wild")
    assert protocol.describe() == "In-the-Wild: 1 bona fide, 2 spoof"
    assert rows(protocol, "speaker", "attack") == [
        ("0", "spoof", "Alec Guinness", None),
        ("1", "spoof", "Alec Guinness", None),
        ("4", "bonafide", "Barack Obama", None),
    ]
    assert protocol.utterances[0].path == place / "0.wav"


def test_errors(tmp_path):
    touch(write(tmp_path, "meta.csv", META), "1.wav", "4.flac")
    with pytest.raises(DataError, match=r"meta\.csv, line 2: there is no file .*0\.wav"):
        read_data(tmp_path, "in-the-wild")
    with pytest.raises(DataError, match='In-the-Wild has no subset "eval"') as caught:
        read_data(tmp_path, "in-the-wild", "eval")
    assert "Leave the subset out" in caught.value.hint
    (tmp_path / "meta.csv").unlink()
    with pytest.raises(DataError, match=r"no list .*release_in_the_wild/meta\.csv \(or meta\.csv\)"):
        read_data(tmp_path, "in-the-wild")
