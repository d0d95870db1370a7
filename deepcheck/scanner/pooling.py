"""From the windows of a recording to one score, one verdict, and the stretches that it rests on.

The more places are looked at, the more often one of them looks odd by chance: a single window decides where it is all
there is, and has to be lower the longer the recording. `python -m tests.benchmarks.splice` compares the rules here
with others, on recordings of 10 s to an hour.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepcheck.engine.score import WindowScore
from deepcheck.metrics.calibration import NO_VERDICT, Thresholds
from deepcheck.metrics.pooling import recording_llr
from deepcheck.scanner.result import BONAFIDE, INCONCLUSIVE, Stretch

LLRs = NDArray[np.float64]

ENOUGH = 15  # windows, half a minute: from there on it is known what is usual in a recording
SPREAD = 0.4  # the least that counts as the usual spread of the windows of a recording
MARGIN = 1.0  # spreads, beyond what the lowest of so many windows reaches by chance
PAUSE_S = 4.0  # without a judged window: a longer one divides what is suspicious


@dataclass(frozen=True)
class Pooled:
    """The log-likelihood ratio of a recording, the verdict, and its suspicious stretches in order of time.

    `verdict` is what the thresholds make of `llr`, but for one case: nothing is called bona fide that has a stretch.
    """

    llr: float
    verdict: str
    stretches: tuple[Stretch, ...]


def pool(windows: Sequence[WindowScore], thresholds: Thresholds) -> Pooled:
    """`windows`, at least one, in any order; if one has no finite score, `llr` is NaN and nothing is said."""
    windows = sorted(windows, key=lambda window: (window.start_s, window.end_s))
    llrs = np.array([window.llr for window in windows])
    if not np.isfinite(llrs).all():
        return Pooled(math.nan, INCONCLUSIVE, ())
    llr = recording_llr(llrs)
    verdict = thresholds.verdict(llr)
    stretches = find_stretches(windows, thresholds)
    return Pooled(llr, INCONCLUSIVE if verdict == BONAFIDE and stretches else verdict, stretches)


def suspicious_level(llrs: LLRs, thresholds: Thresholds) -> float:
    """The ratio at or below which a window is suspicious: the threshold of spoof, or what stands out downwards.

    The ratios of one recording have the place and the voice in common, so that a synthetic sentence may lie far below
    the rest without reaching the threshold. Of n windows that are alike, the lowest is by chance some sqrt(2 ln n)
    spreads below the median (Cramer, "Mathematical methods of statistics", 1946, section 28.6); what is `MARGIN`
    farther off and fits synthetic speech better stands out. So does a genuine insert from another place now and then:
    it makes a window suspicious, but never a recording spoof.
    """
    if thresholds.spoof <= NO_VERDICT.spoof:
        return -math.inf  # nothing is known of such recordings
    if llrs.size < ENOUGH:
        return thresholds.spoof
    median = float(np.median(llrs))
    spread = max(1.4826 * float(np.median(np.abs(llrs - median))), SPREAD)
    outlying = median - (math.sqrt(2 * math.log(llrs.size)) + MARGIN) * spread
    return max(thresholds.spoof, min(outlying, 0.0))


def find_stretches(windows: Sequence[WindowScore], thresholds: Thresholds) -> tuple[Stretch, ...]:
    """The suspicious stretches among `windows`, which are in order of time and have finite scores.

    Around suspicious windows that follow each other, a stretch reaches as far as the ratio stays below half-way from
    the lowest of them to the median of the recording: a window has half of its depth where it holds half of what is
    odd. Between the middles of windows the ratio is interpolated. `llr` is the mean over the suspicious windows.
    """
    llrs = np.array([window.llr for window in windows])
    level, median = suspicious_level(llrs, thresholds), float(np.median(llrs))
    suspicious = llrs <= level
    found: list[_Run] = []
    for first, last in _runs(windows, suspicious):
        half = (float(llrs[first : last + 1].min()) + median) / 2
        while first > 0 and llrs[first - 1] <= half and _adjoin(windows, first - 1):
            first -= 1
        while last + 1 < len(windows) and llrs[last + 1] <= half and _adjoin(windows, last):
            last += 1
        # What is very deep makes suspicious what only touches it.
        if first < last and llrs[first] > half >= llrs[first + 1]:
            first += 1
        if first < last and llrs[last] > half >= llrs[last - 1]:
            last -= 1
        run = _Run(first, last, half if llrs[first] <= half else level, half if llrs[last] <= half else level)
        while found and (first <= found[-1].last or (first == found[-1].last + 1 and _adjoin(windows, first - 1))):
            before = found.pop()
            left = before if before.first < run.first else run
            right = before if before.last > run.last else run
            run = _Run(left.first, right.last, left.left, right.right)
        found.append(run)
    return tuple(
        Stretch(
            windows[run.first].start_s if run.first == 0 else _border(windows, run.first, run.first - 1, run.left),
            windows[run.last].end_s
            if run.last + 1 == len(windows)
            else _border(windows, run.last, run.last + 1, run.right),
            float(llrs[run.first : run.last + 1][suspicious[run.first : run.last + 1]].mean()),
        )
        for run in found
    )


@dataclass(frozen=True)
class _Run:
    """Windows `first` to `last`, and the ratios at which their stretch ends to the `left` and to the `right`."""

    first: int
    last: int
    left: float
    right: float


def _runs(windows: Sequence[WindowScore], suspicious: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, last) of suspicious windows that touch, or that follow each other with but a short pause between."""
    runs: list[tuple[int, int]] = []
    for i in map(int, np.flatnonzero(suspicious)):
        if runs:
            first, last = runs[-1]
            if windows[i].start_s <= windows[last].end_s or (i == last + 1 and _adjoin(windows, last)):
                runs[-1] = (first, i)
                continue
        runs.append((i, i))
    return runs


def _adjoin(windows: Sequence[WindowScore], i: int) -> bool:
    """Whether at most a short pause lies between a window and the next."""
    return windows[i + 1].start_s - windows[i].end_s <= PAUSE_S


def _border(windows: Sequence[WindowScore], inner: int, outer: int, level: float) -> float:
    """Where between the middles of two windows the ratio gets above `level`; never outside of the inner one.

    If the ratio at the outer one is not above, it lies beyond a pause.
    """
    own, other = windows[inner], windows[outer]
    edge = own.start_s if outer < inner else own.end_s
    if other.llr <= level:
        return edge
    middle, next_middle = (own.start_s + own.end_s) / 2, (other.start_s + other.end_s) / 2
    # A stretch that is lower by far than what surrounds it on both sides still lasts a moment.
    reach = max((level - own.llr) / (other.llr - own.llr), 0.25)
    crossing = middle + reach * (next_middle - middle)
    return max(edge, crossing) if outer < inner else min(edge, crossing)
