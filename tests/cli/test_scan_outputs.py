import json
from pathlib import Path

import pytest
from conftest import speechlike, write_wav
from typer.testing import CliRunner

from deepcheck.cli.app import app
from deepcheck.cli.scan_outputs import Target, targets
from deepcheck.errors import DeepcheckError

DONE, ERROR, USAGE = 0, 1, 2


@pytest.fixture
def inbox(tmp_path, monkeypatch, stored_model) -> Path:
    monkeypatch.chdir(tmp_path)
    stored_model()
    for i in range(2):
        write_wav(tmp_path / "inbox" / f"voice{i}.wav", speechlike(1.5, seed=i))
    return Path("inbox")


def scan(*arguments):
    return CliRunner().invoke(app, ["scan", *map(str, arguments), "--model", "tiny"])


# --- which report goes where


@pytest.mark.parametrize(
    ("formats", "outputs", "expected"),
    [
        ("", "", "table>"),
        ("csv", "", "csv>"),
        ("", "a.csv", "csv>a.csv"),
        ("", "a.csv b.jsonl c d.txt", "csv>a.csv jsonl>b.jsonl table>c table>d.txt"),
        ("csv", "a.csv", "csv>a.csv"),
        ("jsonl", "a.csv", "jsonl>a.csv"),  # the one report is what --format says
        ("csv jsonl", "a.jsonl b.csv", "jsonl>a.jsonl csv>b.csv"),  # the order does not matter where endings tell
        ("csv jsonl", "a.dat b.dat", "csv>a.dat jsonl>b.dat"),  # and does where they do not
        ("jsonl", "a.csv b.dat", "csv>a.csv jsonl>b.dat"),
        ("csv jsonl", "a.csv", "csv>a.csv jsonl>"),
        ("table csv", "a.csv", "csv>a.csv table>"),
        ("csv table jsonl", "a.csv b.jsonl", "csv>a.csv jsonl>b.jsonl table>"),
        ("", "a.csv -", "csv>a.csv table>"),
        ("", "-", "table>"),
        ("jsonl", "-", "jsonl>"),
        ("jsonl", "- a.csv", "jsonl> csv>a.csv"),
        ("jsonl", "a.csv -", "csv>a.csv jsonl>"),
        ("csv csv", "a.csv b.csv", "csv>a.csv csv>b.csv"),
    ],
)
def test_targets(formats, outputs, expected):
    found = targets(formats.split(), [Path(output) for output in outputs.split()])
    wanted = [word.partition(">") for word in expected.split()]
    assert sorted(found, key=str) == sorted((Target(f, Path(o) if o else None) for f, _, o in wanted), key=str)


@pytest.mark.parametrize(
    ("formats", "outputs", "message"),
    [
        ("csv jsonl", "", "Only one report can go to stdout"),
        ("csv jsonl table", "a.csv", "Only one report can go to stdout"),
        ("", "a.csv a.csv", "given twice"),
        ("", "a.pdf", 'The ending of "a.pdf" names no report format'),
        ("csv", "a.csv b.pdf", 'The ending of "b.pdf" names no report format'),
    ],
)
def test_what_leads_nowhere(formats, outputs, message):
    with pytest.raises(DeepcheckError, match=message):
        targets(formats.split(), [Path(output) for output in outputs.split()])


# --- by the command


def test_several_reports_at_once(inbox):
    result = scan(inbox, "-o", "a.csv", "-o", "b.jsonl", "-o", "new/c.txt", "-o", "-")
    assert result.exit_code == DONE
    assert "2 files:" in result.stdout
    assert Path("a.csv").read_text().startswith("path,")
    assert [json.loads(line)["path"] for line in Path("b.jsonl").read_text().splitlines()] == [
        "inbox/voice0.wav",
        "inbox/voice1.wav",
    ]
    assert "2 files:" in Path("new/c.txt").read_text()
    assert [line for line in result.stderr.splitlines() if line.startswith("Written")] == [
        "Written to a.csv",
        "Written to b.jsonl",
        "Written to new/c.txt",
    ]


def test_a_report_to_stdout_beside_one_in_a_file(inbox):
    result = scan(inbox, "--format", "csv", "-o", "a.csv", "--format", "jsonl")
    assert [json.loads(line)["path"] for line in result.stdout.splitlines()] == ["inbox/voice0.wav", "inbox/voice1.wav"]
    assert Path("a.csv").read_text().startswith("path,")


def test_quiet(inbox):
    assert scan(inbox).exit_code == DONE
    result = scan(inbox, "--quiet", "-o", "a.csv")
    assert (result.exit_code, result.stdout, result.stderr) == (DONE, "", "")
    assert scan(inbox, "--quiet", "--format", "csv").stdout == Path("a.csv").read_text()
    result = scan("gone", "--quiet")
    assert (result.exit_code, result.stdout) == (ERROR, "")
    assert "There is nothing at gone." in result.stderr


def test_a_file_that_is_scanned_is_not_overwritten_whatever_it_is_called(inbox):
    (inbox / "voice0.wav").rename("evidence.csv")
    before = Path("evidence.csv").read_bytes()
    Path("link.csv").symlink_to("evidence.csv")
    for output in ("evidence.csv", "./evidence.csv", "link.csv"):
        result = scan("evidence.csv", "--output", output)
        assert result.exit_code == ERROR
        assert "is one of the files to scan" in result.stderr
    assert Path("evidence.csv").read_bytes() == before


def test_a_format_for_each_recording_wants_a_folder(inbox):
    result = scan(inbox, "--format", "audacity")
    assert (result.exit_code, result.stdout) == (ERROR, "")
    assert "Name a folder" in result.stderr
    assert scan(inbox / "voice0.wav", "--format", "audacity").stdout.startswith("0.000000\t")
    assert scan(inbox, "--format", "audacity", "-o", "labels", "-o", "a.csv").exit_code == DONE
    assert sorted(path.name for path in Path("labels").glob("voice*")) == [
        "voice0.wav.labels.txt",
        "voice1.wav.labels.txt",
    ]
