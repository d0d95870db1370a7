import os
from pathlib import Path

import pytest

from deepcheck.errors import DataError
from deepcheck.scanner.discover import discover


@pytest.fixture
def tree(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (
        "in/b.wav",
        "in/a.MP3",
        "in/notes.txt",
        "in/list.m3u8",
        "in/.hidden.wav",
        "in/.trash/x.wav",
        "in/noending",
        "in/sub/deep/c.Flac",
        "in/sub/a.m4a",
        "in/video.MP4",
        "in/Z.wav",
        "other/o.ogg",
        "plain.dat",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def found(*paths: str | Path) -> list[str]:
    return [str(path) for path in discover(paths).files]


def test_folder_gives_every_file_with_a_known_ending_in_order(tree):
    assert found("in") == ["in/Z.wav", "in/a.MP3", "in/b.wav", "in/video.MP4", "in/sub/a.m4a", "in/sub/deep/c.Flac"]


def test_named_file_is_taken_whatever_it_is_called(tree):
    assert found("plain.dat", "in/notes.txt", "in/.hidden.wav") == ["plain.dat", "in/notes.txt", "in/.hidden.wav"]


def test_named_hidden_folder_is_searched(tree):
    assert found("in/.trash") == ["in/.trash/x.wav"]


def test_order_is_that_of_the_arguments(tree):
    assert found("other", "in/sub") == ["other/o.ogg", "in/sub/a.m4a", "in/sub/deep/c.Flac"]
    assert found("in/sub", "other") == ["in/sub/a.m4a", "in/sub/deep/c.Flac", "other/o.ogg"]


def test_each_file_once(tree):
    assert found("in/sub", "in/sub/a.m4a", "in/sub/", Path("in/sub")) == ["in/sub/a.m4a", "in/sub/deep/c.Flac"]


def test_paths_stay_as_they_were_given(tree):
    assert found(tree / "other") == [str(tree / "other/o.ogg")]
    assert found("./other") == ["other/o.ogg"]
    assert found("in/../other") == ["in/../other/o.ogg"]


def test_missing_path_among_others_is_kept(tree):
    assert found("gone.wav", "other") == ["gone.wav", "other/o.ogg"]


def test_nothing_there_is_an_error(tree):
    with pytest.raises(DataError) as caught:
        discover(["gone.wav", "gone"])
    assert caught.value.message == "There is nothing at gone.wav, gone."
    with pytest.raises(DataError, match=r"There is nothing at a, b, c\."):
        discover(["a", "b", "c", "d", "e"])


def test_folder_without_audio_is_an_error(tree):
    (tree / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        discover(["empty"])
    assert caught.value.message == "There is no audio or video file in empty."
    assert "one that is named is always tried" in caught.value.hint


def test_links(tree):
    (tree / "links").mkdir()
    (tree / "links/file.wav").symlink_to(tree / "in/b.wav")
    (tree / "links/broken.wav").symlink_to(tree / "gone.wav")
    (tree / "links/folder.wav").symlink_to(tree / "in", target_is_directory=True)
    (tree / "links/circle").symlink_to(tree / "links", target_is_directory=True)
    assert found("links") == ["links/broken.wav", "links/file.wav"]
    assert found("links/folder.wav")[0] == "links/folder.wav/Z.wav"  # named, so followed


def test_folder_that_is_called_like_a_file_is_searched(tree):
    (tree / "in/tape.wav").mkdir()
    (tree / "in/tape.wav/side-a.wav").touch()
    assert "in/tape.wav/side-a.wav" in found("in")
    assert "in/tape.wav" not in found("in")


def test_odd_names(tree):
    names = [os.fsdecode(b"latin\xe9.wav"), "new\nline.wav", "-rf.wav", "*.wav", "[x].wav", " .wav"]
    for name in names:
        (tree / "other" / name).touch()
    assert set(found("other")) == {f"other/{name}" for name in [*names, "o.ogg"]}


def refusing_scandir(monkeypatch, *refused: str) -> None:
    real = os.scandir

    def scandir(path="."):
        if os.fspath(path) in refused:
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)


def test_folder_that_cannot_be_opened_is_told(tree, monkeypatch):
    refusing_scandir(monkeypatch, "in/sub")
    result = discover(["in", "other"])
    assert result.unreadable == ((Path("in/sub"), "no permission to open the folder"),)
    assert [str(path) for path in result.files] == ["in/Z.wav", "in/a.MP3", "in/b.wav", "in/video.MP4", "other/o.ogg"]


def test_only_an_unreadable_folder_is_no_empty_folder(tree, monkeypatch):
    refusing_scandir(monkeypatch, "in")
    assert discover(["in"]).unreadable == ((Path("in"), "no permission to open the folder"),)


def test_file_in_a_folder_that_must_not_be_entered_is_kept(tree, monkeypatch):
    """`stat` raises there; that is the business of whoever reads the file."""
    real = os.stat

    def stat(path, *args, **kwargs):
        if str(path) == "in/b.wav":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", stat)
    assert found("in/b.wav", "other") == ["in/b.wav", "other/o.ogg"]


def test_name_that_no_system_takes(tree):
    assert found("x" * 300 + ".wav", "other") == ["x" * 300 + ".wav", "other/o.ogg"]
    with pytest.raises(DataError, match="There is nothing at xxx"):
        discover(["x" * 300])
