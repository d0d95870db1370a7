"""The shortcut audit: how far one comes on a test set without listening, and how much of a model's score that is.

Silence and the like have passed for progress before (Müller et al. 2021, arXiv:2106.12914; Shim et al. 2023,
arXiv:2306.00044): a low EER on a set that its surface solves shows little.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray

from deepcheck.audio.surface import FAMILIES, Surface
from deepcheck.data.utterance import Label, Utterance
from deepcheck.engine.evaluate import Trial
from deepcheck.engine.surfaces import Surfaces
from deepcheck.errors import DataError
from deepcheck.metrics import measurement
from deepcheck.metrics.detection import auc, eer
from deepcheck.metrics.folds import Folds, group_folds, random_folds
from deepcheck.metrics.intervals import Interval
from deepcheck.metrics.regression import linear, logistic
from deepcheck.metrics.table import EER

Numbers = NDArray[np.float64]
Labels = NDArray[np.bool_]

ALL = "all together"
SOLVED_EER, SOLVED_HIGH = 0.25, 0.35
"""What solves a set without listening stays below both, below the second with the upper end of its interval.

No detector worth a test is as bad as 0.25, but a model that hears nothing could pass for half a success with it.
The second keeps small sets, where chance comes down to 0.25, from giving an alarm.
"""

_FOLDS = 5  # and the fewest sources by which to split
_LEAST = 10  # trials of a label
_RIDGE = 0.01
_RESAMPLES = 500
_NAMES = [field.name for field in fields(Surface)]
_COLUMNS = {**FAMILIES, ALL: tuple(_NAMES)}


@dataclass(frozen=True)
class FamilyRow:
    """What a family of surface features scores by itself, out of fold; `eer` is a fraction, 0.5 is chance."""

    family: str
    features: tuple[str, ...]
    eer: float
    eer_interval: Interval
    auc: float

    @property
    def solves(self) -> bool:
        """Whether a low EER on this set shows little because of this family."""
        return self.eer < SOLVED_EER and self.eer_interval.high < SOLVED_HIGH


@dataclass(frozen=True)
class FeatureRow:
    """One field of `Surface`: the median of each label, and the chance that a bona fide trial has the larger value."""

    name: str
    family: str
    bonafide: float
    spoof: float
    auc: float


@dataclass(frozen=True)
class Audit:
    """What `audit` finds: a row for each family, `ALL` last, and for each feature; `folds` says how it was split."""

    protocol: str
    bonafide: int
    spoof: int
    folds: str
    rows: tuple[FamilyRow, ...]
    features: tuple[FeatureRow, ...]
    skipped: tuple[tuple[Utterance, str], ...]

    @property
    def warning(self) -> str | None:
        """A sentence on the row of the lowest EER if the set can be solved without listening, else None."""
        solved = [row for row in self.rows if row.solves]
        if not solved:
            return None
        best = min(solved, key=lambda row: row.eer)
        what = "all surface features together reach" if best.family == ALL else f"{best.family} alone reaches"
        rate, low, high = (f"{100 * end:.1f}" for end in (best.eer, best.eer_interval.low, best.eer_interval.high))
        return (
            f"This set can be solved without listening: {what} an EER of {rate} % ({low} to {high} %). "
            "A low EER of a detector shows little here."
        )


@dataclass(frozen=True)
class ExplainedRow:
    """The share of the variance of a model's scores that a family explains, in all and among the trials of a label.

    R² out of fold, so 0 or below where it explains nothing; None for fewer than 10 trials and for scores that are
    all the same.
    """

    family: str
    overall: float | None
    bonafide: float | None
    spoof: float | None


def audit(surfaces: Surfaces) -> Audit:
    """What each family of surface features, and all together, score on these trials without any listening.

    Each is a logistic regression on the features and their squares, both labels weighing one half. Trials are
    scored by a regression that has seen nothing of their fold: nothing of their source, where 5 sources and
    more allow it, so that what is found holds beyond the place where it was found; intervals are 95 % bootstrap
    percentiles over whole sources then, else over trials. Where there is nothing to be found, an EER out of fold
    comes out above 0.5 more often than below. `DataError` with fewer than 10 trials of a label.
    """
    labels = np.array([utterance.label is Label.BONAFIDE for utterance in surfaces.utterances], bool)
    counts = int(labels.sum()), int((~labels).sum())
    if min(counts) < _LEAST:
        raise DataError(
            f"{surfaces.protocol}: an audit needs at least {_LEAST} recordings of each label that can be read.",
            "Take a larger set.",
        )
    table = _table(surfaces.surfaces)
    split = _split(surfaces.utterances, labels)
    rows = []
    for family, names in _COLUMNS.items():
        scores = _out_of_fold(_columns(table, names), labels, split.folds, _fit_labels)
        rows.append(
            FamilyRow(family, names, _eer(scores, labels), _interval(scores, labels, split), _auc(scores, labels))
        )
    features = [
        FeatureRow(
            name, family, float(np.median(column[labels])), float(np.median(column[~labels])), _auc(column, labels)
        )
        for family, names in FAMILIES.items()
        for name, column in zip(names, _columns(table, names).T, strict=True)
    ]
    return Audit(surfaces.protocol, *counts, split.words, tuple(rows), tuple(features), surfaces.skipped)


def explained(surfaces: Surfaces, trials: Iterable[Trial]) -> tuple[ExplainedRow, ...]:
    """How much of the scores of a model each family explains, `ALL` last.

    `trials` are those of an `Evaluation` on the same protocol; ones without a surface are left out. Each share
    is that of a ridge regression of the scores on the features and their squares, over 5 folds at random: by
    source it would say how many sources there are rather than what the model does. So it is an upper bound:
    where every source has a surface of its own, that also stands for all else in which sources differ.
    """
    llrs = {trial.utterance.id: trial.llr for trial in trials if np.isfinite(trial.llr)}
    both = [(u, s, llrs[u.id]) for u, s in zip(surfaces.utterances, surfaces.surfaces, strict=True) if u.id in llrs]
    labels = np.array([u.label is Label.BONAFIDE for u, _, _ in both], bool)
    folds = random_folds(labels, _FOLDS)
    table, scores = _table([s for _, s, _ in both]), np.array([llr for _, _, llr in both], np.float64)
    parts = (np.ones_like(labels), labels, ~labels)
    return tuple(
        ExplainedRow(family, *(_share(_columns(table[part], names), scores[part], folds[part]) for part in parts))
        for family, names in _COLUMNS.items()
    )


@dataclass(frozen=True)
class _Split:
    """The fold of each trial, the groups that belong together (None: every trial is its own), and all that in words."""

    folds: Folds
    groups: NDArray[np.int64] | None
    words: str


def _split(utterances: Sequence[Utterance], labels: Labels) -> _Split:
    sources = len({utterance.source for utterance in utterances if utterance.source})
    groups = [utterance.source or utterance.id for utterance in utterances]
    if sources >= _FOLDS:
        folds = group_folds(labels, groups, _FOLDS)
        left = [labels[folds != fold] for fold in np.unique(folds)]
        if all(min(rest.sum(), (~rest).sum()) >= _LEAST // 2 for rest in left):
            numbers = np.unique(np.asarray(groups), return_inverse=True)[1]
            return _Split(folds, numbers, f"{len(left)} folds by source ({sources} sources)")
        why = f"a label lies almost wholly in one fold of the {sources} sources"
    else:
        why = f"{sources} sources are too few to split by" if sources else "no sources are known"
    return _Split(random_folds(labels, _FOLDS), None, f"{_FOLDS} random folds ({why})")


def _table(surfaces: Iterable[Surface]) -> Numbers:
    """(trials, features)"""
    return np.array([astuple(surface) for surface in surfaces], np.float64).reshape(-1, len(_NAMES))


def _columns(table: Numbers, names: Iterable[str]) -> Numbers:
    return table[:, [_NAMES.index(name) for name in names]]


def _out_of_fold(
    features: Numbers, targets: Numbers | Labels, folds: Folds, fit: Callable[[Numbers, Numbers, Numbers], Numbers]
) -> Numbers:
    """(trials,) what weights fitted to the other folds, `fit(rows, targets, ridge)`, make of each."""
    scores = np.zeros(len(features))
    ridge = np.array([0.0, *[_RIDGE] * (2 * features.shape[1])])  # none on the constant
    for fold in np.unique(folds):
        held = folds == fold
        rows = _standardised(features, features[~held])
        scores[held] = rows[held] @ fit(rows[~held], targets[~held], ridge)
    return scores


def _standardised(features: Numbers, seen: Numbers) -> Numbers:
    """A constant, the features and their squares, of mean 0 and deviation 1 over the trials `seen`.

    What is more extreme than all but 1 % of them counts as that: an hour must not outweigh a thousand seconds.
    """
    low = np.quantile(seen, 0.01, axis=0, method="higher")
    high = np.quantile(seen, 0.99, axis=0, method="lower")
    middle, spread = _moments(np.clip(seen, low, high))
    scaled = (np.clip(np.concatenate([features, seen]), low, high) - middle) / spread
    both = np.concatenate([scaled, scaled**2], axis=1)
    middle, spread = _moments(both[len(features) :])
    return np.column_stack([np.ones(len(features)), (both[: len(features)] - middle) / spread])


def _moments(features: Numbers) -> tuple[Numbers, Numbers]:
    spread = features.std(axis=0)
    return features.mean(axis=0), np.where(spread > 0.0, spread, 1.0)


def _fit_labels(rows: Numbers, labels: Numbers, ridge: Numbers) -> Numbers:
    bonafide = labels.astype(bool)
    importance = np.where(bonafide, 0.5 / bonafide.sum(), 0.5 / (~bonafide).sum())
    return logistic(np.where(bonafide, 1.0, -1.0)[:, None] * rows, importance, ridge)


def _share(features: Numbers, scores: Numbers, folds: Folds) -> float | None:
    if len(scores) < _LEAST or np.ptp(scores) == 0.0:
        return None
    left = scores - _out_of_fold(features, scores, folds, linear)
    return 1.0 - float(np.sum(left**2) / np.sum((scores - scores.mean()) ** 2))


def _eer(scores: Numbers, labels: Labels) -> float:
    return eer(scores[labels], scores[~labels])[0]


def _auc(scores: Numbers, labels: Labels) -> float:
    return auc(scores[labels], scores[~labels])


def _interval(scores: Numbers, labels: Labels, split: _Split) -> Interval:
    if split.groups is None:
        return measurement.measure([EER], scores[labels], scores[~labels], resamples=_RESAMPLES)[0].interval
    members = np.split(np.argsort(split.groups, kind="stable"), np.cumsum(np.bincount(split.groups))[:-1])
    draw = np.random.default_rng(0)
    values = []
    for _ in range(_RESAMPLES):
        trials = np.concatenate([members[group] for group in draw.integers(len(members), size=len(members))])
        if 0 < labels[trials].sum() < trials.size:
            values.append(_eer(scores[trials], labels[trials]))
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(float(low), float(high))
