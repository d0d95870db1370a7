"""The one inference path: recordings in, window scores out. Scan, eval and training's dev pass all use it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from deepcheck.audio.decode import SAMPLE_RATE
from deepcheck.audio.quality import Quality, assess
from deepcheck.audio.windows import Window
from deepcheck.detectors.base import Detector
from deepcheck.engine.read_ahead import Change, read_ahead
from deepcheck.errors import ConfigError
from deepcheck.metrics.calibration import Calibration
from deepcheck.runtime import autocast, cores, full_float32, move, pick_device, pick_dtype

_GPU_BATCH = 64
_IDENTITY = Calibration(1.0, 0.0)


@dataclass(frozen=True)
class WindowScore:
    """`llr` of the stretch from `start_s` to `end_s`; NaN where `quality` says why it was not scored.

    `speech` is the share of the window in which somebody speaks; without a check of quality it is 1.
    """

    start_s: float
    end_s: float
    llr: float
    quality: Quality
    speech: float


@dataclass(frozen=True)
class RecordingScores:
    """The windows of one recording in order of time, or the reason why it could not be decoded."""

    index: int
    path: Path
    duration_s: float = 0.0
    windows: tuple[WindowScore, ...] = ()
    error: str | None = None

    def mean_llr(self) -> float:
        """The mean over the scored windows; NaN if there are none."""
        scored = [window.llr for window in self.windows if window.quality is Quality.SPEECH]
        return float(np.mean(scored)) if scored else float("nan")


@dataclass
class _Open:
    """A recording under way: what is known of it so far, and how many of its windows are still to be scored."""

    windows: list[WindowScore] = field(default_factory=list)
    waiting: int = 0
    duration_s: float = 0.0
    error: str | None = None
    ended: bool = False


class Scorer:
    """Scores windows and whole recordings with one detector on one device.

    `calibration` turns logits into natural-log likelihood ratios (without one, scores are logits). `check`
    leaves windows without speech, clipped or silent ones unscored. `batch_size` defaults to what suits the
    architecture; `precision` fp32 is the reference, `auto` takes bfloat16 where it is native.
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
    ) -> None:
        self.device = pick_device(device) if isinstance(device, str) else device
        self.dtype = pick_dtype(precision, self.device)
        self.detector = detector
        move(detector, self.device)
        self.calibration = calibration or _IDENTITY
        self.batch_size = batch_size or (_GPU_BATCH if self.device.type == "cuda" else detector.cpu_batch)
        self.check = check
        self.size = round(detector.window_s * SAMPLE_RATE)
        self.hop = self.size // 2

    def logits(self, windows: NDArray[np.float32]) -> NDArray[np.float64]:
        """(batch, samples) -> (batch,) logits; the detector must be in eval mode."""
        with torch.inference_mode(), autocast(self.device, self.dtype), full_float32():
            scores = self.detector.score(torch.from_numpy(windows).to(self.device))
            logits: NDArray[np.float64] = scores.double().cpu().numpy()
        return logits

    def llrs(self, windows: NDArray[np.float32]) -> NDArray[np.float64]:
        """(batch, samples) -> (batch,) calibrated log-likelihood ratios."""
        return self.calibration.llr(self.logits(windows))

    def recordings(
        self, paths: Sequence[Path], jobs: int | None = None, change: Change | None = None
    ) -> Iterator[RecordingScores]:
        """Scores of every recording, each as soon as it is whole, in no promised order.

        `jobs` threads decode while this one computes; memory is bounded by their number and the batch size,
        not by the length of a recording. A recording that cannot be decoded comes with `error` set.

        `change(index, waveform)` gives what is scored in the place of a recording, (samples,) at 16 kHz; it
        is called in the threads, and the recordings under way are then held in memory as a whole. An
        `AudioError` of its own is the error of that recording. Times are those of the changed recording.
        """
        if jobs is not None and jobs < 1:
            raise ConfigError(f"The number of jobs is {jobs}.", "Give at least 1.")
        self.detector.eval()
        opened: dict[int, _Open] = {}
        batch: list[tuple[int, Window]] = []
        for index, item in read_ahead(paths, self.size, self.hop, jobs or cores(), 4 * self.batch_size, change):
            recording = opened.setdefault(index, _Open())
            if isinstance(item, Window):
                recording.waiting += 1
                recording.duration_s = item.end / SAMPLE_RATE
                batch.append((index, item))
                if len(batch) == self.batch_size:
                    touched = self._score(batch, opened)
                    batch = []
                    yield from self._finished(touched, opened, paths)
            else:
                recording.ended = True
                recording.duration_s, recording.error = item
                yield from self._finished({index}, opened, paths)
        if batch:
            yield from self._finished(self._score(batch, opened), opened, paths)

    def _score(self, batch: list[tuple[int, Window]], opened: dict[int, _Open]) -> set[int]:
        stacked = np.stack([window.samples for _, window in batch])
        if self.check:
            qualities, speech = assess(stacked)
        else:
            qualities, speech = [Quality.SPEECH] * len(batch), np.ones(len(batch))
        judged = [i for i, quality in enumerate(qualities) if quality is Quality.SPEECH]
        llrs = np.full(len(batch), np.nan)
        if judged:
            llrs[judged] = self.llrs(stacked[judged])
        for i, (index, window) in enumerate(batch):
            opened[index].waiting -= 1
            opened[index].windows.append(
                WindowScore(
                    window.start / SAMPLE_RATE,
                    window.end / SAMPLE_RATE,
                    float(llrs[i]),
                    qualities[i],
                    float(speech[i]),
                )
            )
        return {index for index, _ in batch}

    def _finished(
        self, candidates: set[int], opened: dict[int, _Open], paths: Sequence[Path]
    ) -> Iterator[RecordingScores]:
        for index in sorted(candidates):
            recording = opened[index]
            if recording.ended and not recording.waiting:
                del opened[index]
                # An error at the end (a truncated file) takes back what was scored before it.
                windows = () if recording.error else tuple(recording.windows)
                yield RecordingScores(index, paths[index], recording.duration_s, windows, recording.error)
