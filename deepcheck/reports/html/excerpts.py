"""Which parts of which recordings the page carries as sound."""

from collections.abc import Sequence
from dataclasses import dataclass

from deepcheck.reports.html.notation import clock
from deepcheck.scanner.result import BONAFIDE, INCONCLUSIVE, SPOOF, FileResult

TOTAL_S = 90 * 60.0
"""Sound in one page: 27 MB of MP3, 36 MB of text. More, and phones give up."""
WHOLE_S = 10 * 60.0  # longer recordings come in excerpts
EXCERPTS_S = 5 * 60.0  # of one recording
STRETCH_S = 60.0  # of one stretch
CONTEXT_S = 3.0  # before and after a stretch
UNKNOWN_S = 60.0  # of a recording whose length is not known: it could not be read to its end

_ORDER = {SPOOF: 0, INCONCLUSIVE: 1, None: 2, BONAFIDE: 3}


@dataclass(frozen=True)
class Choice:
    """The `ranges` of a recording to be heard, in seconds, in order of time; `note` says what is left out, and why."""

    ranges: tuple[tuple[float, float], ...] = ()
    note: str = ""


def choose(results: Sequence[FileResult], audio: str) -> list[Choice]:
    """A choice for each of `results`. `audio` is `all`, `suspicious` (whatever is not bona fide) or `none`.

    Recordings of up to ten minutes come whole, of longer ones the suspicious stretches with some context, up to five
    minutes. If the page would hold more than `TOTAL_S`, spoofs come first and bona fide recordings last.
    """
    choices = [Choice()] * len(results)
    left = TOTAL_S
    for i in sorted(range(len(results)), key=lambda i: (_ORDER[results[i].verdict], i)):
        choices[i] = choice = _choose(results[i], audio, left)
        left -= sum(end - start for start, end in choice.ranges)
    return choices


def _choose(result: FileResult, audio: str, left_s: float) -> Choice:
    if audio == "none":
        return Choice(note="No sound: this report was made without.")
    if audio == "suspicious" and result.verdict == BONAFIDE and not result.stretches:
        return Choice(note="No sound: this report carries only recordings that are not bona fide.")
    full = f"No sound: this report is full at {TOTAL_S / 60:.0f} minutes of it."
    if result.duration_s is None:
        return Choice(((0.0, UNKNOWN_S),)) if left_s >= UNKNOWN_S else Choice(note=full)
    if result.duration_s <= min(WHOLE_S, left_s):
        return Choice(((0.0, result.duration_s),))
    ranges = _excerpts(result, min(EXCERPTS_S, left_s))
    if not ranges:
        return Choice(note=full)
    length = f"A recording of {clock(result.duration_s, 0)}"
    return Choice(ranges, f"{length}: the report carries only the {_what(result)}, with some context.")


def _what(result: FileResult) -> str:
    if result.stretches:
        return "suspicious stretches"
    return "most suspicious part" if result.suspicious else "beginning"


def _excerpts(result: FileResult, most_s: float) -> tuple[tuple[float, float], ...]:
    """The worst stretches that fit into `most_s`, widened; those that then overlap are one."""
    assert result.duration_s is not None
    suspicious = result.stretches or ((result.suspicious,) if result.suspicious else ())
    wanted = [_around(result, part.start_s, part.end_s) for part in sorted(suspicious, key=lambda part: part.llr)]
    chosen: list[tuple[float, float]] = []
    for start, end in wanted or [(0.0, min(STRETCH_S, result.duration_s))]:
        if sum(b - a for a, b in chosen) + end - start <= most_s:
            chosen.append((start, end))
    merged: list[tuple[float, float]] = []
    for start, end in sorted(chosen):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def _around(result: FileResult, start_s: float, end_s: float) -> tuple[float, float]:
    """A stretch with its context; of one that is too long, what surrounds its lowest window."""
    assert result.duration_s is not None
    if end_s - start_s > STRETCH_S:
        inside = [w for w in result.windows if w.llr == w.llr and start_s <= w.start_s and w.end_s <= end_s]
        lowest = min(inside, key=lambda window: window.llr, default=None)
        middle = (lowest.start_s + lowest.end_s) / 2 if lowest else (start_s + end_s) / 2
        start_s, end_s = max(start_s, middle - STRETCH_S / 2), min(end_s, middle + STRETCH_S / 2)
    return max(0.0, start_s - CONTEXT_S), min(result.duration_s, end_s + CONTEXT_S)
