import os
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from deepcheck.errors import ConfigError, DataError
from deepcheck.scanner.watch import arrivals


@pytest.fixture
def inbox(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inbox").mkdir()
    return Path("inbox")


def watched(*between: Callable[[], object], paths=(Path("inbox"),)) -> list[list[str]]:
    """The names that are ready at each look, where the first of `between` is done after the first look, and so on."""
    steps = iter(between)

    def sleep(interval_s):
        step = next(steps, None)
        if step is not None:
            step()

    return [
        [path.name for path in found.files] + [f"{path.name}: {why}" for path, why in found.unreadable]
        for found in islice(arrivals(paths, 1.0, sleep), len(between) + 1)
    ]


def nothing():
    pass


def writing(path: Path, data: bytes) -> Callable[[], object]:
    return lambda: path.write_bytes(data)


def test_what_is_there_is_taken_once_it_stood_still(inbox):
    (inbox / "a.wav").write_bytes(b"a")
    assert watched(nothing, nothing, nothing) == [[], ["a.wav"], [], []]


def test_a_new_file_is_taken_at_the_second_look(inbox):
    assert watched(writing(inbox / "a.wav", b"a"), nothing, nothing) == [[], [], ["a.wav"], []]


def test_a_file_that_grows_is_waited_for(inbox):
    growth = [writing(inbox / "a.wav", b"a" * size) for size in (1, 2, 3, 4)]
    assert watched(*growth, nothing, nothing) == [[], [], [], [], [], ["a.wav"], []]


def test_a_file_whose_time_moves_is_waited_for(inbox):
    path = inbox / "a.wav"
    path.write_bytes(b"a")
    assert watched(lambda: os.utime(path, (1, 1)), lambda: os.utime(path, (2, 2)), nothing) == [[], [], [], ["a.wav"]]


def test_a_file_that_changes_later_is_taken_again(inbox):
    path = inbox / "a.wav"
    path.write_bytes(b"a")
    assert watched(nothing, writing(path, b"bb"), nothing, nothing) == [[], ["a.wav"], [], ["a.wav"], []]


def test_new_permissions_are_no_change(inbox):
    path = inbox / "a.wav"
    path.write_bytes(b"a")
    assert watched(nothing, lambda: path.chmod(0o600), nothing) == [[], ["a.wav"], [], []]


def test_files_that_go(inbox):
    path = inbox / "a.wav"
    path.write_bytes(b"a")
    assert watched(path.unlink, nothing) == [[], [], []]
    path.write_bytes(b"a")
    back = writing(path, b"b")
    assert watched(nothing, path.unlink, back, nothing) == [[], ["a.wav"], [], [], ["a.wav"]]


def test_only_recordings_below_the_folder_in_order(inbox):
    for name in ("z.wav", "a.mp3", "notes.txt", ".part.wav", "sub/b.ogg"):
        (inbox / name).parent.mkdir(exist_ok=True)
        (inbox / name).write_bytes(b"x")
    assert watched(nothing) == [[], ["a.mp3", "z.wav", "b.ogg"]]


def test_a_folder_that_goes_and_comes_back(inbox):
    (inbox / "a.wav").write_bytes(b"a")

    def back():
        inbox.mkdir()
        (inbox / "b.wav").write_bytes(b"b")

    assert watched(nothing, lambda: shutil.rmtree(inbox), back, nothing) == [[], ["a.wav"], [], [], ["b.wav"]]


def test_a_folder_that_cannot_be_opened_is_told_once(inbox, monkeypatch):
    (inbox / "locked").mkdir()
    real = os.scandir

    def scandir(path="."):
        if os.fspath(path) == "inbox/locked":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert watched(nothing, nothing) == [["locked: no permission to open the folder"], [], []]


def test_broken_links_are_no_files(inbox):
    (inbox / "a.wav").symlink_to("nowhere.wav")
    assert watched(nothing, nothing) == [[], [], []]


@pytest.mark.parametrize("paths", [(), (Path("gone"),), (Path("inbox/a.wav"),)])
def test_without_a_folder_there_is_nothing_to_watch(inbox, paths):
    (inbox / "a.wav").write_bytes(b"a")
    with pytest.raises(DataError, match="There is no folder to watch"):
        arrivals(paths)


@pytest.mark.parametrize("interval", [0.0, -1.0, float("nan")])
def test_impossible_interval(inbox, interval):
    with pytest.raises(ConfigError, match="The interval"):
        arrivals([inbox], interval)
