"""The drawing of a recording over time: its waveform, and below it the score of each window with the thresholds.

Horizontal positions are shares of the width in percent, or thousandths within the parts that stretch, so that the
drawing fills any page while its letters keep their size; vertical ones are pixels.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from deepcheck.reports.html.notation import clock, reachable
from deepcheck.scanner.result import BONAFIDE, SPOOF, FileResult, Report

CELLS = 400  # of a timeline, at most: about one a pixel of a phone
WAVE_PX, SCORE_PX = 56, 112
WAVE_UNITS = 100  # of a waveform from bottom to top
_TICKS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_LABELS = 6  # times below a timeline, at most, so that they fit on a phone
_LINE_PX = 13  # from one number beside a timeline to the next
_WIDEST = 12.0  # a single absurd score must not flatten all timelines


@dataclass(frozen=True)
class Cell:
    """A stretch of the time axis and the scores in it, lowest and highest; None, and `why`, if nothing was scored."""

    start_s: float
    end_s: float
    low: float | None
    high: float | None
    why: str | None = None


@dataclass(frozen=True)
class Scale:
    """Scores from `low` at the bottom of a timeline to `high` at its top."""

    low: float
    high: float

    def holds(self, llr: float) -> bool:
        """Whether it lies on the scale."""
        return self.low < llr < self.high

    def y(self, llr: float) -> float:
        """Pixels from the top; what is beyond the scale lies at its edge."""
        share = (self.high - llr) / (self.high - self.low)
        return round(min(max(share, 0.0), 1.0) * SCORE_PX, 1)


@dataclass(frozen=True)
class Timeline:
    """All that the page draws of one recording."""

    duration_s: float
    scale: Scale
    cells: tuple[Cell, ...]
    low: float  # the thresholds that apply
    high: float

    def x(self, seconds: float) -> float:
        """Percent of the width."""
        return round(100 * min(max(seconds / self.duration_s, 0.0), 1.0), 2)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """(position, label) of the times on the axis."""
        step = next((s for s in _TICKS_S if self.duration_s / s <= _LABELS), _TICKS_S[-1])
        times = [i * step for i in range(int(self.duration_s / step) + 1)]
        return [(self.x(time), clock(time, 0 if step >= 1 else 1)) for time in times]

    @property
    def limits(self) -> list[tuple[str, float, float, float]]:
        """(verdict, threshold, its pixels from the top, those of its number) of each threshold on the scale."""
        held = [(name, limit) for name, limit in ((BONAFIDE, self.high), (SPOOF, self.low)) if self.scale.holds(limit)]
        heights = [self.scale.y(limit) for _, limit in held]
        numbers = heights
        if len(heights) == 2 and heights[1] - heights[0] < _LINE_PX:
            middle = sum(heights) / 2
            numbers = [middle - _LINE_PX / 2, middle + _LINE_PX / 2]
        return [(*one, y, number) for one, y, number in zip(held, heights, numbers, strict=True)]

    @property
    def unscored(self) -> list[tuple[float, float, str]]:
        """(start, end, reason) of what has no score, in seconds, neighbours with the same reason as one."""
        runs = [(why, list(run)) for why, run in groupby(self.cells, key=lambda cell: cell.why)]
        return [(run[0].start_s, run[-1].end_s, why) for why, run in runs if why is not None]

    @property
    def score_path(self) -> str:
        """The lowest score of each cell as a line of steps, broken where nothing was scored."""
        return "".join(self._steps(run) for run in self._runs(lambda cell: True))

    @property
    def suspicious_path(self) -> str:
        """The parts of that line at or below the threshold for spoof."""
        return "".join(self._steps(run) for run in self._runs(lambda cell: (cell.low or 0.0) <= self.low))

    @property
    def range_path(self) -> str:
        """What lies between the lowest and the highest scores, where a cell holds several."""
        paths = []
        for run in self._runs(lambda cell: True):
            if any(cell.low != cell.high for cell in run):
                there = self._steps(run, top=True)
                back = "".join(f"V{self.scale.y(c.low or 0.0):g}H{10 * self.x(c.start_s):g}" for c in reversed(run))
                paths.append(f"{there}{back}Z")
        return "".join(paths)

    @property
    def data(self) -> dict[str, Any]:
        """What the script needs to say the score at a time."""
        rows = [[round(c.start_s, 2), round(c.end_s, 2), _rounded(c.low), c.why or ""] for c in self.cells]
        limits = {"spoof": _rounded(self.low), "bonafide": _rounded(self.high)}
        return {"duration": round(self.duration_s, 3), **limits, "cells": rows}

    def _runs(self, wanted: Any) -> Iterator[list[Cell]]:
        for scored, run in groupby(self.cells, key=lambda cell: cell.low is not None and wanted(cell)):
            if scored:
                yield list(run)

    def _steps(self, run: Sequence[Cell], top: bool = False) -> str:
        levels = [(10 * self.x(cell.end_s), self.scale.y((cell.high if top else cell.low) or 0.0)) for cell in run]
        return f"M{10 * self.x(run[0].start_s):g} {levels[0][1]:g}" + "".join(f"V{y:g}H{x:g}" for x, y in levels)


def scale_of(report: Report) -> Scale:
    """The scale that all timelines of a report share: every score and every threshold, within reason."""
    thresholds = [report.basis.thresholds, *(result.thresholds for result in report if result.thresholds)]
    values = [limit for pair in thresholds for limit in (pair.spoof, pair.bonafide) if reachable(limit)]
    values += [window.llr for result in report for window in result.windows]
    finite = [min(max(value, -_WIDEST), _WIDEST) for value in values if math.isfinite(value)] or [0.0]
    return Scale(min(min(finite) - 0.6, -1.0), max(max(finite) + 0.6, 1.0))


def timeline(result: FileResult, heard_s: float, scale: Scale, low: float, high: float) -> Timeline | None:
    """The timeline of a result; `heard_s` is the length of what could be decoded, where no other is known."""
    duration = result.duration_s or heard_s
    return Timeline(duration, scale, tuple(_cells(result)), low, high) if duration > 0 else None


def wave_path(columns: Sequence[tuple[float, float]]) -> str:
    """The outline of a waveform in a field of one unit a column and `WAVE_UNITS`, loud enough to be seen."""
    if not columns:
        return ""
    peak = max(0.02, max(max(-low, high) for low, high in columns))
    middle = WAVE_UNITS // 2
    # A line at least: silence is not nothing.
    above = [middle - max(round(high / peak * middle), 1) for _, high in columns]
    below = [middle - min(round(low / peak * middle), -1) for low, _ in columns]
    there = "".join(f"l1 {after - before}" for before, after in pairwise(above))
    back = "".join(f"l-1 {after - before}" for before, after in pairwise(reversed(below)))
    return f"M0 {above[0]}{there}V{below[-1]}{back}Z"


def _cells(result: FileResult) -> Iterator[Cell]:
    """Windows overlap, cells do not: they meet halfway between the middles of neighbouring windows."""
    windows = sorted(result.windows, key=lambda window: window.start_s)
    together = -(-len(windows) // CELLS) or 1
    borders = [
        (before.start_s + before.end_s + after.start_s + after.end_s) / 4 if after.start_s < before.end_s else None
        for before, after in pairwise(windows)
    ]
    for i in range(0, len(windows), together):
        some = windows[i : i + together]
        before, after = [None, *borders, None][i], [*borders, None][i + len(some) - 1]
        scores = [window.llr for window in some if math.isfinite(window.llr)]
        yield Cell(
            some[0].start_s if before is None else before,
            some[-1].end_s if after is None else after,
            min(scores, default=None),
            max(scores, default=None),
            None if scores else _commonest(str(window.quality) for window in some),
        )


def _commonest(reasons: Iterable[str]) -> str:
    [(reason, _)] = Counter(reasons).most_common(1)
    return "not scored" if reason == "speech" else reason


def _rounded(value: float | None) -> float | None:
    return round(value, 2) if value is not None and math.isfinite(value) else None  # JSON knows no infinity
