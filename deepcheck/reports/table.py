"""The report as a table for people, with what its verdicts mean below it."""

import io

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from deepcheck.reports import Style
from deepcheck.reports.text import plain, seconds, visible
from deepcheck.reports.words import (
    NOT_COMPLETE,
    VERDICTS,
    agreement,
    count,
    disputed,
    explain,
    legend,
    percent,
    span,
    widened,
)
from deepcheck.scanner.result import BONAFIDE, INCONCLUSIVE, NOT_SCORED, SPOOF, FileResult, Report

_COLOURS = {SPOOF: "bold red", INCONCLUSIVE: "yellow", BONAFIDE: "green", NOT_SCORED: "dim"}
_MOST_STRETCHES = 3  # of a file that are shown


def render(report: Report, style: Style | None = None) -> str:
    """The table, a line of counts, what the notes say, and the basis of the verdicts in words."""
    style = style or Style()
    console = Console(
        file=io.StringIO(), width=style.width, force_terminal=style.color, no_color=not style.color, highlight=False
    )
    notes = legend(report)
    words = ["", *notes, *([""] if notes else []), explain(report.basis), widened(report)]
    below = Text("\n".join(words).rstrip(), style="dim")
    incomplete = [] if report.complete else [Text(NOT_COMPLETE, style="bold yellow")]
    console.print(Group(_table(report), *incomplete, _counts(report), below))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _table(report: Report) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("file", overflow="fold", ratio=1)
    table.add_column("length", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("P(spoof)", justify="right", no_wrap=True)
    table.add_column("most suspicious", overflow="fold", max_width=34)
    for result in report:
        table.add_row(Text(visible(result.path)), *_cells(result))
    return table


def _cells(result: FileResult) -> list[Text]:
    verdict = result.verdict or NOT_SCORED
    cells = [Text(seconds(result.duration_s)), Text(verdict, style=_COLOURS[verdict])]
    if result.llr is None or result.suspicious is None:
        return [*cells, Text(""), Text(""), Text("\n".join([plain(result.reason or ""), *_notes(result)]), style="dim")]
    return [
        *cells,
        Text(f"{result.llr:+.2f}"),
        Text("" if result.p_spoof is None else percent(result.p_spoof)),
        _evidence(result),
    ]


def _evidence(result: FileResult) -> Text:
    """The suspicious stretches, or where there are none the lowest window; below, whether models agree, and notes."""
    assert result.suspicious is not None
    text = Text()
    if len(result.windows) == 1:
        text.append("(one window)", style="dim")
    elif not result.stretches:
        text.append(span(result.suspicious))
    else:
        text.append("\n".join(map(span, result.stretches[:_MOST_STRETCHES])))
        if len(result.stretches) > _MOST_STRETCHES:
            text.append(f"\nand {len(result.stretches) - _MOST_STRETCHES} more", style="dim")
    if agreement(result):
        text.append(f"\n{agreement(result)} agree", style="yellow" if disputed(result) else "dim")
    for note in _notes(result):
        text.append(f"\n{note}", style="dim")
    return text


def _notes(result: FileResult) -> list[str]:
    return [plain(", ".join(note.name for note in result.notes))] if result.notes else []


def _counts(report: Report) -> Text:
    counts = report.counts()
    parts = [(verdict, counts[verdict]) for verdict in VERDICTS if counts[verdict]]
    line = Text(f"{count(len(report), 'file')}{': ' if parts else ''}")
    for i, (verdict, number) in enumerate(parts):
        line.append(", " if i else "")
        line.append(f"{number} {verdict}", style=_COLOURS[verdict])
    return line
