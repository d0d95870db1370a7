"""A scan that is killed at any moment, or interrupted, and started again says what one that ran through says."""

import contextlib
import csv
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY, speechlike, write_wav

from deepcheck.card import Card
from deepcheck.checkpoint import save_checkpoint, snapshot
from deepcheck.detectors.base import build
from deepcheck.metrics.calibration import Calibration, Thresholds

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

FILES, KILLS = 300, 10
SOME_NOT_SCORED = 3

# Starts scans as processes of their own, each a copy of one that has imported everything: a start in milliseconds.
SERVER = """
import json, os, signal, sys
from deepcheck.cli import scan_outputs, scan_watch
from deepcheck.cli.app import app
from deepcheck.scanner import run, watch

signal.signal(signal.SIGINT, signal.default_int_handler)
for line in sys.stdin:
    home, arguments, stdout, stderr = json.loads(line)
    child = os.fork()
    if not child:
        os.environ["DEEPCHECK_HOME"] = home
        for number, name in ((1, stdout), (2, stderr)):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        app(arguments)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Started:
    """A scan under way."""

    def __init__(self, server, home, arguments, out):
        self.server, self.home, self.out, self.err = server, home, out, out.with_suffix(".err")
        for path in (self.out, self.err):
            path.unlink(missing_ok=True)
        command = [str(home), ["scan", *map(str, arguments)], str(self.out), str(self.err)]
        server.stdin.write(json.dumps(command) + "\n")
        server.stdin.flush()
        self.pid = int(server.stdout.readline())

    def done(self):
        """How many files are in the journal, earlier runs included."""
        return sum(path.read_bytes().count(b"\n") for path in self.home.glob("journals/*/*.jsonl"))

    def stop(self, number, after, pause_s=0.0):
        """Send a signal when so many files are done, and a moment later."""
        until = time.monotonic() + 60
        while self.done() < after and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(pause_s)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def end(self):
        """The exit code, negative for a signal, and what went to stderr."""
        code = int(self.server.stdout.readline())
        return code, self.err.read_text()


@pytest.fixture(scope="module")
def server():
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield process
        process.stdin.close()


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """300 voices of a second, a few of them damaged."""
    folder = tmp_path_factory.mktemp("night") / "in"
    voices = [speechlike(1.0, seed=seed) for seed in range(10)]
    for i in range(FILES):
        path = write_wav(folder / f"{i:03d}.wav", np.roll(voices[i % 10], 37 * i) * (0.5 + i / 600))
        if i % 50 == 7:
            path.write_bytes(path.read_bytes()[:9_000])
        if i % 50 == 9:
            path.write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    detector = build(TINY)
    card = Card("tiny", TINY, calibration=Calibration(1.0, 0.0), thresholds=Thresholds(-0.2, 0.2))
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_checkpoint(snapshot(detector, card), path)
    return path


@pytest.fixture(scope="module")
def whole(server, recordings, model, tmp_path_factory) -> tuple[str, str]:
    """The report of a scan that ran through, with a journal of its own."""
    place = tmp_path_factory.mktemp("whole")
    assert start_scan(server, recordings, model, place, place).end()[0] == SOME_NOT_SCORED
    return read(place)


@pytest.fixture
def start(server, recordings, model, home, tmp_path):
    return lambda: start_scan(server, recordings, model, home, tmp_path)


def start_scan(server, recordings, model, home, place):
    outputs = ["-o", place / "report.csv", "-o", place / "report.jsonl"]
    return Started(server, home, [recordings, "--model", model, *outputs], place / "out")


def read(folder: Path) -> tuple[str, str]:
    """The CSV and the JSON lines, as they are but for the time of the scan."""
    created = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
    texts = [(folder / f"report{ending}").read_bytes().decode() for ending in (".csv", ".jsonl")]
    return created.sub("TIME", texts[0]), created.sub("TIME", texts[1])


def test_killed_ten_times_at_random_moments(start, whole, tmp_path):
    chance = random.Random(5)
    for _ in range(KILLS):
        running = start()
        running.stop(signal.SIGKILL, running.done() + chance.randrange(27), chance.uniform(0, 0.02))
        assert running.end()[0] == -signal.SIGKILL
        assert not (tmp_path / "report.csv").exists()
    done = running.done()
    code, said = start().end()
    assert code == SOME_NOT_SCORED
    assert read(tmp_path) == whole
    [known] = re.findall(r"^(\d+) of 300 files were scored by an earlier run", said, re.MULTILINE)
    assert 0 < int(known) <= done  # no file twice, and at most the line that was being written each time is lost
    assert int(known) >= done - KILLS


def test_stopped_it_reports_what_is_finished_and_goes_on_later(start, whole, tmp_path):
    before = 0
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        running = start()
        running.stop(number, before + 40)
        assert running.end()[0] == code
        said = running.err.read_text()
        rows = list(csv.DictReader(io.StringIO((tmp_path / "report.csv").read_text(), newline="")))
        assert before + 40 <= len(rows) < FILES
        assert {row["complete"] for row in rows} == {"false"}
        assert f"Interrupted: {len(rows)} of 300 files are in the report." in said
        assert before == 0 or f"{before} of 300 files were scored by an earlier run" in said
        documents = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
        assert [document["path"] for document in documents] == [row["path"] for row in rows]
        assert not any(document["complete"] for document in documents)
        before = len(rows)
    code, said = start().end()
    assert code == SOME_NOT_SCORED
    assert f"{before} of 300 files were scored by an earlier run" in said
    assert read(tmp_path) == whole
