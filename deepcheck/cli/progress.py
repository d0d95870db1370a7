"""Progress on stderr: a bar on a terminal, in a log a line now and then."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from deepcheck.cli.console import err, say
from deepcheck.scanner.tally import Tally

LOG_INTERVAL_S = 60.0
FIRST_LINE_S = 5.0


def _bar(*columns: str, hidden: bool = False, remaining: bool = True) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=12 if columns else 40),
        MofNCompleteColumn(),
        # Where the terminal is narrow, their ends are cut off, not the numbers of files.
        *(TextColumn(column, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")) for column in columns),
        *([TimeRemainingColumn()] if remaining else []),
        console=err(),
        expand=bool(columns),
        transient=True,
        disable=hidden or not err().is_terminal,
    )


@contextmanager
def scanning(quiet: bool = False, bar: bool = True) -> Iterator[Callable[[Tally], None]]:
    """A callback for a scan: files, hours of sound, speed, time left, what was flagged and what not scored so far.

    Where stderr is no terminal, or without `bar`, it is a line, every minute at most. Warnings of the library are
    told meanwhile. `quiet` leaves all of that out.
    """
    told = time.monotonic()
    shown = _bar("{task.fields[detail]}", hidden=quiet or not bar, remaining=False)
    with shown, _warnings_told(quiet):
        task = shown.add_task("Loading the model", total=None, detail="")

        def update(tally: Tally) -> None:
            nonlocal told
            shown.update(task, description="Scanning", completed=tally.done, total=tally.files, detail=describe(tally))
            if shown.disable and not quiet and time.monotonic() - told >= LOG_INTERVAL_S:
                told = time.monotonic()
                say(f"{tally.done} of {tally.files} files: {describe(tally)}")

        yield update


def describe(tally: Tally) -> str:
    """`3 flagged, 1 not scored, 0:12:40 left, 1.2 h of audio at 35x`: a narrow terminal cuts off what matters least."""
    parts = [f"{tally.flagged} flagged", f"{tally.not_scored} not scored"]
    if tally.left_s is not None:
        parts.append(f"{_clock(tally.left_s)} left")
    heard = f"{tally.heard_s / 3600:.1f} h" if tally.heard_s >= 3600 else f"{tally.heard_s / 60:.0f} min"
    parts.append(f"{heard} of audio at {tally.speed:.0f}x")
    if tally.known:
        parts.append(f"{tally.known} known from before")
    return ", ".join(parts)


@contextmanager
def _warnings_told(quiet: bool) -> Iterator[None]:
    """Warnings of the library on stderr: above the bar, not through it."""

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not quiet:
                say(f"Warning: {record.getMessage()}", style="yellow")

    log, handler = logging.getLogger("deepcheck"), Told(logging.WARNING)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


@contextmanager
def counting(description: str, hidden: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A callback `(done, total)` that draws a plain bar.

    Where stderr is no terminal it is a line: the first after 5 s, then ever less often, until it is every minute.
    """
    began = told = time.monotonic()
    wait_s = FIRST_LINE_S
    with _bar(hidden=hidden) as bar:
        task = bar.add_task(description, total=None)

        def update(done: int, total: int) -> None:
            nonlocal told, wait_s
            bar.update(task, completed=done, total=total)
            now = time.monotonic()
            if bar.disable and not hidden and now - told >= wait_s:
                told, wait_s = now, min(2 * wait_s, LOG_INTERVAL_S)
                left = f", {_clock((now - began) * (total - done) / done)} left" if 0 < done < total else ""
                say(f"{description}: {done:,} of {total:,}{left}")

        yield update


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
