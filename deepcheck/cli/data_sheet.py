"""Showing what a check of the data finds."""

from collections.abc import Iterator, Sequence

from deepcheck.cli.console import say, show
from deepcheck.cli.evaluation import shortcuts
from deepcheck.cli.sheet import Sheet
from deepcheck.data.utterance import Utterance
from deepcheck.engine.data_check import Findings
from deepcheck.engine.leaks import Leaks

_SHOWN = 30


def show_findings(found: Findings) -> None:
    """Counts, pairs and the audit on stdout, then in sentences on stderr what is wrong with the data."""
    if found.counts:
        rows = tuple((one.part, one.key, one.value, str(one.bonafide), str(one.spoof)) for one in found.counts)
        show(Sheet("Recordings", ("part", "by", "", "bona fide", "spoof"), rows, left=3).drawn())
    pairs = [(str(one.path), str(other.path), what) for what, one, other in _pairs(found.leaks)]
    if pairs:
        show(Sheet(f"The same content{_more(pairs)}", ("one", "other", "what"), tuple(pairs[:_SHOWN]), left=3).drawn())
    if found.unreadable:
        files = tuple((str(one.path), reason) for one, reason in found.unreadable[:_SHOWN])
        show(Sheet(f"Cannot be read{_more(found.unreadable)}", ("file", "why"), files, left=2).drawn())
    if found.audit is not None:
        show(shortcuts(found.audit, {}).drawn())
    for text in found.warnings:
        say(f"Note: {text}", style="yellow")
    for text in found.refusals:
        say(f"Refused: {text}", style="bold red")


def _more(rows: Sequence[object]) -> str:
    return f" (the first {_SHOWN} of {len(rows)})" if len(rows) > _SHOWN else ""


def _pairs(found: Leaks | None) -> Iterator[tuple[str, Utterance, Utterance]]:
    if found is not None:
        yield from ((f"in {found.learnt} and {found.tested}", *pair) for pair in found.overlaps)
        yield from (("bona fide and spoof", *pair) for pair in found.contradictions)
