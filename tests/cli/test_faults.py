"""What goes wrong around a scan or a training costs nothing that was finished, and leaves nothing half written.

The end by `kill -9` and disks that fill up have tests of their own, `test_scan_killed.py` and `test_full_disk.py`.
"""

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from conftest import speechlike, write_wav
from odd_decoder import ODD
from scanned import DONE, ERROR, FAIL_ON, SOME_NOT_SCORED, journal, rows, scan, scores, whole_lines
from test_train_command import SETTINGS
from typer.testing import CliRunner

from deepcheck.audio import isolated
from deepcheck.cli.app import app
from deepcheck.engine import score
from deepcheck.engine.score import Scorer
from deepcheck.runtime import device_errors
from deepcheck.scanner import run as scanning

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

# Runs commands as processes of their own, several at once, without importing everything for each.
SERVER = """
import json, os, sys
from deepcheck.cli import scan_outputs, scan_watch
from deepcheck.cli.app import app
from deepcheck.engine import folds, train
from deepcheck.scanner import run, watch
import torch

for line in sys.stdin:
    home, arguments, stdout, stderr = json.loads(line)
    if arguments is None:
        print(os.waitstatus_to_exitcode(os.waitpid(home, 0)[1]), flush=True)
        continue
    child = os.fork()
    if not child:
        torch.set_num_threads(1)
        os.environ["DEEPCHECK_HOME"] = home
        for number, name in ((1, stdout), (2, stderr)):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        app(arguments)
    print(child, flush=True)
"""


