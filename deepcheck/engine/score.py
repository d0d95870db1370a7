"""The one inference path: recordings in, window scores out. Scan, eval and training's dev pass all use it."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from deepcheck.audio.container import Container
from deepcheck.audio.decode import SAMPLE_RATE
from deepcheck.audio.quality import Assessment, Quality, assess
from deepcheck.audio.windows import Window
from deepcheck.detectors.base import Detector
from deepcheck.engine.graph import Graph
from deepcheck.engine.lanes import Lanes, lanes_for
from deepcheck.engine.read_ahead import Change, End, read_ahead
from deepcheck.engine.reference import Reference
from deepcheck.engine.rounded import Rounded
from deepcheck.errors import ConfigError
from deepcheck.metrics.calibration import Calibration
from deepcheck.runtime import autocast, cores, device_errors, full_float32, move, pick_device, pick_dtype

_GPU_BATCH = 64
_IDENTITY = Calibration(1.0, 0.0)


@dataclass(frozen=True)
class WindowScore:
    """`llr` of the stretch from `start_s` to `end_s`; NaN where `quality` says why it was not scored.

    `speech` is the share of the window in which somebody speaks; without a check of quality it is 1. `snr_db`,
    `bandwidth_hz`, `level_db` (`surface.Surface` has their meaning) and `distance` from what the detector was
    trained on are NaN where they were not measured.
    """

    start_s: float
    end_s: float
    llr: float
    quality: Quality
    speech: float
    snr_db: float = float("nan")
    bandwidth_hz: float = float("nan")
    level_db: float = float("nan")
    distance: float = float("nan")


@dataclass(frozen=True)
class RecordingScores:
    """The windows of one recording in order of time, or the reason why it could not be decoded.

    `container` is what its file says of itself, if it does.
    """

    index: int
    path: Path
    duration_s: float = 0.0
    windows: tuple[WindowScore, ...] = ()
    error: str | None = None
    container: Container | None = None

    def llrs(self) -> NDArray[np.float64]:
        """Of the scored windows, in order of time."""
        return np.array([window.llr for window in self.windows if window.quality is Quality.SPEECH])

    def mean_llr(self) -> float:
        """The mean over the scored windows; NaN if there are none."""
        llrs = self.llrs()
        return float(llrs.mean()) if llrs.size else float("nan")

    def distance(self) -> float:
        """The median over the windows of which it is known; NaN if there are none."""
        known = [window.distance for window in self.windows if not np.isnan(window.distance)]
        return float(np.median(known)) if known else float("nan")


Recordings = tuple[RecordingScores, ...]  # of one recording, by each scorer


@dataclass
class _Open:
    """A recording under way: what each scorer says of its windows so far, and how many are still to be scored."""

    windows: list[tuple[WindowScore, ...]] = field(default_factory=list)
    waiting: int = 0
    end: End | None = None


class Scorer:
    """Scores windows and whole recordings with one detector on one device.

    `calibration` turns logits into natural-log likelihood ratios (without one, scores are logits). `check` leaves
    windows unscored that hold no speech, or speech that nothing can be said of (`quality.Quality`), and measures all
    of them. With a `reference` of this detector, scored windows have a distance from what it was trained on.
    `batch_size` defaults to what suits the architecture; `precision` fp32 is the reference, `auto` takes bfloat16
    where it is native. With a `graph` of this detector, on the CPU and in fp32, that computes in its place, but for the
    features.
    """

    def __init__(
        self,
        detector: Detector,
        calibration: Calibration | None = None,
        *,
        device: str | torch.device = "auto",
        precision: str = "fp32",
        batch_size: int | None = None,
        check: bool = False,
        reference: Reference | None = None,
        graph: Graph | None = None,
    ) -> None:
        self.device = pick_device(device) if isinstance(device, str) else device
        self.dtype = pick_dtype(precision, self.device)
        self.detector = detector
        with device_errors(self.device):
            move(detector, self.device)
        self.calibration = calibration or _IDENTITY
        self.batch_size = batch_size or (_GPU_BATCH if self.device.type == "cuda" else detector.cpu_batch)
        on_cpu = self.device.type == "cpu"
        self.graph = graph if on_cpu and self.dtype == torch.float32 else None
        self._rounded = Rounded(detector) if on_cpu and self.dtype == torch.bfloat16 else None
        self.check = check
        # A file may claim to know of embeddings that its detector does not have.
        self.reference = reference if reference is not None and detector.has_embedding else None
        self.size = round(detector.window_s * SAMPLE_RATE)
        self.hop = self.size // 2

    def logits(self, windows: NDArray[np.float32]) -> NDArray[np.float64]:
        """(batch, samples) -> (batch,) logits; the detector must be in eval mode."""
        if self.graph is not None:
            return self._by_graph(windows)[0]
        if self.detector.has_embedding:
            return self.embeddings(windows)[0]
        with self._computing() as detector, autocast(self.device, self.dtype):
            scores: NDArray[np.float64] = detector.score(self._whole(windows)).double().cpu().numpy()
        return scores[: len(windows)]

    def embeddings(self, windows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(batch, samples) -> (batch,) logits as `logits` gives them, and the (batch, values) they are made from."""
        if self.graph is not None:
            logits, embeddings = self._by_graph(windows)
            assert embeddings is not None
            return logits, embeddings
        with self._computing() as detector:
            with autocast(self.device, self.dtype):
                embedding = detector.embedded(detector.features(self._whole(windows)))
            # In float32: in bfloat16 a logit of 4 has but 32 neighbours on the way to 8.
            scores = detector.logit_of(embedding.float())
            return scores.double().cpu().numpy()[: len(windows)], embedding.double().cpu().numpy()[: len(windows)]

    @contextmanager
    def _computing(self) -> Iterator[Detector]:
        """The detector that computes, and all that has to be so meanwhile."""
        with device_errors(self.device), torch.inference_mode(), self._in_full():
            if self._rounded is None:
                yield self.detector
            else:
                with self._rounded as detector:
                    yield detector

    def _in_full(self) -> AbstractContextManager[None]:
        # A setting of the whole process, which lanes would put back in the wrong order; a CPU has no TF32.
        return nullcontext() if self.device.type == "cpu" else full_float32()

    def _by_graph(self, windows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        assert self.graph is not None
        with torch.inference_mode():
            logits, embeddings = self.graph(self.detector.features(self._whole(windows)))
        return logits[: len(windows)], None if embeddings is None else embeddings[: len(windows)]

    def _whole(self, windows: NDArray[np.float32]) -> torch.Tensor:
        # Filled up to whole batches: the order in which sums are taken depends on their size, and what is said of a
        # recording must not depend, to the last bit, on what else is scanned, or what was before a scan was stopped.
        missing = -len(windows) % self.batch_size
        return torch.from_numpy(np.pad(windows, ((0, missing), (0, 0)))).to(self.device)

    def llrs(self, windows: NDArray[np.float32]) -> NDArray[np.float64]:
        """(batch, samples) -> (batch,) calibrated log-likelihood ratios."""
        return self.calibration.llr(self.logits(windows))

    def measured(self, windows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(batch, samples) -> (batch,) calibrated log-likelihood ratios, and distances (NaN without a reference)."""
        if self.reference is None:
            return self.llrs(windows), np.full(len(windows), np.nan)
        logits, embeddings = self.embeddings(windows)
        return self.calibration.llr(logits), self.reference.distances(embeddings)

    def recordings(
        self, paths: Sequence[Path], jobs: int | None = None, change: Change | None = None
    ) -> Iterator[RecordingScores]:
        """As `score_together`, of this scorer alone."""
        for (scores,) in score_together([self], paths, jobs, change):
            yield scores


def score_together(
    scorers: Sequence[Scorer],
    paths: Sequence[Path],
    jobs: int | None = None,
    change: Change | None = None,
    timeout_s: float | None = None,
) -> Generator[Recordings, None, None]:
    """Of every recording the scores of each scorer, as soon as it is whole, in no promised order.

    `scorers`, at least one, have windows of one length and batches of one size. Each recording is decoded once, and
    the first scorer says whether windows are checked, which is done once as well.

    `jobs` threads decode while others compute (`lanes.Lanes`); memory is bounded by their numbers and the batch size,
    not by the length of a recording. A recording that cannot be decoded comes with `error` set. With `timeout_s`
    files are from strangers: they are decoded in processes of their own, each for no longer (`isolated.decode`).

    `change(index, waveform)` gives what is scored in the place of a recording, (samples,) at 16 kHz; it
    is called in the threads, and the recordings under way are then held in memory as a whole. An
    `AudioError` of its own is the error of that recording. Times are those of the changed recording.
    """
    if jobs is not None and jobs < 1:
        raise ConfigError(f"The number of jobs is {jobs}.", "Give at least 1.")
    for scorer in scorers:
        scorer.detector.eval()
    first = scorers[0]
    opened: dict[int, _Open] = {}
    batch: list[tuple[int, Window]] = []

    def finished(indices: Sequence[int], found: Sequence[tuple[WindowScore, ...]]) -> Iterator[Recordings]:
        """Puts what was `found` of windows where it belongs; the recordings that are whole thereby."""
        for index, scores in zip(indices, found, strict=True):
            opened[index].waiting -= 1
            opened[index].windows.append(scores)
        yield from closed(set(indices))

    def closed(candidates: set[int]) -> Iterator[Recordings]:
        for index in sorted(candidates):
            if opened[index].end is not None and not opened[index].waiting:
                yield _closed(index, paths[index], opened.pop(index), len(scorers))

    def begun() -> Iterator[Recordings]:
        """Begins with the batch, and gives what has become whole meanwhile."""
        indices, windows = [index for index, _ in batch], [window for _, window in batch]
        batch.clear()
        for done, found in lanes.give(indices, lambda: list(_scored(scorers, windows))):
            yield from finished(done, found)

    count = lanes_for(first.device)
    ahead = (3 + count) * first.batch_size
    with Lanes[list[int], list[tuple[WindowScore, ...]]](count) as lanes:
        for index, item in read_ahead(paths, first.size, first.hop, jobs or cores(), ahead, change, timeout_s):
            recording = opened.setdefault(index, _Open())
            if isinstance(item, Window):
                recording.waiting += 1
                batch.append((index, item))
                if len(batch) == first.batch_size:
                    yield from begun()
            else:
                recording.end = item
                yield from closed({index})
        if batch:
            yield from begun()
        for done, found in lanes.rest():
            yield from finished(done, found)


def _closed(index: int, path: Path, recording: _Open, scorers: int) -> tuple[RecordingScores, ...]:
    assert recording.end is not None
    duration_s, error, container = recording.end
    # An error at the end (a truncated file) takes back what was scored before it.
    whole = recording.windows if error is None else []
    timelines = zip(*whole, strict=True) if whole else [()] * scorers
    return tuple(RecordingScores(index, path, duration_s, one, error, container) for one in timelines)


def _scored(scorers: Sequence[Scorer], windows: Sequence[Window]) -> Iterator[tuple[WindowScore, ...]]:
    """Of each window what each of the scorers says."""
    stacked = np.stack([window.samples for window in windows])
    found = assess(stacked) if scorers[0].check else _unchecked(len(windows))
    judged = [i for i, quality in enumerate(found.qualities) if quality is Quality.SPEECH]
    llrs, distances = np.full((2, len(scorers), len(windows)), np.nan)
    if judged:
        for number, scorer in enumerate(scorers):
            llrs[number, judged], distances[number, judged] = scorer.measured(stacked[judged])
    for i, window in enumerate(windows):
        yield tuple(
            WindowScore(
                window.start / SAMPLE_RATE,
                window.end / SAMPLE_RATE,
                float(llr),
                found.qualities[i],
                float(found.speech[i]),
                float(found.snr_db[i]),
                float(found.bandwidth_hz[i]),
                float(found.level_db[i]),
                float(distance),
            )
            for llr, distance in zip(llrs[:, i], distances[:, i], strict=True)
        )


def _unchecked(windows: int) -> Assessment:
    unknown = np.full(windows, np.nan)
    return Assessment([Quality.SPEECH] * windows, np.ones(windows), unknown, unknown, unknown)
