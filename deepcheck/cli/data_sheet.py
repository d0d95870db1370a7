"""Showing what a check of the data found."""

from collections.abc import Iterator

from deepcheck.cli.console import say, show
from deepcheck.cli.evaluation import shortcuts
from deepcheck.cli.sheet import Sheet
from deepcheck.data.utterance import Utterance
from deepcheck.engine.data_check import DataCheck

_SHOWN = 30


def show_check(found: DataCheck) -> None:
    """Counts and the audit on stdout, then in sentences on stderr what is wrong with the data."""
    if found.counts:
        rows = tuple((one.part, one.key, one.value, str(one.bonafide), str(one.spoof)) for one in found.counts)
        show(Sheet("Recordings", ("part", "by", "", "bona fide", "spoof"), rows, left=3).drawn())
    if found.audit is not None:
        show(shortcuts(found.audit, {}).drawn())
    pairs = [(str(one.path), str(other.path), what) for what, one, other in _pairs(found)]
    if pairs:
        more = f" (the first {_SHOWN} of {len(pairs)})" if len(pairs) > _SHOWN else ""
        show(Sheet(f"The same content{more}", ("one", "other", "what"), tuple(pairs[:_SHOWN]), left=3).drawn())
    if found.unreadable:
        files = tuple((str(one.path), reason) for one, reason in found.unreadable[:_SHOWN])
        more = f" (the first {_SHOWN} of {len(found.unreadable)})" if len(found.unreadable) > _SHOWN else ""
        show(Sheet(f"Cannot be read{more}", ("file", "why"), files, left=2).drawn())
    for text in found.warnings:
        say(f"Note: {text}", style="yellow")
    for text in found.refusals:
        say(f"Refused: {text}", style="bold red")
    if not found.refusals:
        say("Nothing here would stop a training.")


def _pairs(found: DataCheck) -> Iterator[tuple[str, Utterance, Utterance]]:
    if found.leaks is not None:
        yield from (("in training and development set", *pair) for pair in found.leaks.overlaps)
        yield from (("bona fide and spoof", *pair) for pair in found.leaks.contradictions)