class Server:
    def __init__(self, process):
        self.process = process

    def _said(self, *what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(self, home, arguments, out):
        """The id of a process that carries out this command."""
        return self._said(str(home), [str(argument) for argument in arguments], str(out), f"{out}.err")

    def end(self, pid):
        """Its exit code."""
        return self._said(pid, None, None, None)


@pytest.fixture(scope="module")
def server():
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Server(process)
        process.stdin.close()


@pytest.fixture
def closed(tmp_path) -> Path:
    """A place where no file can be made, not even by root."""
    folder = tmp_path / "closed"
    if os.geteuid():
        folder.mkdir(mode=0o500)
        return folder
    folder.touch()
    return folder / "in"


def test_no_place_for_reports_and_journal(inbox, tmp_path, home, closed, monkeypatch, caplog):
    told = scan(inbox, "-o", closed / "report.csv", code=ERROR)
    assert "The report cannot be written to" in told.stderr
    assert not list(home.glob("journals/*/*.jsonl")), "it was found out after the work instead of before"
    (tmp_path / "mine").mkdir()
    shutil.copy(home / "models" / "tiny.safetensors", tmp_path / "mine")
    monkeypatch.setenv("DEEPCHECK_HOME", str(closed))
    model = ["--model", str(tmp_path / "mine" / "tiny.safetensors")]
    with caplog.at_level(logging.WARNING):
        result = CliRunner().invoke(app, ["scan", str(inbox), *model, "--format", "csv", "--quiet"])
    assert result.exit_code == DONE, (result.output, result.exception)
    assert len(rows(result.stdout)) == 6
    assert re.search(r"The journal .* cannot be written", caplog.text)


@pytest.mark.parametrize("fault", ["vanishes", "grows"])
def test_a_file_that_vanishes_or_grows_while_it_is_read(inbox, home, monkeypatch, fault):
    real = isolated.decode

    def meanwhile(path, **how):
        yield from real(path, **how)
        if path.name == "3.wav":
            path.unlink() if fault == "vanishes" else path.write_bytes(path.read_bytes() + bytes(32_000))

    monkeypatch.setattr(isolated, "decode", meanwhile)
    found = rows(scan(inbox, "--format", "csv", "--quiet", code=SOME_NOT_SCORED).stdout)
    assert [name for name, row in found.items() if row["status"] != "scored"] == ["3.wav"]
    assert found["3.wav"]["reason"] == "the file changed while it was read"
    assert {Path(line["file"][0]).name for line in whole_lines(journal(home))} == {f"{i}.wav" for i in (0, 1, 2, 4, 5)}


def test_links_that_run_in_circles(inbox):
    (inbox / "deeper").mkdir()
    (inbox / "deeper" / "up").symlink_to(inbox, target_is_directory=True)
    (inbox / "deeper" / "self.wav").symlink_to("self.wav")
    (inbox / "deeper" / "there.wav").symlink_to("back.wav")
    (inbox / "deeper" / "back.wav").symlink_to("there.wav")
    found = rows(scan(inbox, inbox / "deeper" / "up", "--format", "csv", "--quiet", code=SOME_NOT_SCORED).stdout)
    assert sum(row["status"] == "scored" for row in found.values()) == 6
    circles = {name: row for name, row in found.items() if row["status"] != "scored"}
    assert set(circles) == {"self.wav", "there.wav", "back.wav"}
    assert all("symbolic links" in row["reason"] for row in circles.values())


def test_nobody_reads_the_results_to_the_end(inbox, tmp_path, home, server):
    """`deepcheck scan ... | head -1`, where head is gone before anything comes."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    arguments = ["scan", inbox, "--model", "tiny", "--format", "jsonl", "-o", tmp_path / "report.jsonl"]
    arguments += ["--format", "csv", "-o", "-", "--threshold", "99", "--fail-on", "spoof"]
    pid = server.start(home, arguments, pipe)
    until = time.monotonic() + 60
    while not list(home.glob("journals/*/*.jsonl")) and time.monotonic() < until:
        time.sleep(0.01)
    os.close(reader)
    assert server.end(pid) == FAIL_ON
    said = Path(f"{pipe}.err").read_text()
    assert "Traceback" not in said
    assert "Broken pipe" not in said
    assert len((tmp_path / "report.jsonl").read_text().splitlines()) == 6
    assert len(whole_lines(journal(home))) == 6


def test_out_of_memory_and_crash_in_a_worker(inbox, monkeypatch):
    isolated.close()
    shutil.copy(inbox / "0.wav", inbox / "crash.wav")
    shutil.copy(inbox / "0.wav", inbox / "hang.wav")
    if sys.platform.startswith("linux"):
        shutil.copy(inbox / "0.wav", inbox / "greedy.wav")
    with monkeypatch.context() as patched:
        patched.setattr(isolated, "_START", ODD)
        told = scan(inbox, "--format", "csv", "--quiet", "--timeout", "5", code=SOME_NOT_SCORED)
        isolated.close()
    found = rows(told.stdout)
    assert sum(row["status"] == "scored" for row in found.values()) == 6
    assert found["crash.wav"]["reason"] == "decoding was given up: the decoder crashed (SIGSEGV)"
    assert found["hang.wav"]["reason"] == "decoding was given up: it took longer than 5 s (--timeout)"
    if "greedy.wav" in found:
        assert "MemoryError" in found["greedy.wav"]["reason"]
    again = scan(inbox, "-o", inbox.parent / "again.csv", code=DONE if "greedy.wav" not in found else SOME_NOT_SCORED)
    given_up = 2  # which says nothing of the content: they are tried again
    assert f"{len(found) - given_up} of {len(found)} files were scored by an earlier run" in again.stderr
    assert len(scores(inbox.parent / "again.csv")) == len(found)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "The memory of cuda:0 does not suffice"),
        (RuntimeError("CUDA error: an illegal memory access was encountered\nmore"), "cuda:0 failed (CUDA error"),
    ],
)
def test_the_gpu_fails_in_the_middle(inbox, tmp_path, home, monkeypatch, error, said):
    """Simulated: what the driver would raise at the third batch."""
    real, calls = Scorer._whole, []

    def failing(self, windows):
        calls.append(1)
        if len(calls) > 2:
            raise error
        return real(self, windows)

    with monkeypatch.context() as patched:
        patched.setattr(Scorer, "_whole", failing)
        patched.setattr(score, "device_errors", lambda _: device_errors(torch.device("cuda:0")))
        patched.setattr(Scorer, "batch_size", property(lambda self: 1, lambda self, value: None), raising=False)
        told = scan(inbox, "-o", tmp_path / "report.csv", code=ERROR)
    assert said in told.stderr
    assert "--device cpu" in told.stderr
    assert not (tmp_path / "report.csv").exists()
    kept = len(whole_lines(journal(home)))
    assert kept >= 1
    assert f"{kept} of 6 files were scored" in scan(inbox, "-o", tmp_path / "report.csv").stderr
    assert len(scores(tmp_path / "report.csv")) == 6


def test_clocks_that_were_wrong(inbox, tmp_path, home, monkeypatch):
    for name, year in (("0.wav", 1970), ("1.wav", 2100), ("2.wav", 1960)):
        seconds = (year - 1970) * 365.25 * 86_400
        os.utime(inbox / name, (seconds, seconds))
    scan(inbox, "-o", tmp_path / "first.csv")
    monkeypatch.setattr(time, "time", lambda: 0.0)  # the clock jumps back by decades, also that which does not count
    assert "6 of 6 files were scored by an earlier run" in scan(inbox, "-o", tmp_path / "second.csv").stderr
    assert scores(tmp_path / "second.csv") == scores(tmp_path / "first.csv")
    before = os.stat(inbox / "1.wav")  # noqa: PTH116
    write_wav(inbox / "1.wav", speechlike(1.2, seed=99))
    os.utime(inbox / "1.wav", ns=(before.st_atime_ns, before.st_mtime_ns))  # another content, the same future
    assert "5 of 6 files were scored by an earlier run" in scan(inbox, "-o", tmp_path / "third.csv").stderr
    first, third = scores(tmp_path / "first.csv"), scores(tmp_path / "third.csv")
    assert {name for name in third if third[name] != first[name]} == {"1.wav"}


def test_two_scans_write_one_journal(inbox, tmp_path, home, server):
    for i in range(6, 24):
        write_wav(inbox / f"{i}.wav", speechlike(1.2, seed=i % 7) * (0.5 + i / 100))
    outs = [tmp_path / "one.csv", tmp_path / "two.csv"]
    started = [
        server.start(home, ["scan", inbox, "--model", "tiny", "-o", out, "--jobs", "1"], out.with_suffix(".out"))
        for out in outs
    ]
    assert [server.end(pid) for pid in started] == [DONE, DONE]
    assert len(scores(outs[0])) == 24
    assert scores(outs[0]) == scores(outs[1])
    assert {Path(line["file"][0]).name for line in whole_lines(journal(home))} == set(scores(outs[0]))
    assert "24 of 24 files were scored by an earlier run" in scan(inbox, "-o", tmp_path / "three.csv").stderr
    assert scores(tmp_path / "three.csv") == scores(outs[0])


def test_two_trainings_of_one_name(corpus, tmp_path, home, server):
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(SETTINGS | {"epochs": 1}))
    arguments = ["train", "--config", tmp_path / "recipe.yaml", "--data", corpus, "--name", "mine"]
    first = server.start(home, arguments, tmp_path / "first")
    until = time.monotonic() + 60
    while not (home / "runs" / ".mine.lock").exists() and time.monotonic() < until:
        time.sleep(0.005)
    os.kill(first, signal.SIGSTOP)  # it stays in the middle
    second = CliRunner().invoke(app, [str(argument) for argument in [*arguments, "--fresh"]])
    os.kill(first, signal.SIGCONT)
    assert second.exit_code == ERROR
    assert 'Another training of "mine" is under way.' in second.stderr
    assert server.end(first) == DONE, Path(f"{tmp_path / 'first'}.err").read_text()
    assert [path.name for path in (home / "models").iterdir()] == ["mine.safetensors"]
    # The lock goes with its holder, and does not outlive it as a file would.
    again = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert 'There is a model "mine" already.' in again.stderr
    assert scanning.load("mine").card.name == "mine"
