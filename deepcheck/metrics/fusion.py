"""Several models as one: a weighted sum of their log-likelihood ratios, fitted on what all were developed on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deepcheck.errors import DataError
from deepcheck.metrics.arguments import Scores
from deepcheck.metrics.calibration import Thresholds, fit_thresholds
from deepcheck.metrics.folds import random_folds
from deepcheck.metrics.intervals import tolerated_errors
from deepcheck.metrics.regression import logistic

AT_LEAST = 100
"""Recordings of each label that a fusion is fitted on."""
_MISLABELLED = 0.01  # of recordings that two models call by one id
_FOLDS = 5
_RIDGE = 0.01  # over the number of recordings, as in the calibration of one model


@dataclass(frozen=True)
class Development:
    """What one model says of its development recordings, one row each; all are (recordings,).

    `ids` tell recordings apart and are the same for every model that was developed on them; `labels` are 1 for
    bona fide and 0 for spoof; `llrs` are calibrated natural-log likelihood ratios.
    """

    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    llrs: Scores


@dataclass(frozen=True)
class Common:
    """The recordings that several models have in common: `labels` (recordings,), True for bona fide, and `llrs`
    (recordings, models)."""

    labels: NDArray[np.bool_]
    llrs: NDArray[np.float64]

    @property
    def bonafide(self) -> int:
        """How many are bona fide."""
        return int(self.labels.sum())

    @property
    def spoof(self) -> int:
        """How many are spoofs."""
        return int((~self.labels).sum())

    @property
    def enough(self) -> bool:
        """Whether `fit_fusion` takes them."""
        return min(self.bonafide, self.spoof) >= AT_LEAST


def common(developments: Sequence[Development]) -> Common:
    """The recordings that are in each of `developments` (at least one), in the order of their ids.

    Left out are ids that one model has twice, that do not have the same label everywhere, and scores that are no
    numbers: there is no telling what they belong to. If more than one label in a hundred differs, all are left out:
    then these are different recordings that happen to be called alike.
    """
    ids = _once(developments[0].ids)
    for development in developments[1:]:
        ids = np.intersect1d(ids, _once(development.ids), assume_unique=True)
    rows = [_rows(development.ids, ids) for development in developments]
    labels = np.stack([one.labels[row] for one, row in zip(developments, rows, strict=True)], axis=1) == 1
    llrs = np.stack([one.llrs[row] for one, row in zip(developments, rows, strict=True)], axis=1)
    same = (labels == labels[:, :1]).all(axis=1)
    sound = same & np.isfinite(llrs).all(axis=1) & (np.count_nonzero(~same) <= _MISLABELLED * same.size)
    return Common(labels[sound, 0], llrs[sound].astype(np.float64))


def _once(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    found, counts = np.unique(ids, return_counts=True)
    return found[counts == 1]


def _rows(ids: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.intp]:
    order = np.argsort(ids, kind="stable")
    return order[np.searchsorted(ids, wanted, sorter=order)]


@dataclass(frozen=True)
class Fusion:
    """What makes one log-likelihood ratio of those of several models, and the thresholds on it.

    `weights` has one for each model, none negative. The thresholds are fitted for `false_alarm` and `miss` at
    `confidence`, on so many `bonafide` and `spoof` recordings; a rate that these are too few to show is None.
    """

    weights: tuple[float, ...]
    offset: float
    thresholds: Thresholds
    bonafide: int
    spoof: int
    confidence: float
    false_alarm: float | None
    miss: float | None

    def llr(self, llrs: Scores) -> Scores:
        """(..., models) -> (...): the fused natural-log likelihood ratios of bona fide against spoof."""
        fused: Scores = np.asarray(llrs, np.float64) @ np.array(self.weights) + self.offset
        return fused


def fit_fusion(trials: Common, *, false_alarm: float = 0.01, miss: float = 0.05, confidence: float = 0.95) -> Fusion:
    """The fusion under which `trials` cost the fewest bits (`detection.cllr`), and thresholds on its scores.

    Logistic regression over the models' log-likelihood ratios, each class weighing one half however many recordings
    it has, so that what it gives are log-likelihood ratios again (Brümmer et al., "Fusion of heterogeneous speaker
    recognition systems in the STBU submission", 2007). A model that would get a negative weight is left out: a
    detector that helps only upside down has learnt something about these recordings, not about speech. A ridge as
    small as that of the calibration keeps the weights finite where the classes do not overlap.

    The thresholds (`fit_thresholds`) are fitted on scores that each recording got from the fusion of the four
    fifths to which it does not belong, so that the weights' own fit to these recordings does not flatter them. Where
    no rate can be shown, the threshold lies beyond all recordings.

    `DataError` for fewer than 100 recordings of either label, and where no model tells the labels apart.
    """
    if not trials.enough:
        raise DataError(
            f"The models have {trials.bonafide} genuine and {trials.spoof} synthetic development recordings in common.",
            f"A fusion is fitted on at least {AT_LEAST} of each.",
        )
    weights = fit_weights(trials.labels, trials.llrs)
    if not weights[:-1].any():
        raise DataError("None of the models tells bona fide from spoof on the recordings that they have in common.")
    folds = random_folds(trials.labels, _FOLDS)
    fused = np.empty(trials.labels.size)
    for fold in range(_FOLDS):
        held_out = folds == fold
        others = fit_weights(trials.labels[~held_out], trials.llrs[~held_out])
        fused[held_out] = _with_one(trials.llrs[held_out]) @ others
    bonafide, spoof = fused[trials.labels], fused[~trials.labels]
    thresholds = fit_thresholds(bonafide, spoof, false_alarm=false_alarm, miss=miss, confidence=confidence)
    shows_false_alarm = tolerated_errors(bonafide.size, false_alarm, confidence) is not None
    shows_miss = tolerated_errors(spoof.size, miss, confidence) is not None
    if not shows_false_alarm:
        thresholds = replace(thresholds, spoof=float(np.nextafter(fused.min(), -np.inf)))
    if not shows_miss:
        thresholds = replace(thresholds, bonafide=float(np.nextafter(fused.max(), np.inf)))
    return Fusion(
        tuple(map(float, weights[:-1])),
        float(weights[-1]),
        thresholds,
        bonafide.size,
        spoof.size,
        confidence,
        false_alarm if shows_false_alarm else None,
        miss if shows_miss else None,
    )


def _with_one(llrs: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([llrs, np.ones(len(llrs))])


def fit_weights(labels: NDArray[np.bool_], llrs: NDArray[np.float64]) -> NDArray[np.float64]:
    """(models + 1,): a weight for each model, none negative, and the offset, as in `fit_fusion`.

    `labels` (recordings,) are True for bona fide, `llrs` (recordings, models); uncalibrated logits will do as well.
    """
    counts = np.where(labels, labels.sum(), (~labels).sum())
    rows = np.where(labels, 1.0, -1.0)[:, None] * _with_one(llrs)
    weights = np.zeros(rows.shape[1])
    active = np.ones(rows.shape[1], bool)
    while True:
        weights[:] = 0
        weights[active] = logistic(rows[:, active], 0.5 / counts, _RIDGE / counts.min())
        worst = int(weights[:-1].argmin())
        if weights[worst] >= 0:
            return weights
        active[worst] = False
