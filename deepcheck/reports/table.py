"""The report as a table for people, with what its verdicts mean below it."""

import io

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from deepcheck.reports import Style
from deepcheck.reports.text import seconds, visible
from deepcheck.scanner.result import BONAFIDE, INCONCLUSIVE, SPOOF, Basis, FileResult, Report

_COLOURS = {SPOOF: "bold red", INCONCLUSIVE: "yellow", BONAFIDE: "green", "not scored": "dim"}


def render(report: Report, style: Style | None = None) -> str:
    """The table, a line of counts, and the basis of the verdicts in words."""
    style = style or Style()
    console = Console(
        file=io.StringIO(), width=style.width, force_terminal=style.color, no_color=not style.color, highlight=False
    )
    console.print(Group(_table(report), _counts(report), Text(explain(report.basis), style="dim")))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _table(report: Report) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
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
    verdict = result.verdict or "not scored"
    cells = [Text(seconds(result.duration_s)), Text(verdict, style=_COLOURS[verdict])]
    if result.llr is None or result.p_spoof is None or result.suspicious is None:
        return [*cells, Text(""), Text(""), Text(result.reason or "", style="dim")]
    stretch = result.suspicious
    where = f"{seconds(stretch.start_s)} - {seconds(stretch.end_s)}"
    alone = len(result.windows) == 1
    return [
        *cells,
        Text(f"{result.llr:+.2f}"),
        Text(percent(result.p_spoof)),
        Text("(one window)" if alone else f"{where} ({stretch.llr:+.2f})", style="dim" if alone else ""),
    ]


def percent(share: float) -> str:
    """A share as a percentage that never rounds to certainty."""
    if share < 0.001:
        return "<0.1 %"
    return ">99.9 %" if share > 0.999 else f"{100 * share:.1f} %"


def _counts(report: Report) -> Text:
    counts = report.counts()
    line = Text(f"{len(report)} file{'s' if len(report) != 1 else ''}: ")
    parts = [(verdict, counts[verdict]) for verdict in _COLOURS if counts[verdict]]
    for i, (verdict, count) in enumerate(parts):
        line.append(", " if i else "")
        line.append(f"{count} {verdict}", style=_COLOURS[verdict])
    return line


def explain(basis: Basis) -> str:
    """What the numbers mean and what they rest on, in a few sentences."""
    low, high = basis.thresholds.spoof, basis.thresholds.bonafide
    text = (
        "\nThe score is the natural logarithm of a likelihood ratio: above 0 the recording fits genuine speech "
        f"better, below 0 synthetic speech. Verdict: spoof at {low:+.2f} or below, bona fide at {high:+.2f} or above, "
        f"inconclusive between. P(spoof) supposes that {100 * basis.prior:g} % of such recordings are spoofs (--prior)."
    )
    if basis.bonafide is None:
        text += " The threshold for spoof was set by hand."
    else:
        text += (
            f" The thresholds were fitted on {basis.bonafide} genuine and {basis.spoof} synthetic recordings kept "
            f"aside in training: there {_promise(basis.false_alarm, 'genuine recordings are called spoof')} and "
            f"{_promise(basis.miss, 'spoofs are called bona fide')} ({100 * (basis.confidence or 0):g} % confidence). "
            "On other material the rates differ; a verdict is evidence, not proof."
        )
    return f"{text}\nModel {basis.model} ({basis.model_sha256[:12]}), deepcheck {basis.version}."


def _promise(rate: float | None, what: str) -> str:
    # Too small a development set shows nothing, however well it was told apart.
    return f"too few to promise how many {what}" if rate is None else f"at most {100 * rate:g} % of {what}"
