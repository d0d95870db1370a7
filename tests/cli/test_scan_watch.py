import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import speechlike, write_wav
from typer.testing import CliRunner

from deepcheck.cli.app import app
from deepcheck.scanner import watch as watching

INTERRUPTED, ERROR = 130, 1


@pytest.fixture
def inbox(tmp_path, monkeypatch, stored_model) -> Path:
    monkeypatch.chdir(tmp_path)
    stored_model(spoof=-1e6, bonafide=-1e5)
    (tmp_path / "inbox").mkdir()
    return Path("inbox")


@pytest.fixture
def watch(monkeypatch, inbox):
    """`deepcheck scan inbox --watch`, where each of `steps` is done between two looks, and then Ctrl-C."""

    def watch_it(*arguments, steps=()):
        coming = iter(steps)

        def sleep(interval_s):
            step = next(coming, None)
            if step is None:
                raise KeyboardInterrupt
            step()

        real = watching.arrivals
        monkeypatch.setattr(watching, "arrivals", lambda paths, interval_s: real(paths, interval_s, sleep))
        result = CliRunner().invoke(app, ["scan", "inbox", "--watch", "--model", "tiny", *map(str, arguments)])
        monkeypatch.setattr(watching, "arrivals", real)
        return result

    return watch_it


def nothing():
    pass


def drop(name: str, seed: int = 0):
    return lambda: write_wav(Path("inbox") / name, speechlike(1.5, seed=seed))


def paths(report: str) -> list[str]:
    with Path(report).open(newline="") as file:
        return [row["path"] for row in csv.DictReader(file)]


def test_each_file_is_told_as_it_comes_and_reported_at_the_end(watch):
    result = watch(steps=[drop("a.wav"), nothing, drop("b.wav", 1), (Path("inbox") / "c.wav").touch, nothing])
    assert result.exit_code == INTERRUPTED
    assert [line.split()[-1] for line in result.stderr.splitlines() if line.startswith("bona fide")] == [
        "inbox/a.wav",
        "inbox/b.wav",
    ]
    assert "not scored           inbox/c.wav: the file is empty" in result.stderr
    assert "3 files: 2 bona fide, 1 not scored" in result.stdout
    assert "Interrupted: 3 files are in the report." in result.stderr


def test_reports_are_up_to_date_after_each_file(watch):
    seen = []

    def look():
        seen.append(paths("report.csv") if Path("report.csv").exists() else None)

    steps = [drop("a.wav"), look, look, drop("b.wav", 1), look, look]
    result = watch("-o", "report.csv", "-o", "report.jsonl", steps=steps)
    assert result.exit_code == INTERRUPTED
    assert seen == [None, ["inbox/a.wav"], ["inbox/a.wav"], ["inbox/a.wav", "inbox/b.wav"]]
    assert paths("report.csv") == ["inbox/a.wav", "inbox/b.wav"]
    assert len(Path("report.jsonl").read_text().splitlines()) == 2
    assert {path.name for path in Path().iterdir()} == {"inbox", "report.csv", "report.jsonl"}


def test_a_file_that_changed_takes_the_place_of_its_older_result(watch):
    steps = [drop("a.wav"), nothing, drop("b.wav", 1), nothing, (Path("inbox") / "a.wav").unlink, drop("a.wav", 7)]
    result = watch("-o", "report.jsonl", steps=[*steps, nothing])
    documents = [json.loads(line) for line in Path("report.jsonl").read_text().splitlines()]
    assert [document["path"] for document in documents] == ["inbox/a.wav", "inbox/b.wav"]
    assert result.stderr.count("inbox/a.wav") == 2
    from deepcheck.files import sha256

    assert documents[0]["sha256"] == sha256(Path("inbox/a.wav"))


@pytest.mark.parametrize("format_", ["jsonl", "csv"])
def test_rows_on_stdout_come_one_by_one(watch, format_):
    result = watch("--format", format_, steps=[drop("a.wav"), nothing, drop("b.wav", 1), nothing])
    whole = CliRunner().invoke(app, ["scan", "inbox", "--model", "tiny", "--format", format_])
    time = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
    assert time.sub("TIME", result.stdout) == time.sub("TIME", whole.stdout)
    assert "bona fide" not in result.stderr  # not twice


