"""TextGrids for Praat, a file a recording.

The format (praat.org manual, "TextGrid file formats"), in its full text form: UTF-8; texts stand between double quotes,
and a double quote in a text is doubled. The intervals of an interval tier cover its time without gaps; the points of a
point tier ("TextTier") are in order of time.
"""

import math
from collections.abc import Iterator, Sequence

from deepcheck.reports import Style
from deepcheck.reports.segments import segments
from deepcheck.reports.text import plain
from deepcheck.scanner.result import Basis, FileResult, Report


def render(report: Report, style: Style | None = None) -> str:
    """Of each recording the tiers `verdict`, with suspicious stretches as `spoof`, the rest as `bona fide` or
    `inconclusive`, each with its score, and the reason where nothing could be judged; and `windows`, a point in the
    middle of every window (they overlap) with its score, or why it has none. Empty for a recording of unknown length.
    """
    return "".join("".join(f"{line}\n" for line in _lines(result, report.basis)) for result in report)


def _lines(result: FileResult, basis: Basis) -> Iterator[str]:
    parts = segments(result, basis)
    if not parts:
        return
    end = _time(parts[-1].end_s)
    yield 'File type = "ooTextFile"'
    yield 'Object class = "TextGrid"'
    yield ""
    yield "xmin = 0"
    yield f"xmax = {end}"
    yield "tiers? <exists>"
    yield "size = 2"
    yield "item []:"
    intervals = [(_time(part.start_s), _time(part.end_s), _quoted(_said(part.label, part.llr))) for part in parts]
    yield from _tier(1, "IntervalTier", "verdict", end, "intervals", ("xmin", "xmax", "text"), intervals)
    points = [(time, _quoted(text)) for time, text in _points(result).items()]
    yield from _tier(2, "TextTier", "windows", end, "points", ("number", "mark"), points)


def _tier(
    number: int, kind: str, name: str, end: str, what: str, keys: tuple[str, ...], items: Sequence[tuple[str, ...]]
) -> Iterator[str]:
    yield f"    item [{number}]:"
    yield f"        class = {_quoted(kind)}"
    yield f"        name = {_quoted(name)}"
    yield "        xmin = 0"
    yield f"        xmax = {end}"
    yield f"        {what}: size = {len(items)}"
    for i, values in enumerate(items, 1):
        yield f"        {what} [{i}]:"
        yield from (f"            {key} = {value}" for key, value in zip(keys, values, strict=True))


def _points(result: FileResult) -> dict[str, str]:
    """Text by time; Praat wants no two points at one time."""
    points: dict[str, str] = {}
    for window in sorted(result.windows, key=lambda window: window.start_s + window.end_s):
        time = _time((window.start_s + window.end_s) / 2)
        said = str(window.quality) if math.isnan(window.llr) else f"{window.llr:+.2f}"
        points[time] = f"{points[time]}, {said}" if time in points else said
    return points


def _said(label: str, llr: float | None) -> str:
    return label if llr is None else f"{label} {llr:+.2f}"


def _time(value_s: float) -> str:
    return f"{value_s:.6f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    doubled = plain(text).replace('"', '""')
    return f'"{doubled}"'
