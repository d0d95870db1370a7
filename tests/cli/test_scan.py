import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import speechlike, write_wav
from typer.testing import CliRunner

from deepcheck.cli.app import app
from deepcheck.reports import REPORTS

DONE, ERROR, USAGE, SOME_NOT_SCORED, FAIL_ON = 0, 1, 2, 3, 4


@pytest.fixture
def inbox(tmp_path, monkeypatch) -> Path:
    """Two recordings, in a folder below the current one."""
    monkeypatch.chdir(tmp_path)
    for i in range(2):
        write_wav(tmp_path / "inbox" / f"voice{i}.wav", speechlike(2.0, seed=i))
    return Path("inbox")


@pytest.fixture
def verdict(stored_model):
    """Stores the model `tiny` so that it says the same of whatever is speech."""
    limits = {"spoof": (1e6, 2e6), "inconclusive": (-1e6, 1e6), "bona fide": (-2e6, -1e6)}
    return lambda word: stored_model(spoof=limits[word][0], bonafide=limits[word][1])


def scan(*arguments: str | Path, model: str | None = "tiny"):
    chosen = ["--model", model] if model else []
    return CliRunner().invoke(app, ["scan", *map(str, arguments), *chosen])


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def without_time(text: str) -> str:
    """The report but for when it was made."""
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", "TIME", text)


# --- exit codes


@pytest.mark.parametrize(
    ("word", "broken", "fail_on", "code"),
    [
        ("bona fide", False, None, DONE),
        ("spoof", False, None, DONE),
        ("inconclusive", False, None, DONE),
        ("bona fide", True, None, SOME_NOT_SCORED),
        ("spoof", True, None, SOME_NOT_SCORED),
        ("spoof", False, "spoof", FAIL_ON),
        ("spoof", True, "spoof", FAIL_ON),
        ("inconclusive", False, "spoof", DONE),
        ("inconclusive", True, "spoof", SOME_NOT_SCORED),
        ("bona fide", False, "spoof", DONE),
        ("bona fide", True, "spoof", SOME_NOT_SCORED),
        ("spoof", False, "inconclusive", FAIL_ON),
        ("inconclusive", False, "inconclusive", FAIL_ON),
        ("inconclusive", True, "inconclusive", FAIL_ON),
        ("bona fide", False, "inconclusive", DONE),
        ("bona fide", True, "inconclusive", SOME_NOT_SCORED),
    ],
)
def test_exit_code(inbox, verdict, word, broken, fail_on, code):
    verdict(word)
    if broken:
        (inbox / "empty.wav").touch()
    result = scan(inbox, "--format", "csv", *(["--fail-on", fail_on] if fail_on else []))
    assert result.exit_code == code
    assert [row["verdict"] for row in rows(result.stdout)] == [""] * broken + [word] * 2
    assert result.stderr == ""


@pytest.mark.parametrize("arguments", [["gone.wav"], ["gone", "also-gone"]])
def test_nothing_there_is_an_error(inbox, verdict, arguments):
    verdict("spoof")
    result = scan(*arguments)
    assert (result.exit_code, result.stdout) == (ERROR, "")
    assert f"Error: There is nothing at {', '.join(arguments)}." in result.stderr


def test_folder_without_audio_is_an_error(inbox, verdict, tmp_path):
    verdict("spoof")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text("text")
    result = scan("texts")
    assert (result.exit_code, result.stdout) == (ERROR, "")
    assert "There is no audio or video file in texts." in result.stderr
    assert scan("texts/a.txt").exit_code == SOME_NOT_SCORED  # one that is named is tried


def test_unknown_model_names_the_nearest(inbox, verdict):
    verdict("spoof")
    result = scan(inbox, model="tinny")
    assert (result.exit_code, result.stdout) == (ERROR, "")
    assert 'Error: There is no model "tinny".' in result.stderr
    assert 'Did you mean "tiny"?' in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prior", "1"], "The prior probability of spoof is 1.0."),
        (["--prior", "0"], "The prior probability of spoof is 0.0."),
        (["--threshold", "nan"], "The threshold is not a number."),
        (["--device", "tpu"], 'There is no device "tpu".'),
        (["--model", "missing/model.safetensors"], "There is no model file missing/model.safetensors."),
    ],
)
def test_impossible_value_is_an_error(inbox, verdict, arguments, message):
    verdict("spoof")
    result = scan(inbox, *arguments, model=None if "--model" in arguments else "tiny")
    assert (result.exit_code, result.stdout) == (ERROR, "")
    assert f"Error: {message}" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "paths"),
        (["inbox", "--format", "pdf"], "pdf"),
        (["inbox", "--fail-on", "fake"], "fake"),
        (["inbox", "--jobs", "0"], "--jobs"),
        (["inbox", "--treshold", "1"], "--treshold"),
        (["inbox", "--prior", "half"], "--prior"),
        (["inbox", "--null"], "--from-file"),
        (["inbox", "--audio", "some"], "some"),
    ],
)
def test_wrong_usage(inbox, arguments, word):
    result = scan(*arguments)
    assert (result.exit_code, result.stdout) == (USAGE, "")
    assert word in result.stderr


