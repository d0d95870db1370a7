"""Several models over one stream of windows: a recording is decoded once, and what it holds is measured once."""

from collections import defaultdict
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepcheck.audio.quality import Quality
from deepcheck.audio.windows import Window
from deepcheck.engine.model import Model
from deepcheck.engine.reference import reference_of
from deepcheck.engine.score import RecordingScores, Scorer, WindowScore, _Open


class Together(Scorer):
    """Scores with the first of `models`, at least one, and with the others whatever window it scores.

    Their windows are of the same length. `recordings` gives the scores of the first one alone, `all_recordings`
    those of all.
    """

    def __init__(self, models: Sequence[Model], device: str) -> None:
        first, *others = models
        super().__init__(
            first.detector,
            first.card.calibration,
            device=device,
            check=True,
            reference=reference_of(first.evidence),
        )
        self.others = [
            Scorer(model.detector, model.card.calibration, device=device, reference=reference_of(model.evidence))
            for model in others
        ]
        self.batch_size = min(scorer.batch_size for scorer in (self, *self.others))
        for other in self.others:
            other.batch_size = self.batch_size
        self._aside: list[dict[int, list[WindowScore]]] = []

    def all_recordings(
        self, paths: Sequence[Path], jobs: int | None = None
    ) -> Generator[tuple[RecordingScores, ...], None, None]:
        """Of each recording the scores of every model, in the order of the models; otherwise as `recordings`."""
        self._aside = [defaultdict(list) for _ in self.others]
        for other in self.others:
            other.detector.eval()
        for scores in self.recordings(paths, jobs):
            windows = [aside.pop(scores.index, []) for aside in self._aside]
            # An error at the end takes back what was scored before it.
            yield scores, *(replace(scores, windows=() if scores.error else tuple(own)) for own in windows)

    def _score(self, batch: list[tuple[int, Window]], opened: dict[int, _Open]) -> set[int]:
        touched = super()._score(batch, opened)
        heard = _latest(batch, opened)
        judged = [i for i, window in enumerate(heard) if window.quality is Quality.SPEECH]
        samples = np.stack([batch[i][1].samples for i in judged]) if judged else None
        for scorer, aside in zip(self.others, self._aside, strict=True):
            llrs, distances = np.full(len(batch), np.nan), np.full(len(batch), np.nan)
            if samples is not None:
                llrs[judged], distances[judged] = _measured(scorer, samples)
            for (index, _), window, llr, distance in zip(batch, heard, llrs, distances, strict=True):
                aside[index].append(replace(window, llr=float(llr), distance=float(distance)))
        return touched


def _measured(scorer: Scorer, windows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(batch, samples) -> (batch,) log-likelihood ratios, and distances (NaN without a reference)."""
    if scorer.reference is None:
        return scorer.llrs(windows), np.full(len(windows), np.nan)
    logits, embeddings = scorer.embeddings(windows)
    return scorer.calibration.llr(logits), scorer.reference.distances(embeddings)


def _latest(batch: list[tuple[int, Window]], opened: dict[int, _Open]) -> list[WindowScore]:
    """What was found of each window of the batch: the last windows of its recordings, in the order of the batch."""
    counts: dict[int, int] = defaultdict(int)
    for index, _ in batch:
        counts[index] += 1
    last = {index: iter(opened[index].windows[-count:]) for index, count in counts.items()}
    return [next(last[index]) for index, _ in batch]