def test_a_second_watch_does_not_repeat_itself(watch):
    assert len(watch("--format", "jsonl", steps=[drop("a.wav"), nothing]).stdout.splitlines()) == 1
    again = watch("--format", "jsonl", "-o", "report.csv", "-o", "-", steps=[nothing, drop("b.wav", 1), nothing])
    assert [json.loads(line)["path"] for line in again.stdout.splitlines()] == ["inbox/b.wav"]
    assert paths("report.csv") == ["inbox/a.wav", "inbox/b.wav"]


def test_nothing_came(watch):
    Path("report.csv").write_text("old")
    result = watch("-o", "report.csv", steps=[nothing, nothing])
    assert (result.exit_code, result.stdout) == (INTERRUPTED, "")
    assert Path("report.csv").read_text() == "old"


def test_quiet(watch):
    result = watch("--quiet", "-o", "report.csv", steps=[drop("a.wav"), nothing])
    assert (result.stdout, result.stderr) == ("", "")
    assert paths("report.csv") == ["inbox/a.wav"]


def test_a_place_that_is_gone_for_a_while_ends_no_watch(watch):
    def in_the_way():
        Path("out/report.csv").unlink(missing_ok=True)
        shutil.rmtree("out")
        Path("out").write_text("in the way")
        drop("a.wav")()

    def back():
        Path("out").unlink()
        Path("out").mkdir()

    result = watch("-o", "out/report.csv", steps=[in_the_way, nothing, back, nothing])
    assert result.exit_code == INTERRUPTED
    assert "It will be tried again." in result.stderr
    assert paths("out/report.csv") == ["inbox/a.wav"]


def test_a_slow_report_is_not_written_for_every_file(watch, monkeypatch):
    from deepcheck.cli import scan_delivery, scan_watch

    class Clock:
        now = 0.0

    written = []
    monkeypatch.setattr(scan_watch.time, "monotonic", lambda: Clock.now)

    def slow(self, report, wanted):
        written.append(len(report))
        Clock.now += 10.0

    monkeypatch.setattr(scan_delivery.Delivery, "__call__", slow)

    def later(name, seconds):
        def step():
            drop(name)()
            Clock.now += seconds

        return step

    steps = [later("a.wav", 1), nothing, later("b.wav", 1), nothing, later("c.wav", 1), nothing, later("d.txt", 40)]
    watch("-o", "report.csv", steps=steps)
    assert written == [1, 3, 3]  # after the first, when four times as long had passed, and at the end


def test_only_a_part(watch):
    steps = [lambda: [drop(f"{i}.wav", i)() for i in range(6)], nothing]
    reports = []
    for part in ("1/2", "2/2"):
        watch("--shard", part, "-o", "report.csv", steps=steps)
        reports.append(paths("report.csv"))
        Path("report.csv").unlink()
    assert sorted(reports[0] + reports[1]) == [f"inbox/{i}.wav" for i in range(6)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone", "--watch"], "There is no folder to watch at gone."),
        (["inbox", "--watch", "--interval", "0"], "The interval of looking is 0 s."),
        (["inbox", "--watch", "--format", "audacity"], "Name a folder with --output"),
    ],
)
def test_what_cannot_be_watched(inbox, arguments, message):
    result = CliRunner().invoke(app, ["scan", *arguments, "--model", "tiny"])
    assert (result.exit_code, result.stdout) == (ERROR, "")
    assert message in result.stderr


def test_as_a_process(inbox):
    command = [sys.executable, "-m", "deepcheck", "scan", "inbox", "--watch", "--model", "tiny"]
    command += ["--interval", "0.05", "--format", "jsonl"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        for i in range(2):
            drop(f"{i}.wav", i)()
            assert json.loads(process.stdout.readline())["path"] == f"inbox/{i}.wav"
        process.send_signal(signal.SIGTERM)
        rest, said = process.communicate(timeout=60)
    assert rest == ""
    assert process.returncode == 143
    assert said == "Interrupted: 2 files are in the report. The same command goes on from there.\n"
