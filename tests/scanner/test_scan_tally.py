from pathlib import Path

import pytest

from deepcheck.scanner import tally as module
from deepcheck.scanner.result import FileResult
from deepcheck.scanner.tally import Tally


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr(module.time, "monotonic", lambda: Clock.now)
    return Clock


def result(verdict: str | None = "bona fide", duration_s: float | None = 60.0) -> FileResult:
    return FileResult(Path("x.wav"), verdict=verdict, duration_s=duration_s)


def test_counts(clock):
    tally = Tally(5)
    for verdict in ("spoof", "bona fide", None, "spoof"):
        tally.add(result(verdict), 10)
    assert (tally.done, tally.flagged, tally.not_scored, tally.known) == (4, 2, 1, 0)


def test_speed_and_time_left_are_those_of_the_files_that_are_scored_now(clock):
    tally = Tally(4, size=4_000)
    assert tally.left_s is None
    tally.add(result("spoof", 3600.0), None)  # an earlier scan's
    assert (tally.known, tally.flagged, tally.speed, tally.left_s) == (1, 1, 0.0, None)
    clock.now += 10
    tally.add(result(duration_s=200.0), 1_000)
    assert tally.speed == pytest.approx(20.0)
    assert tally.left_s == pytest.approx(30.0)
    tally.add(result(None, None), 3_000)
    assert tally.left_s == 0.0


def test_a_file_that_is_not_there_has_no_size(clock):
    tally = Tally(1)
    tally.add(result(None, None), 0)
    assert (tally.done, tally.left_s) == (1, None)
