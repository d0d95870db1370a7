import csv
import io
import os
import tempfile
from pathlib import Path

import pytest
from conftest import speechlike, write_wav
from typer.testing import CliRunner

from deepcheck.cli.app import app

DONE, ERROR, USAGE, SOME_NOT_SCORED = 0, 1, 2, 3


@pytest.fixture
def inbox(tmp_path, monkeypatch, stored_model) -> Path:
    monkeypatch.chdir(tmp_path)
    stored_model()
    for i in range(3):
        write_wav(tmp_path / "inbox" / f"voice{i}.wav", speechlike(1.5, seed=i))
    return Path("inbox")


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """Where temporary files go; nothing may stay there."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def scan(*arguments, stdin: bytes = b""):
    return CliRunner().invoke(app, ["scan", *map(str, arguments), "--model", "tiny"], input=stdin)


def paths(result) -> list[str]:
    return [row["path"] for row in csv.DictReader(io.StringIO(result.stdout, newline=""))]


# --- lists


def test_a_list_in_a_file(inbox):
    Path("list.txt").write_text("inbox/voice2.wav\ninbox/voice0.wav\ngone.wav\n")
    result = scan("--from-file", "list.txt", "--format", "csv")
    assert result.exit_code == SOME_NOT_SCORED
    assert paths(result) == ["inbox/voice2.wav", "inbox/voice0.wav", "gone.wav"]


def test_a_list_on_stdin_beside_arguments(inbox):
    result = scan(inbox / "voice1.wav", "--from-file", "-", "--format", "csv", stdin=b"inbox\ninbox/voice1.wav\n")
    assert paths(result) == ["inbox/voice1.wav", "inbox/voice0.wav", "inbox/voice2.wav"]


@pytest.mark.parametrize("option", ["--null", "-0"])
def test_a_list_separated_by_nul(inbox, option):
    odd = inbox / "new\nline.wav"
    (inbox / "voice1.wav").rename(odd)
    listed = b"\0".join(map(os.fsencode, [odd, inbox / "voice0.wav"])) + b"\0"
    assert paths(scan("--from-file", "-", option, "--format", "csv", stdin=listed)) == [
        "inbox/new\nline.wav",
        "inbox/voice0.wav",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "The list list.txt cannot be read: No such file or directory."),
        ("\n", "list.txt names no file."),
        ("gone.wav\n", "There is nothing at gone.wav."),
        ("a\0b", "list.txt is no list of paths"),
    ],
)
def test_a_list_that_leads_nowhere(inbox, content, message):
    if content is not None:
        Path("list.txt").write_text(content)
    result = scan("--from-file", "list.txt")
    assert (result.exit_code, result.stdout) == (ERROR, "")
    assert message in result.stderr


# --- sound on stdin


def test_sound_from_stdin(inbox, temporary):
    sound = (inbox / "voice0.wav").read_bytes()
    result = scan("-", "--format", "csv", stdin=sound)
    assert (result.exit_code, result.stderr) == (DONE, "")
    [row] = csv.DictReader(io.StringIO(result.stdout, newline=""))
    [same] = csv.DictReader(io.StringIO(scan(inbox / "voice0.wav", "--format", "csv").stdout, newline=""))
    assert row["path"].removeprefix("./") == "-"
    assert {key: row[key] for key in row if key != "path"} == {key: same[key] for key in same if key != "path"}
    assert list(temporary.iterdir()) == []


def test_sound_from_stdin_among_files(inbox, temporary):
    sound = (inbox / "voice0.wav").read_bytes()
    result = scan(inbox / "voice1.wav", "-", inbox / "voice2.wav", "--format", "csv", stdin=sound)
    assert [path.removeprefix("./") for path in paths(result)] == ["inbox/voice1.wav", "-", "inbox/voice2.wav"]


def test_sound_from_stdin_is_not_remembered(inbox, home):
    scan("-", stdin=(inbox / "voice0.wav").read_bytes())
    assert not any(path.stat().st_size for path in home.glob("journals/*/*.jsonl"))


@pytest.mark.parametrize(("sound", "reason"), [(b"", "the file is empty"), (b"no sound" * 99, "not audio or video")])
def test_what_is_no_sound_is_a_row(inbox, temporary, sound, reason):
    result = scan("-", "--format", "csv", stdin=sound)
    assert result.exit_code == SOME_NOT_SCORED
    [row] = csv.DictReader(io.StringIO(result.stdout, newline=""))
    assert row["reason"].startswith(reason)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, OSError(28, "No space left on device")])
def test_the_sound_does_not_stay_behind(inbox, temporary, monkeypatch, error):
    def fail(*_, **__):
        assert len(list(temporary.rglob("stdin"))) == 1
        raise error

    monkeypatch.setattr("deepcheck.scanner.run.Scan", fail)
    assert scan("-", stdin=b"sound").exit_code != DONE
    assert list(temporary.iterdir()) == []


def test_no_room_for_the_sound(inbox, temporary, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    result = scan("-", stdin=b"sound")
    assert result.exit_code == ERROR
    assert "No space left on device" in result.stderr
    assert list(temporary.iterdir()) == []


# --- parts


def test_parts_together_are_the_whole(inbox):
    whole = paths(scan(inbox, "--format", "csv"))
    parts = [paths(scan(inbox, "--format", "csv", "--shard", f"{i}/3")) for i in (1, 2, 3)]
    assert sorted(path for part in parts for path in part) == whole
    assert len(parts[0]) < 3


def test_an_empty_part_is_no_error(inbox):
    results = [scan(inbox, "--format", "csv", "--shard", f"{i}/40") for i in (1, 2, 3, 4)]
    assert [result.exit_code for result in results] == [DONE] * 4
    assert min(len(paths(result)) for result in results) == 0


def test_a_part_that_is_none(inbox):
    result = scan(inbox, "--shard", "4/3")
    assert (result.exit_code, result.stdout) == (ERROR, "")
    assert '"4/3" is no part of a scan.' in result.stderr


# --- what does not go together


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing argument"),
        (["-", "--from-file", "-"], "not both"),
        (["inbox", "--null"], "--from-file"),
        (["inbox", "--watch", "--from-file", "list.txt"], "--watch takes folders"),
        (["-", "--watch"], "--watch takes folders"),
    ],
)
def test_wrong_usage(inbox, arguments, words):
    result = scan(*arguments)
    assert (result.exit_code, result.stdout) == (USAGE, "")
    assert words in " ".join(result.stderr.replace("│", " ").split())
