"""What holds of every reader."""

import re
from inspect import getdoc

import pytest
from conftest import speechlike, write_wav
from miniature import touch, write
from typer.testing import CliRunner

from deepcheck.cli.app import app
from deepcheck.data.protocols import PROTOCOLS, read_data
from deepcheck.data.utterance import Label
from deepcheck.errors import DataError

CORPORA = [name for name in PROTOCOLS if name not in {"manifest", "folders"}]


def test_names():
    assert list(PROTOCOLS) == [
        *("manifest", "folders", "asvspoof2019-la", "asvspoof2019-pa", "asvspoof2021-la", "asvspoof2021-df"),
        *("asvspoof5", "in-the-wild", "fake-or-real", "wavefake", "mlaad", "add2022", "add2023"),
    ]


@pytest.mark.parametrize("name", CORPORA)
def test_every_reader_says_where_its_format_is_published(name):
    assert re.search("Source:|as `read_", getdoc(PROTOCOLS.resolve(name)))


@pytest.mark.parametrize("name", CORPORA)
@pytest.mark.parametrize("subset", [None, "train", "eval"])
def test_the_wrong_folder_is_an_error_with_the_way_out(tmp_path, name, subset):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError) as caught:
        read_data(tmp_path, name, subset)
    assert caught.value.hint
    assert str(tmp_path) in caught.value.message or "subset" in caught.value.message


@pytest.mark.parametrize("name", CORPORA)
def test_so_is_a_file_in_place_of_a_folder(tmp_path, name):
    (tmp_path / "meta.csv").touch()
    for subset in (None, "eval"):
        with pytest.raises(DataError):
            read_data(tmp_path / "meta.csv", name, subset)


@pytest.mark.parametrize("root", ["--root", "--data"])
def test_root_is_another_word_for_data(root):
    result = CliRunner().invoke(app, ["train", root, "nowhere", "--protocol", "asvspoof5", "--subset", "train"])
    assert (result.exit_code, " ".join(result.stderr.split()[:5])) == (1, "Error: There is nothing at"), result.stderr


LISTS = {
    "asvspoof2019-la": ("ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.eval.trl.txt", "S U - A07 spoof\n"),
    "asvspoof2021-la": ("keys/LA/CM/trial_metadata.txt", "S U alaw ita_tx A07 spoof notrim eval\n"),
    "asvspoof2021-df": ("keys/DF/CM/trial_metadata.txt", "S U nocodec asvspoof A07 spoof notrim eval v - - - -\n"),
    "asvspoof5": ("ASVspoof5.eval.track_1.tsv", "S U F - - - AC1 A07 spoof -\n"),
    "in-the-wild": ("meta.csv", "file,speaker,label,attack\nU.wav,S,spoof,A07\n"),
    "add2023": ("test/label.txt", "U.wav fake\n"),
    "manifest": ("manifest.csv", "path,label,subset\nU.wav,spoof,eval\n"),
}


@pytest.mark.parametrize("name", LISTS)
def test_the_list_alone_for_scores_of_others(tmp_path, name):
    root = write(tmp_path, *LISTS[name])
    subset = None if name == "in-the-wild" else "eval"
    with pytest.raises(DataError):
        read_data(root, name, subset)
    [utterance] = read_data(root, name, subset, audio=False).utterances
    assert (utterance.id, utterance.label) == ("U", Label.SPOOF)
    assert utterance.path.stem == "U" or utterance.path.is_file()  # the list itself


def test_folders_are_read_with_their_recordings_in_any_case(tmp_path):
    touch(tmp_path, "real/a.wav", "fake/b.wav")
    assert read_data(tmp_path, audio=False) == read_data(tmp_path)


def test_an_evaluation_from_the_command_line(tmp_path, stored_model):
    lines = ""
    for i, (codec, key) in enumerate((c, k) for c in ("alaw", "opus") for k in ("bonafide", "spoof")):
        write_wav(tmp_path / "ASVspoof2021_LA_eval" / "flac" / f"LA_E_{i}.wav", speechlike(1.2, seed=i))
        lines += f"LA_0009 LA_E_{i} {codec} ita_tx {'A07' if key == 'spoof' else key} {key} notrim eval\n"
    write(tmp_path, "keys/LA/CM/trial_metadata.txt", lines)
    arguments = ["eval", stored_model(), "--data", tmp_path, "--protocol", "asvspoof2021-la", "--subset", "eval"]
    result = CliRunner().invoke(app, [*map(str, arguments), "--by", "codec", "--device", "cpu"])
    assert result.exit_code == 0, (result.stderr, result.exception)
    assert "ASVspoof 2021 LA (eval): 2 bona fide, 2 spoof" in result.stderr
    assert {"alaw", "opus"} <= set(result.stdout.split())
