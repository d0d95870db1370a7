"""Progress bars on stderr; nothing is drawn where stderr is no terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from deepcheck.cli.console import err
from deepcheck.scanner.result import SPOOF, FileResult


def _bar(*columns: str) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *(TextColumn(column) for column in columns),
        TimeRemainingColumn(),
        console=err(),
        transient=True,
        disable=not err().is_terminal,
    )


@contextmanager
def scanning() -> Iterator[Callable[[FileResult | None, int], None]]:
    """A callback for `scan`: files, how much sound per second, how many flagged so far, time left."""
    began, heard_s, flagged = time.monotonic(), 0.0, 0
    with _bar("{task.fields[speed]}", "{task.fields[flagged]} flagged") as bar:
        task = bar.add_task("Loading the model", total=None, speed="", flagged=0)

        def update(result: FileResult | None, total: int) -> None:
            nonlocal heard_s, flagged
            if result is None:
                bar.update(task, description="Scanning", total=total)
                return
            heard_s += result.duration_s or 0.0
            flagged += result.verdict == SPOOF
            speed = heard_s / max(time.monotonic() - began, 1e-3)
            bar.update(task, advance=1, speed=f"{speed:.0f}x real time", flagged=flagged)

        yield update


@contextmanager
def counting(description: str) -> Iterator[Callable[[int, int], None]]:
    """A callback `(done, total)` that draws a plain bar."""
    with _bar() as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
