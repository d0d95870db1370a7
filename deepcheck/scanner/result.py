"""What a scan says of a recording, and what it rests on."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deepcheck.engine.score import WindowScore
from deepcheck.metrics.calibration import Thresholds

SPOOF, INCONCLUSIVE, BONAFIDE = "spoof", "inconclusive", "bona fide"


@dataclass(frozen=True)
class Stretch:
    """A part of a recording and its log-likelihood ratio."""

    start_s: float
    end_s: float
    llr: float


@dataclass(frozen=True)
class FileResult:
    """One recording: either a score with its verdict, or the `reason` why there is none.

    `llr` is the natural-log likelihood ratio of bona fide against spoof, the mean over the windows in which
    somebody speaks; `p_spoof` the probability at the stated prior; `suspicious` the window with the lowest
    ratio; `speech_s` how long somebody speaks. Without a verdict these are None, as far as they are unknown.
    """

    path: Path
    verdict: str | None = None
    llr: float | None = None
    p_spoof: float | None = None
    duration_s: float | None = None
    speech_s: float | None = None
    suspicious: Stretch | None = None
    windows: tuple[WindowScore, ...] = ()
    reason: str | None = None
    sha256: str | None = None

    @property
    def status(self) -> str:
        """`scored` or `not scored`."""
        return "scored" if self.verdict is not None else "not scored"


@dataclass(frozen=True)
class Basis:
    """What the verdicts of a scan rest on: enough for someone else to repeat it.

    `false_alarm`, `miss` and `confidence` are what the thresholds were fitted for, on `bonafide` and `spoof`
    recordings kept aside in training; None where the user set a threshold of his own.
    """

    model: str
    model_sha256: str
    version: str
    thresholds: Thresholds
    prior: float
    false_alarm: float | None = None
    miss: float | None = None
    confidence: float | None = None
    bonafide: int | None = None
    spoof: int | None = None


@dataclass(frozen=True)
class Report:
    """The results of a scan in the order of the files, and their basis."""

    results: tuple[FileResult, ...]
    basis: Basis

    def __iter__(self) -> Iterator[FileResult]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def counts(self) -> Counter[str]:
        """How many files have each verdict, and how many are `not scored`."""
        return Counter(result.verdict or "not scored" for result in self.results)
