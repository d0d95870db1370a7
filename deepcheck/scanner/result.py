"""What a scan says of a recording, and what it rests on."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deepcheck.audio.container import Container
from deepcheck.engine.score import WindowScore
from deepcheck.metrics.calibration import Thresholds

SPOOF, INCONCLUSIVE, BONAFIDE = "spoof", "inconclusive", "bona fide"
NOT_SCORED = "not scored"
SCORED = "scored"


@dataclass(frozen=True)
class Stretch:
    """A part of a recording and its log-likelihood ratio, the mean over the windows that it was merged from."""

    start_s: float
    end_s: float
    llr: float


@dataclass(frozen=True)
class Note:
    """What is to be known of a recording beside its verdict: `name` for scripts, `text` for people.

    `band` is the condition under which the model was measured and whose thresholds widen the inconclusive band of
    this recording; None where the note changes no verdict.
    """

    name: str
    text: str
    band: str | None = None


@dataclass(frozen=True)
class Opinion:
    """What one of several models says of a recording; without a verdict, `llr` and `verdict` are None."""

    model: str
    llr: float | None
    verdict: str | None


@dataclass(frozen=True)
class FileResult:
    """One recording: either a score with its verdict, or the `reason` why there is none.

    `status` is `scored`, or what kept the recording from being scored in two words (`no speech`, `too short`,
    `unreadable` ...), of which `reason` is the sentence. `llr` is the natural-log likelihood ratio of bona fide
    against spoof of the recording as a whole (`pooling.pool`); `p_spoof` the probability at the stated prior;
    `suspicious` the window with the lowest ratio; `stretches` every suspicious stretch in order of time;
    `thresholds` those that applied to this recording: the model's own, wider where `notes` say that it is known to
    be weaker. `distance` is how far the recording lies from what the model was trained on, 1 where the farthest
    hundredth of the development recordings begins. `speech_s` is how long somebody speaks. `opinions` has one row
    a model if several were asked. Without a verdict these are None or empty, as far as they are unknown.
    """

    path: Path
    status: str = "unreadable"
    verdict: str | None = None
    llr: float | None = None
    p_spoof: float | None = None
    duration_s: float | None = None
    speech_s: float | None = None
    suspicious: Stretch | None = None
    stretches: tuple[Stretch, ...] = ()
    thresholds: Thresholds | None = None
    distance: float | None = None
    notes: tuple[Note, ...] = ()
    opinions: tuple[Opinion, ...] = ()
    container: Container | None = None
    windows: tuple[WindowScore, ...] = ()
    reason: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Basis:
    """What the verdicts of a scan rest on: enough for someone else to repeat it.

    `false_alarm`, `miss` and `confidence` are what the thresholds were fitted for, on `bonafide` and `spoof`
    recordings kept aside in training; None where the user set a threshold of his own. `bands` are the thresholds
    by condition that widen the inconclusive band. `settings` are the options that change results; `created` is
    the time of the scan (ISO 8601, UTC). `models` has one basis each if several models were asked.
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
    bands: tuple[tuple[str, Thresholds], ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    created: str = ""
    models: tuple["Basis", ...] = ()


@dataclass(frozen=True)
class Report:
    """The results of a scan in the order of the files, and their basis; `complete` unless it was interrupted."""

    results: tuple[FileResult, ...]
    basis: Basis
    complete: bool = True

    def __iter__(self) -> Iterator[FileResult]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def counts(self) -> Counter[str]:
        """How many files have each verdict, and how many are `not scored`."""
        return Counter(result.verdict or NOT_SCORED for result in self.results)