# --- the report


def test_table_is_the_default(inbox, verdict):
    verdict("spoof")
    result = scan(inbox)
    assert [line.split()[0] for line in result.stdout.splitlines() if ".wav" in line] == [
        "inbox/voice0.wav",
        "inbox/voice1.wav",
    ]
    assert "2 files: 2 spoof" in result.stdout
    assert "Model tiny" in result.stdout
    assert "\x1b" not in result.stdout


def test_jsonl(inbox, verdict):
    verdict("bona fide")
    documents = [json.loads(line) for line in scan(inbox, "--format", "jsonl").stdout.splitlines()]
    assert [document["path"] for document in documents] == ["inbox/voice0.wav", "inbox/voice1.wav"]
    assert {document["verdict"] for document in documents} == {"bona fide"}
    assert documents[0]["basis"]["model"] == "tiny"


def test_second_opinions(inbox, verdict, stored_model):
    verdict("spoof")
    stored_model("other", spoof=-2e6, bonafide=-1e6, offset=1.0)
    result = scan(inbox, "--model", "other", "--format", "jsonl")
    for line in result.stdout.splitlines():
        opinions = {opinion["model"]: opinion["verdict"] for opinion in json.loads(line)["opinions"]}
        assert opinions == {"other": "bona fide", "tiny": "spoof"}
        assert json.loads(line)["verdict"] == "inconclusive"


def test_formats_of_the_command_are_those_of_the_table_of_formats():
    from deepcheck.cli.scan import Format

    assert [kind.value for kind in Format] == REPORTS.names()


def test_threshold_and_prior(inbox, verdict):
    verdict("inconclusive")
    [before, _] = [json.loads(line) for line in scan(inbox, "--format", "jsonl").stdout.splitlines()]
    result = scan(inbox / "voice0.wav", "--threshold", str(before["llr"] + 1), "--prior", "0.9", "--format", "jsonl")
    after = json.loads(result.stdout)
    assert (before["verdict"], after["verdict"]) == ("inconclusive", "spoof")
    assert after["llr"] == before["llr"]
    assert after["p_spoof"] > before["p_spoof"]
    assert after["basis"]["prior"] == 0.9
    assert after["basis"]["false_alarm"] is None


def test_negative_threshold_is_no_option(inbox, verdict):
    verdict("inconclusive")
    assert json.loads(scan(inbox / "voice0.wav", "--threshold", "-5e5", "--format", "jsonl").stdout)["verdict"] == (
        "inconclusive"
    )


def test_no_report_is_written_over_a_recording(inbox, verdict):
    verdict("spoof")
    recording = next(path for path in Path(inbox).iterdir() if path.suffix == ".wav")
    before = recording.read_bytes()
    result = scan(inbox, "--format", "csv", "--output", str(recording))
    assert result.exit_code == ERROR
    assert "named like a recording" in result.stderr
    assert recording.read_bytes() == before


def test_an_ending_that_names_no_format_is_refused(inbox, verdict):
    verdict("spoof")
    result = scan(inbox, "--output", "report.json")
    assert result.exit_code == ERROR
    assert "report.json" in result.stderr
    assert ".jsonl" in result.stderr
    assert not Path("report.json").exists()


@pytest.mark.parametrize(
    ("name", "arguments", "kind"),
    [
        ("report.csv", [], "csv"),
        ("report.CSV", [], "csv"),
        ("report.jsonl", [], "jsonl"),
        ("report.txt", [], "table"),
        ("report", [], "table"),
        ("report.csv", ["--format", "jsonl"], "jsonl"),
        ("report.txt", ["--format", "csv"], "csv"),
        ("new/folder/report.csv", [], "csv"),
    ],
)
def test_format_of_a_file_follows_its_ending(inbox, verdict, name, arguments, kind):
    verdict("spoof")
    result = scan(inbox, "--output", name, *arguments)
    assert (result.exit_code, result.stdout) == (DONE, "")
    expected = scan(inbox, "--format", kind).stdout_bytes.decode()
    assert without_time(Path(name).read_bytes().decode()) == without_time(expected)
    assert f"Written to {name}" in result.stderr
    assert "2 spoof" in result.stderr


