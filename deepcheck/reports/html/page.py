"""What the template is filled with: the results in the words and the order in which a reader meets them."""

import base64
import math
import os
import struct
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from deepcheck.reports import Style
from deepcheck.reports.html.excerpts import Choice, choose
from deepcheck.reports.html.notation import clock, count, span
from deepcheck.reports.html.sound import Sound, listen
from deepcheck.reports.html.timeline import Scale, Timeline, scale_of, timeline
from deepcheck.reports.text import visible
from deepcheck.reports.words import worst
from deepcheck.scanner.result import BONAFIDE, INCONCLUSIVE, NOT_SCORED, SPOOF, Basis, FileResult, Report, Stretch

VERDICTS = {SPOOF: "spoof", INCONCLUSIVE: "inconclusive", BONAFIDE: "bonafide", NOT_SCORED: "unscored"}
"""Every verdict, the gravest first, and its name in classes and marks."""
FINDINGS = 8  # in the summary, at most
WINDOWS = 600  # in the table of a recording, at most


@dataclass(frozen=True)
class Picture:
    """A PNG image as a data URI, and its size, so that the page does not jump when it appears."""

    url: str
    width: int
    height: int


@dataclass(frozen=True)
class Recording:
    """One result as the page names it: `folder` and `name` make up its path below that of all."""

    number: int
    result: FileResult
    basis: Basis
    folder: str
    name: str
    choice: Choice

    @property
    def id(self) -> str:
        """Its anchor."""
        return f"f{self.number}"

    @property
    def path(self) -> str:
        """The whole path, safe to show."""
        return visible(self.result.path)

    @property
    def verdict(self) -> str:
        """The verdict, or that there is none."""
        return self.result.verdict or NOT_SCORED

    @property
    def slug(self) -> str:
        """The verdict as a class."""
        return VERDICTS.get(self.verdict, "unscored")

    @property
    def low(self) -> float:
        """The threshold for spoof that applies."""
        return (self.result.thresholds or self.basis.thresholds).spoof

    @property
    def high(self) -> float:
        """The threshold for bona fide that applies."""
        return (self.result.thresholds or self.basis.thresholds).bonafide

    @property
    def widened(self) -> bool:
        """Whether the thresholds are others than those of the model."""
        return (self.low, self.high) != (self.basis.thresholds.spoof, self.basis.thresholds.bonafide)

    @property
    def alone(self) -> bool:
        """Whether the recording was scored as one window, so that no part of it stands out."""
        return len(self.result.windows) == 1

    @property
    def part(self) -> Stretch | None:
        """The most suspicious part."""
        return worst(self.result)

    @property
    def where(self) -> str:
        """The most suspicious part in words; "" without a score."""
        part = self.part
        if part is None:
            return ""
        return "one window" if self.alone else span(part.start_s, part.end_s)

    @property
    def unlike(self) -> bool:
        """Whether the verdicts of several models differ."""
        return len({opinion.verdict for opinion in self.result.opinions if opinion.verdict}) > 1

    @property
    def windows(self) -> list[Any]:
        """In order of time; of very many those with the lowest scores."""
        windows = sorted(self.result.windows, key=lambda w: w.llr if math.isfinite(w.llr) else math.inf)[:WINDOWS]
        return sorted(windows, key=lambda window: window.start_s)

    @property
    def measured(self) -> dict[str, bool]:
        """Which measurements of windows there are at all."""
        names = ("snr_db", "bandwidth_hz", "level_db", "distance")
        return {name: any(math.isfinite(getattr(w, name)) for w in self.result.windows) for name in names}


@dataclass(frozen=True)
class Shown:
    """What is drawn and heard of a recording; made when its turn comes, since it is large."""

    sound: Sound
    timeline: Timeline | None
    picture: Picture | None


@dataclass(frozen=True)
class Finding:
    """A recording that a reader should see first, and why, in notation."""

    recording: Recording
    text: str


