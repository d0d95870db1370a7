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
    assert caught.value.hint == "Write bonafide or spoof, or call the column is_spoof or is_bonafide."
    with pytest.raises(DataError, match='line 2: "bona" is not a label') as caught:
        read_data(write("path,label\nx.wav,bona\n", "x.wav"))
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
        read_data(write("clip,label\nx.wav,real\n", "x.wav"))
    assert "clip, label" in caught.value.hint
    with pytest.raises(DataError, match='no column "path"') as caught:
        read_data(write("clip label\nx.wav real\n", "x.wav"))
    assert "clip, label" in caught.value.hint
    with pytest.raises(DataError, match='no column "path"') as caught:
        read_data(write(b""))
    assert "(empty)" in caught.value.hint


def test_a_manifest_in_another_encoding_says_so(write):
    with pytest.raises(DataError, match="UTF-8"):
        read_data(write("path,label\nmüller.wav,real\n".encode("latin-1")))


def test_no_rows(write):
    with pytest.raises(DataError, match="holds no recordings"):
        read_data(write("path,label\n"))


@pytest.mark.parametrize(
    "content",
    [
        "file\tkey\tspeaker\nx.wav\tgenuine\tA B\ny.wav\tfake\t\n",
        "filename;target;speaker\nx.wav;bona-fide;A B\ny.wav;spoof;\n",
        "UTT,Class, Speaker_ID\nx.wav, human, A B\ny.wav, deepfake,\n",
        'path  label speaker\nx.wav   real\t "A B"\n  y.wav fake  -\n',
        "wav|label|speaker\nx|bonafide|A B\ny|synthetic|-\n",
    ],
    ids=["tabs", "semicolons", "commas", "white space", "bars"],
)
def test_other_separators_and_names_of_columns(write, content):
    one, two = read_data(write(content, "x.wav", "y.wav")).utterances
    assert (one.path.name, one.label, one.speaker) == ("x.wav", Label.BONAFIDE, "A B")
    assert (two.path.name, two.label, two.speaker) == ("y.wav", Label.SPOOF, None)
    assert (one.tags, two.tags) == ({}, {})


def test_the_first_name_of_a_column_counts_and_the_others_are_tags(write):
    place = write("id,path,utterance,system,attack,label\n7,x.wav,u1,s2,A07,spoof\n", "x.wav")
    [utterance] = read_data(place).utterances
    assert (utterance.id, utterance.attack) == ("x", "A07")
    assert utterance.tags == {"id": "7", "utterance": "u1", "system": "s2"}


@pytest.mark.parametrize(
    ("column", "values"), [("is_spoof", "10"), ("Is_Fake", "10"), ("is_bonafide", "01"), ("is_real", ("no", "TRUE"))]
)
def test_a_column_may_say_what_1_is(write, column, values):
    place = write(f"path,{column}\nx.wav,{values[0]}\ny.wav,{values[1]}\nz.wav,\n", "x.wav", "y.wav", "z.wav")
    utterances = read_data(place).utterances
    assert [u.label for u in utterances] == [Label.SPOOF, Label.BONAFIDE, None]
    assert utterances[0].tags == {}


def test_neither_0_nor_1_has_its_line(write):
    with pytest.raises(DataError, match=r'line 2: "2" is neither 0 nor 1, as is_spoof has to be'):
        read_data(write("path,is_spoof\nx.wav,2\n", "x.wav"))


def test_a_table_of_the_antideepfake_scripts(write):
    place = write(
        "ID,Label,Duration,Path,Attack,Speaker,Proportion,Language\n"
        "a-1,real,2.5,$ROOT/flac/a.flac,-,-,valid,EN\nb-1,fake,2.5,$ROOT/flac/b.flac,A14,D_1,test,EN\n",
        "flac/b.flac",
    )
    [utterance] = read_data(place, subset="test").utterances
    assert (utterance.id, utterance.label, utterance.attack, utterance.speaker) == ("b", Label.SPOOF, "A14", "D_1")
    assert utterance.path == place.parent / "flac" / "b.flac"
    assert utterance.tags == {"ID": "b-1", "Duration": "2.5", "Language": "EN"}


def test_another_ending_will_do_but_the_right_one_is_taken(write):
    place = write("path,label\nx.mp3,real\ny,fake\nz.wav,fake\n", "x.opus", "y.flac", "z.wav", "z.flac")
    assert [u.path.name for u in read_data(place).utterances] == ["x.opus", "y.flac", "z.wav"]


def test_the_number_of_missing_files(write):
    with pytest.raises(DataError, match=r"line 2: there is no file .*one\.wav, nor 1 more of the 3 that are listed\."):
        read_data(write(FULL, "b/three.wav"))


def test_rows_that_do_not_fit_the_header(write):
    with pytest.raises(DataError, match=r"line 3 has 3 cells, the header has 2") as caught:
        read_data(write("path,label\nx.wav,real\ny, z.wav,fake\n", "x.wav"))
    assert "quotation marks" in caught.value.hint
    with pytest.raises(DataError, match=r"line 2 has 1 cells, the header has 2"):
        read_data(write("path label\nreal\n"))


def test_the_folder_of_a_manifest(write):
    place = write(FULL, *FILES)
    assert len(read_data(place.parent, "manifest")) == 3
    place.rename(place.with_name("list.csv"))
    with pytest.raises(DataError, match=r"There is no .*manifest\.csv"):
        read_data(place.parent, "manifest")