def test_counts_are_told_where_the_report_goes_to_a_file(inbox, verdict):
    verdict("spoof")
    (inbox / "empty.wav").touch()
    result = scan(inbox, "-o", "report.csv", "--fail-on", "spoof")
    assert result.exit_code == FAIL_ON
    assert "2 spoof, 1 not scored" in result.stderr
    assert len(rows(Path("report.csv").read_text())) == 3


def test_report_replaces_an_older_one_whole(inbox, verdict):
    verdict("spoof")
    report = Path("out/report.csv")
    report.parent.mkdir()
    report.write_text("old\n" * 10_000)
    assert scan(inbox, "--output", report).exit_code == DONE
    assert len(rows(report.read_text())) == 2
    assert list(report.parent.iterdir()) == [report]  # nothing temporary stays


def test_failing_scan_leaves_an_older_report_alone(inbox, verdict):
    verdict("spoof")
    Path("report.csv").write_text("old")
    assert scan("gone", "--output", "report.csv").exit_code == ERROR
    assert scan(inbox, "--output", "report.csv", model="tinny").exit_code == ERROR
    assert Path("report.csv").read_text() == "old"


def test_folder_in_the_place_of_a_report(inbox, verdict):
    verdict("spoof")
    result = scan(inbox, "--output", "inbox")
    assert (result.exit_code, result.stdout) == (ERROR, "")
    assert "inbox is a folder; the report is one file." in result.stderr


@pytest.mark.parametrize("output", ["inbox/voice0.wav/report.csv", "/proc/deepcheck/report.csv"])
def test_report_that_has_no_place_is_refused_before_the_scan(inbox, verdict, output, monkeypatch):
    verdict("spoof")
    monkeypatch.setattr("deepcheck.scanner.run.Scan", lambda **_: pytest.fail("scanned in vain"))
    result = scan(inbox, "--output", output)
    assert (result.exit_code, result.stdout) == (ERROR, "")
    assert f"Error: The report cannot be written to {output}:" in result.stderr


def test_report_that_cannot_be_finished_leaves_an_older_one_alone(inbox, verdict, monkeypatch):
    verdict("spoof")
    Path("out").mkdir()
    Path("out/report.csv").write_text("old")

    def fail(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    result = scan(inbox, "--output", "out/report.csv")
    assert result.exit_code == ERROR
    assert Path("out/report.csv").read_text() == "old"
    assert [path.name for path in Path("out").iterdir()] == ["report.csv"]


# --- as a process: what a shell sees


def deepcheck(*arguments: str, **settings) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **settings.pop("env", {})}
    command = [sys.executable, "-m", "deepcheck", *arguments]
    return subprocess.run(command, capture_output=True, check=False, env=environment, **settings)


def test_stdout_holds_the_results_alone(inbox, verdict):
    verdict("spoof")
    hostile = ["=cmd().wav", "new\nline.wav", "\x1b[31mred.wav", "音声.wav", os.fsdecode(b"caf\xe9.wav")]
    for name in hostile:
        (inbox / name).write_bytes((inbox / "voice0.wav").read_bytes())
    (inbox / "-rf.wav").touch()
    # Neither the locale nor the encoding of the terminal decides whether a name can be reported.
    done = deepcheck(
        "scan", "inbox", "--model", "tiny", "--format", "csv", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    )
    assert done.returncode == SOME_NOT_SCORED
    assert done.stderr == b""
    found = rows(done.stdout.decode("utf-8"))
    assert [row["path"].removeprefix("inbox/") for row in found] == [
        name if name.isascii() else name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        for name in sorted(["-rf.wav", "voice0.wav", "voice1.wav", *hostile])
    ]


def test_name_that_looks_like_an_option_after_two_dashes(inbox, verdict, tmp_path):
    verdict("spoof")
    (inbox / "voice0.wav").rename("--help.wav")
    result = CliRunner().invoke(app, ["scan", "--model", "tiny", "--format", "csv", "--", "--help.wav", "inbox"])
    assert result.exit_code == DONE
    assert [row["path"] for row in rows(result.stdout)] == ["./--help.wav", "inbox/voice1.wav"]


def test_reader_that_goes_away_is_no_error(inbox, verdict):
    verdict("spoof")
    command = [sys.executable, "-m", "deepcheck", "scan", "inbox", "--model", "tiny"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        process.stdout.close()
        complaint = process.stderr.read()
    assert complaint == b""
    assert process.returncode in {DONE, -signal.SIGPIPE}
