import io
import logging
from pathlib import Path

import pytest
from rich.console import Console

from deepcheck.cli import progress
from deepcheck.scanner.result import FileResult
from deepcheck.scanner.tally import Tally


@pytest.fixture
def stderr(monkeypatch):
    """What goes to stderr, as a terminal of so many columns or as a file."""

    def take(columns: int | None) -> io.StringIO:
        text = io.StringIO()
        console = Console(
            file=text, force_terminal=columns is not None, width=columns or 80, highlight=False, soft_wrap=True
        )
        monkeypatch.setattr(progress, "err", lambda: console)
        monkeypatch.setattr("deepcheck.cli.console.err", lambda: console)
        return text

    return take


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

    monkeypatch.setattr("deepcheck.scanner.tally.time.monotonic", lambda: Clock.now)
    return Clock


def result(verdict: str | None) -> FileResult:
    return FileResult(Path("x.wav"), verdict=verdict, duration_s=720.0)


def half_done(clock) -> Tally:
    tally = Tally(10, size=1000)
    clock.now += 100
    for verdict in ("spoof", "spoof", None, "bona fide", "inconclusive"):
        tally.add(result(verdict), 100)
    return tally


def test_what_is_told(clock):
    assert progress.describe(half_done(clock)) == "2 flagged, 1 not scored, 0:01:40 left, 1.0 h of audio at 36x"
    tally = Tally(3)
    assert progress.describe(tally) == "0 flagged, 0 not scored, 0 min of audio at 0x"
    tally.add(result("spoof"), None)
    assert progress.describe(tally) == "1 flagged, 0 not scored, 0 min of audio at 0x, 1 known from before"


def test_on_a_terminal(stderr, clock):
    text = stderr(120)
    with progress.scanning() as show:
        show(half_done(clock))
    shown = text.getvalue()
    for words in ("Scanning", "5/10", "2 flagged", "1 not scored", "0:01:40 left", "1.0 h of audio at 36x"):
        assert words in shown
    assert shown.endswith("\x1b[2K")  # nothing of it stays


def test_on_a_narrow_terminal_it_stays_one_line(stderr, clock):
    text = stderr(60)
    with progress.scanning() as show:
        show(half_done(clock))
    assert "5/10" in text.getvalue()
    assert "2 flagged" in text.getvalue()
    assert text.getvalue().count("\n") <= 1


def test_in_a_log_a_line_now_and_then(stderr, clock):
    text = stderr(None)
    with progress.scanning() as show:
        tally = half_done(clock)
        show(tally)
        assert text.getvalue() == "5 of 10 files: 2 flagged, 1 not scored, 0:01:40 left, 1.0 h of audio at 36x\n"
        for _ in range(5):
            clock.now += 11
            show(tally)
        assert text.getvalue().count("\n") == 1
        clock.now += 11
        show(tally)
        assert text.getvalue().count("\n") == 2


def test_counting_in_a_log(stderr, clock):
    text = stderr(None)
    with progress.counting("Reading") as count:
        for done in range(1, 201):
            clock.now += 1
            count(done, 2000)
    lines = text.getvalue().splitlines()
    assert lines[0] == "Reading: 5 of 2,000, 0:33:15 left"
    assert [int(line.split()[1]) for line in lines] == [5, 15, 35, 75, 135, 195]


def test_counting_says_nothing_where_it_is_hidden(stderr, clock):
    text = stderr(None)
    with progress.counting("Reading", hidden=True) as count:
        clock.now += 1000
        count(1, 2)
    assert text.getvalue() == ""


def test_a_short_scan_leaves_no_line_in_a_log(stderr, clock):
    text = stderr(None)
    with progress.scanning() as show:
        show(Tally(10))
        clock.now += 30
        show(Tally(10))
    assert text.getvalue() == ""


@pytest.mark.parametrize("columns", [None, 120])
def test_quiet(stderr, clock, columns):
    text = stderr(columns)
    with progress.scanning(quiet=True) as show:
        clock.now += 1000
        show(half_done(clock))
        logging.getLogger("deepcheck.scanner").warning("a warning")
    assert text.getvalue().replace("\x1b[?25l", "").replace("\x1b[?25h", "") == ""


def test_warnings_are_sentences(stderr):
    text = stderr(None)
    with progress.scanning():
        logging.getLogger("deepcheck.scanner").warning("The journal %s is [red] gone.", "a\x1b[31mb")
    assert text.getvalue() == "Warning: The journal a\\x1b[31mb is [red] gone.\n"
    logging.getLogger("deepcheck").handlers.clear()
    assert logging.getLogger("deepcheck").handlers == []
