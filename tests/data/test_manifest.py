import pytest

from deepcheck.data.protocols import read_data
from deepcheck.data.utterance import Label
from deepcheck.errors import DataError


@pytest.fixture
def write(tmp_path):
    """Writes a manifest (bytes or text) and an empty file for each name."""

    def write_it(content, *files, name="manifest.csv"):
        for file in files:
            place = tmp_path / "set" / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        place = tmp_path / "set" / name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
        return place

    return write_it


FULL = """\
path,label,subset,source,system,speaker,pair_of,language,note
a/one.wav,bonafide,train,site1,-,anna,-,de,
a/two.wav,spoof,train,site1,melo,anna,one,de,short
b/three.wav,fake,val,site2,espeak,,,en,
"""
FILES = ("a/one.wav", "a/two.wav", "b/three.wav")


def test_rows_become_utterances(write):
    place = write(FULL, *FILES)
    protocol = read_data(place)
    assert (protocol.name, protocol.subset) == ("set", None)
    one, two, three = protocol.utterances
    assert [u.id for u in protocol.utterances] == ["one", "two", "three"]
    assert [u.label for u in protocol.utterances] == [Label.BONAFIDE, Label.SPOOF, Label.SPOOF]
    assert one.path == place.parent / "a/one.wav"
    assert (one.attack, one.speaker, one.source, one.pair) == (None, "anna", "site1", None)
    assert (two.attack, two.speaker, two.source, two.pair) == ("melo", "anna", "site1", "one")
    assert (three.attack, three.speaker, three.pair) == ("espeak", None, None)
    # The empty note is no tag, and what is a field is not one as well.
    assert [dict(u.tags) for u in (one, two)] == [{"language": "de"}, {"language": "de", "note": "short"}]


def test_subset(write):
    protocol = read_data(write(FULL, *FILES), subset="val")
    assert (protocol.subset, [u.id for u in protocol.utterances]) == ("val", ["three"])


def test_files_of_other_subsets_may_be_missing(write):
    assert len(read_data(write(FULL, "b/three.wav"), subset="val")) == 1


def test_unknown_subset_names_the_nearest(write):
    with pytest.raises(DataError, match='no subset "trian"') as caught:
        read_data(write(FULL, *FILES), subset="trian")
    assert caught.value.hint == 'Did you mean "train"? There are: train, val.'


def test_a_folder_with_a_manifest_is_a_manifest(write):
    assert len(read_data(write(FULL, *FILES).parent)) == 3


def test_tabs_and_byte_order_mark(write):
    place = write("\ufeffpath\tlabel\tsource\r\nx, y.wav\tspoof\tsite\r\n", "x, y.wav", name="list.tsv")
    protocol = read_data(place)
    assert protocol.name == "list"
    [utterance] = protocol.utterances
    assert (utterance.id, utterance.source, utterance.label) == ("x, y", "site", Label.SPOOF)


def test_quoted_commas(write):
    [utterance] = read_data(write('path,label,note\n"x, y.wav",real,"a, b"\n', "x, y.wav")).utterances
    assert (utterance.path.name, utterance.tags["note"]) == ("x, y.wav", "a, b")


def test_equal_file_names_get_their_paths_as_ids(write):
    place = write("path,label\na/x.wav,real\nb/x.flac,fake\n", "a/x.wav", "b/x.flac")
    assert [u.id for u in read_data(place).utterances] == ["a/x.wav", "b/x.flac"]


def test_absolute_paths(write, tmp_path):
    far = tmp_path / "elsewhere.wav"
    far.touch()
    [utterance] = read_data(write(f"path,label\n{far},real\n")).utterances
    assert utterance.path == far


def test_no_label_is_allowed_for_what_is_only_scored(write):
    place = write("path,label\nx.wav,\ny.wav,real\n", "x.wav", "y.wav")
    assert [u.label for u in read_data(place).utterances] == [None, Label.BONAFIDE]
    assert read_data(write("path\nx.wav\n", "x.wav")).utterances[0].label is None


def test_missing_file_has_its_line(write):
    with pytest.raises(DataError, match=r"manifest\.csv, line 3: there is no file .*two\.wav"):
        read_data(write(FULL, "a/one.wav", "b/three.wav"))


def test_bad_label_has_its_line_and_the_hint(write):
    with pytest.raises(DataError, match=r'manifest\.csv, line 3: "1" is not a label') as caught:
        read_data(write("path,label\nx.wav,real\ny.wav,1\n", "x.wav", "y.wav"))
    assert caught.value.hint == "Write bonafide or spoof."


def test_lines_are_those_of_the_file_even_after_empty_and_folded_rows(write):
    place = write('path,label,note\nx.wav,real,"two\nlines"\n\n\ny.wav,wrong,\n', "x.wav", "y.wav")
    with pytest.raises(DataError, match='line 6: "wrong"'):
        read_data(place)


@pytest.mark.parametrize("row", ["real", "real,,"])
def test_row_without_a_path_has_its_line(write, row):
    with pytest.raises(DataError, match=r"manifest\.csv, line 3"):
        read_data(write(f"label,path,note\nreal,x.wav,\n{row}\n", "x.wav"))


def test_missing_column_shows_the_header(write):
    with pytest.raises(DataError, match='no column "path"') as caught:
        read_data(write("file,label\nx.wav,real\n", "x.wav"))
    assert "file, label" in caught.value.hint
    with pytest.raises(DataError, match='no column "path"') as caught:
        read_data(write(b""))
    assert "(empty)" in caught.value.hint


def test_a_manifest_in_another_encoding_says_so(write):
    with pytest.raises(DataError, match="UTF-8"):
        read_data(write("path,label\nmüller.wav,real\n".encode("latin-1")))


def test_no_rows(write):
    with pytest.raises(DataError, match="holds no recordings"):
        read_data(write("path,label\n"))
