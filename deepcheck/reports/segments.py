"""A recording cut into parts, each with what is said of it: for the formats of audio editors."""

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from deepcheck.scanner.result import BONAFIDE, INCONCLUSIVE, SPOOF, Basis, FileResult

NOT_JUDGED = "not judged"
SUSPICIOUS = "suspicious"
_LEAST_S = 1e-6  # shorter parts are rounding


@dataclass(frozen=True)
class Segment:
    """From `start_s` to `end_s` the recording is `spoof` (a suspicious stretch whose score reaches the threshold),
    `suspicious` (one that only stands out from the rest), `bona fide`, `inconclusive`, or it
    could not be judged, and `label` says why: `no speech`, `clipped` ... Then `llr` is None.
    """

    start_s: float
    end_s: float
    label: str
    llr: float | None = None


def segments(result: FileResult, basis: Basis) -> tuple[Segment, ...]:
    """The whole recording in order of time without gaps; empty if its length is unknown.

    Suspicious stretches are as they are. Windows overlap, so elsewhere a moment has the mean score of the windows over
    it that could be judged, and is bona fide at or above the upper threshold, inconclusive below it (below the lower
    one too, which alone does not make it part of a suspicious stretch). A recording without verdict is one segment.
    """
    length = result.duration_s or 0.0
    if length < _LEAST_S:
        return ()
    if result.verdict is None:
        return (Segment(0.0, length, result.status),)
    return tuple(_merged(_pieces(result, basis, length)))


def marked(result: FileResult, basis: Basis) -> tuple[Segment, ...]:
    """What an editor should mark: suspicious stretches, and parts that could not be judged.

    Not the rest of less than a second at the end, which makes no window.
    """
    return tuple(
        part
        for part in segments(result, basis)
        if part.label in (SPOOF, SUSPICIOUS)
        or (part.llr is None and not (part.label == NOT_JUDGED and part.end_s - part.start_s < 1))
    )


@dataclass(frozen=True)
class _Piece:
    segment: Segment
    stretch: int | None  # which of the stretches; two that touch stay two


def _pieces(result: FileResult, basis: Basis, length: float) -> Iterator[_Piece]:
    edges = _edges(result, length)
    over: list[list[int]] = [[] for _ in edges[1:]]
    for number, window in enumerate(result.windows):
        for i in range(bisect_left(edges, window.start_s - _LEAST_S), len(over)):
            if edges[i + 1] > window.end_s + _LEAST_S:
                break
            over[i].append(number)
    stretches = iter(enumerate(result.stretches))
    which, stretch = next(stretches, (None, None))
    limits = result.thresholds or basis.thresholds
    for (start, end), numbers in zip(pairwise(edges), over, strict=True):
        while stretch and stretch.end_s <= start + _LEAST_S:
            which, stretch = next(stretches, (None, None))
        if stretch and stretch.start_s < end - _LEAST_S:
            yield _Piece(Segment(start, end, SPOOF if stretch.llr <= limits.spoof else SUSPICIOUS, stretch.llr), which)
            continue
        windows = [result.windows[number] for number in numbers]
        scores = [window.llr for window in windows if not math.isnan(window.llr)]
        if scores:
            llr = sum(scores) / len(scores)
            yield _Piece(Segment(start, end, BONAFIDE if llr >= limits.bonafide else INCONCLUSIVE, llr), None)
        else:
            yield _Piece(Segment(start, end, str(windows[0].quality) if windows else NOT_JUDGED), None)


def _edges(result: FileResult, length: float) -> list[float]:
    times = {edge for window in result.windows for edge in (window.start_s, window.end_s)}
    times |= {edge for stretch in result.stretches for edge in (stretch.start_s, stretch.end_s)}
    edges = [0.0]
    for time in sorted(time for time in times if time < length - _LEAST_S):
        if time - edges[-1] > _LEAST_S:
            edges.append(time)
    return [*edges, length]


def _merged(pieces: Iterator[_Piece]) -> Iterator[Segment]:
    """Neighbours of which the same is said, as one; their score is the mean over time."""
    run: list[_Piece] = []
    for piece in pieces:
        if run and (piece.segment.label, piece.stretch) != (run[-1].segment.label, run[-1].stretch):
            yield _as_one([part.segment for part in run])
            run = []
        run.append(piece)
    if run:
        yield _as_one([part.segment for part in run])


def _as_one(run: list[Segment]) -> Segment:
    start, end, label = run[0].start_s, run[-1].end_s, run[0].label
    scores = [(part.llr, part.end_s - part.start_s) for part in run if part.llr is not None]
    if not scores or len({llr for llr, _ in scores}) == 1:
        return Segment(start, end, label, run[0].llr)
    return Segment(start, end, label, sum(llr * width for llr, width in scores) / sum(width for _, width in scores))