class Page:
    """A report, ready for the template."""

    def __init__(self, report: Report, style: Style) -> None:
        self.report, self.style, self.basis = report, style, report.basis
        self.below = _common_folder([result.path for result in report])
        self.scale: Scale = scale_of(report)
        choices = choose(report.results, style.audio)
        self.recordings = [
            Recording(i, result, report.basis, *_split(result.path, self.below), choice)
            for i, (result, choice) in enumerate(zip(report.results, choices, strict=True), 1)
        ]

    def shown(self) -> Iterator[tuple[Recording, Shown]]:
        """Each recording with what is drawn and heard of it; a few are read ahead."""
        threads = min(8, os.cpu_count() or 1)
        waiting: deque[tuple[Recording, Future[Shown]]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            try:
                for recording in self.recordings:
                    waiting.append((recording, pool.submit(self._show, recording)))
                    if len(waiting) > 2 * threads:
                        done, future = waiting.popleft()
                        yield done, future.result()
                while waiting:
                    done, future = waiting.popleft()
                    yield done, future.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)  # after Ctrl-C what has not begun never does

    def _show(self, recording: Recording) -> Shown:
        result = recording.result
        sound = listen(result.path, recording.choice.ranges, result.duration_s, result.sha256)
        drawn = timeline(result, sound.duration_s, self.scale, recording.low, recording.high)
        return Shown(sound, drawn, _picture(self.style.pictures.get(result.path)))

    @cached_property
    def counts(self) -> list[tuple[str, str, int]]:
        """(verdict, class, number of files)."""
        counted = self.report.counts()
        return [(verdict, slug, counted[verdict]) for verdict, slug in VERDICTS.items()]

    @cached_property
    def notes(self) -> list[tuple[str, int]]:
        """The names of all notes and how many files have each, the most frequent first."""
        return Counter(name for r in self.recordings for name in {note.name for note in r.result.notes}).most_common()

    @cached_property
    def length(self) -> str:
        """How long all recordings are together."""
        return clock(sum(result.duration_s or 0.0 for result in self.report), 0)

    @cached_property
    def findings(self) -> list[Finding]:
        """Spoofs, then other recordings with suspicious stretches, then those that several models judge differently.

        The lowest score comes first in each.
        """
        found = [Finding(r, _finding(r)) for r in sorted(self.recordings, key=_gravity) if _gravity(r)[0] < 3]
        return found[:FINDINGS]

    @cached_property
    def more_findings(self) -> int:
        """How many did not fit into `findings`."""
        return sum(_gravity(recording)[0] < 3 for recording in self.recordings) - len(self.findings)

    @cached_property
    def unscored(self) -> str:
        """Why files were not scored, counted: `2 no speech, 1 unreadable`."""
        reasons = Counter(r.result.status for r in self.recordings if r.result.verdict is None)
        return ", ".join(f"{number} {status}" for status, number in reasons.most_common())

    @cached_property
    def command(self) -> str | None:
        """The command line that was given, if the settings tell."""
        return dict(self.basis.settings).get("command")

    @cached_property
    def settings(self) -> list[tuple[str, str]]:
        """All other settings."""
        return [(name, value) for name, value in self.basis.settings if name != "command"]

    def dots(self) -> Iterator[tuple[float, str]]:
        """(position on the scale in percent, class) of each score."""
        for recording in self.recordings:
            if recording.result.llr is not None:
                yield self.across(recording.result.llr), recording.slug

    def across(self, llr: float) -> float:
        """Where a score lies on the scale, in percent from the left."""
        share = (llr - self.scale.low) / (self.scale.high - self.scale.low)
        return round(100 * min(max(share, 0.0), 1.0), 2)


def _gravity(recording: Recording) -> tuple[int, float]:
    result = recording.result
    lowest = min((stretch.llr for stretch in result.stretches), default=math.inf)
    if result.verdict == SPOOF:
        return 0, result.llr if result.llr is not None else lowest
    if result.stretches:
        return 1, lowest
    return 2 if recording.unlike else 3, result.llr if result.llr is not None else math.inf


def _finding(recording: Recording) -> str:
    result = recording.result
    parts = []
    if result.stretches and not recording.alone:
        parts.append(f"{count(len(result.stretches), 'suspicious stretch', 'suspicious stretches')}: {_list(result)}")
    if recording.unlike:
        said = Counter(opinion.verdict or NOT_SCORED for opinion in result.opinions)
        parts.append("models differ: " + ", ".join(f"{number} {verdict}" for verdict, number in said.most_common()))
    return "; ".join(parts)


def _list(result: FileResult, most: int = 3) -> str:
    lowest: list[Stretch] = sorted(result.stretches, key=lambda stretch: stretch.llr)[:most]
    times = ", ".join(span(s.start_s, s.end_s) for s in sorted(lowest, key=lambda stretch: stretch.start_s))
    return times if len(result.stretches) <= most else f"the lowest {times}"


def _common_folder(paths: Sequence[Path]) -> Path | None:
    """The folder that all of several paths lie in, if there is one that is worth naming."""
    try:
        folder = Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError:  # none, or some are absolute and some are not
        return None
    return folder if len(paths) > 1 and folder.parts else None


def _split(path: Path, below: Path | None) -> tuple[str, str]:
    """(folder with a slash at its end, name), safe to show."""
    short = path.relative_to(below) if below is not None and path.is_relative_to(below) else path
    folder = "" if short.parent == Path() else f"{visible(short.parent)}{os.sep}"
    return folder, visible(Path(short.name) if short.name else short)


def _picture(png: bytes | None) -> Picture | None:
    if png is None or len(png) < 24:
        return None
    width, height = struct.unpack(">II", png[16:24])  # the header chunk comes first (PNG specification, 11.2.2)
    return Picture(f"data:image/png;base64,{base64.b64encode(png).decode()}", width, height)
