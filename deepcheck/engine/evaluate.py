"""How well a model does on labelled recordings."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepcheck.audio.conditions import Condition
from deepcheck.audio.decode import Waveform
from deepcheck.card import Card
from deepcheck.data.utterance import Label, Protocol, Utterance
from deepcheck.engine.cost import Cost, cost_of
from deepcheck.engine.model import Model
from deepcheck.engine.score import Scorer
from deepcheck.engine.score_journal import Entry, ScoreJournal
from deepcheck.errors import DataError
from deepcheck.metrics.calibration import Thresholds
from deepcheck.metrics.detection import eer
from deepcheck.metrics.intervals import Interval, proportion
from deepcheck.metrics.measurement import Measurement, measure
from deepcheck.metrics.metric import Metric
from deepcheck.metrics.table import EER, METRICS, carried_over

Scores = NDArray[np.float64]
CLEAN = "clean"
# Upper ends of the groups of `by("duration")`, in seconds.
DURATIONS_S = (2, 5, 10, 30)
GROUP_RESAMPLES = 300  # for the interval of each group, of which there may be dozens


@dataclass(frozen=True, slots=True)
class Trial:
    """A labelled recording and its log-likelihood ratio; `duration_s` is NaN where only its score is known."""

    utterance: Utterance
    llr: float
    duration_s: float


@dataclass(frozen=True)
class Rate:
    """A share of recordings: `count` of `total`, with its 95 % interval (Wilson)."""

    count: int
    total: int

    @property
    def value(self) -> float:
        """`count / total`."""
        return self.count / self.total

    @property
    def interval(self) -> Interval:
        """The 95 % interval of the share."""
        return proportion(self.count, self.total)


@dataclass(frozen=True)
class Verdicts:
    """What a model's stored thresholds make of the trials.

    `false_alarms` are genuine recordings called spoof, `missed` spoofs called bona fide, `caught` spoofs called
    spoof, `cleared` genuine recordings called bona fide.
    """

    false_alarms: Rate
    cleared: Rate
    missed: Rate
    caught: Rate


@dataclass(frozen=True)
class GroupRow:
    """One attack, source, language ...: its trials, and its EER against `against` (None where it has none).

    A group of both labels is compared within itself; one that holds a single label with all trials of the other.
    `called_spoof` is None for scores without thresholds.
    """

    name: str
    bonafide: int
    spoof: int
    eer: float
    eer_interval: Interval
    called_spoof: Rate | None
    within: bool


@dataclass(frozen=True)
class SameSource:
    """The comparison that no place can win: trials of the sources that hold both labels.

    `eer` pools them, `mean_eer` is the mean of each source's own, over those with at least `floor` trials of
    each label.
    """

    sources: int
    bonafide: int
    spoof: int
    eer: float
    eer_interval: Interval
    mean_eer: float | None
    floor: int


@dataclass(frozen=True)
class Evaluation:
    """The trials of one model on one protocol, and the recordings that could not be scored, with the reason.

    `thresholds` are None for scores that came from elsewhere. `threshold` is the one that HTER and the two error rates
    are taken at: 0, where the calibration of the model balances the labels on the set that it was fitted on, or one
    that was chosen on other trials. `extra` are metrics beyond those of `METRICS`.
    """

    model: str
    protocol: str
    thresholds: Thresholds | None
    trials: tuple[Trial, ...]
    skipped: tuple[tuple[Utterance, str], ...]
    condition: str = CLEAN
    cost: Cost | None = None
    threshold: float = 0.0
    extra: tuple[Metric, ...] = ()

    def scores(self) -> tuple[Scores, Scores]:
        """(bona fide, spoof) log-likelihood ratios, in the order of the trials."""
        return _by_label(self.trials)

    @cached_property
    def measurements(self) -> dict[str, Measurement]:
        """Every metric by name, with its 95 % interval."""
        metrics = [*METRICS.values(), *carried_over(self.threshold), *self.extra]
        return {one.metric.name: one for one in measure(metrics, *self.scores())}

    @cached_property
    def verdicts(self) -> Verdicts | None:
        """What the stored thresholds make of the trials; None where there are none."""
        if self.thresholds is None:
            return None
        low, high = self.thresholds.spoof, self.thresholds.bonafide
        bonafide, spoof = self.scores()
        alarms, caught = (Rate(int((s <= low).sum()), len(s)) for s in (bonafide, spoof))
        cleared, missed = (Rate(int(((s >= high) & (s > low)).sum()), len(s)) for s in (bonafide, spoof))
        return Verdicts(alarms, cleared, missed, caught)

    @cached_property
    def same_source(self) -> SameSource | None:
        """Figures over the sources that hold both labels; None if no source does."""
        floor = 5
        groups = [g for name, g in _grouped(self.trials, "source").items() if name and _has_both(g)]
        if not groups:
            return None
        bonafide, spoof = _by_label(trial for group in groups for trial in group)
        own = [_by_label(group) for group in groups]
        own_eers = [eer(b, s)[0] for b, s in own if min(len(b), len(s)) >= floor]
        [pooled] = measure([EER], bonafide, spoof)
        mean = float(np.mean(own_eers)) if own_eers else None
        return SameSource(len(groups), len(bonafide), len(spoof), pooled.value, pooled.interval, mean, floor)

    @cached_property
    def _groups(self) -> dict[str, list[GroupRow]]:
        return {}

    def by(self, key: str) -> list[GroupRow]:
        """A row for each value of a field or tag, the largest group first; trials without one are left out.

        For `attack`, which only spoofs have, the genuine trials are the same in every row. `duration` makes groups of
        similar length, the shortest first.
        """
        if key not in self._groups:
            self._groups[key] = self._rows(key)
        return self._groups[key]

    def _rows(self, key: str) -> list[GroupRow]:
        everyone = dict(zip(("bonafide", "spoof"), self.scores(), strict=True))
        rows = []
        for name, group in _grouped(self.trials, key).items():
            if not name:
                continue
            bonafide, spoof = _by_label(group)
            within = bool(len(bonafide) and len(spoof))
            against = (bonafide if len(bonafide) else everyone["bonafide"], spoof if len(spoof) else everyone["spoof"])
            [own] = measure([EER], *against, resamples=GROUP_RESAMPLES)
            called = None
            if self.thresholds is not None:
                called = Rate(sum(trial.llr <= self.thresholds.spoof for trial in group), len(group))
            rows.append(GroupRow(name, len(bonafide), len(spoof), own.value, own.interval, called, within))
        if key == DURATION:
            return sorted(rows, key=lambda row: _DURATION_NAMES.index(row.name))
        return sorted(rows, key=lambda row: -(row.bonafide + row.spoof))


def evaluate(
    model: Model,
    protocol: Protocol,
    *,
    device: str = "auto",
    jobs: int | None = None,
    condition: Condition | None = None,
    journal: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score every labelled recording of `protocol`; `progress(done, total)` is called after each.

    Recordings are scored whole, with the windows and the mean that a scan uses, whether or not they hold
    speech, so that models are compared on the same trials; through `condition` if there is one. What is done is
    written to `journal`, from which a stopped evaluation goes on. Raises `DataError` if a label has no trial left.
    """
    card = model.card
    require_calibration(card)
    utterances = labelled(protocol)
    name = condition.name if condition else CLEAN
    with ScoreJournal(journal, model.sha256, name, utterances) as done:
        fresh = [index for index in range(len(utterances)) if index not in done.entries]
        scorer = Scorer(model.detector, card.calibration, device=device)
        change = _change(condition, [utterances[index] for index in fresh]) if condition and name != CLEAN else None
        began = time.monotonic()
        for scores in scorer.recordings([utterances[index].path for index in fresh], jobs, change):
            done.add(Entry(fresh[scores.index], scores.mean_llr(), scores.duration_s, scores.error))
            if progress:
                progress(len(done.entries), len(utterances))
        spent = time.monotonic() - began
    entries = [done.entries[index] for index in sorted(done.entries)]
    heard = sum(done.entries[index].duration_s for index in fresh if done.entries[index].error is None)
    found = assembled(card.name, protocol, entries, card.thresholds)
    return replace(found, condition=name, cost=cost_of(model.detector, spent / heard if heard else None))


def require_calibration(card: Card) -> None:
    """`DataError` for a model whose scores nobody has calibrated."""
    if card.calibration is None or card.thresholds is None:
        raise DataError(f'The model "{card.name}" has no calibration.', "Train it with deepcheck train.")


def labelled(protocol: Protocol) -> Sequence[Utterance]:
    """Its utterances with a label; `DataError` unless there are both."""
    utterances = [utterance for utterance in protocol.utterances if utterance.label is not None]
    if not utterances:
        raise DataError(f"{protocol.describe()} has no labels.", "An evaluation needs them; use deepcheck scan.")
    protocol.require_both_labels()
    return utterances


def assembled(
    model: str, protocol: Protocol, entries: Iterable[Entry], thresholds: Thresholds | None = None
) -> Evaluation:
    """The evaluation of scores whose indices count the labelled utterances; `DataError` without both labels."""
    utterances = labelled(protocol)
    trials, skipped = [], []
    for entry in entries:
        utterance = utterances[entry.index]
        if entry.error is not None:
            skipped.append((utterance, entry.error))
        else:
            trials.append(Trial(utterance, entry.llr, entry.duration_s))
    if not _has_both(trials):
        utterance, reason = skipped[0]
        raise DataError(
            f"{protocol.describe()}: an evaluation needs both labels, and {len(skipped)} recordings cannot be scored.",
            f"Not scored, for example: {utterance.path}: {reason}",
        )
    return Evaluation(model, protocol.describe(), thresholds, tuple(trials), tuple(skipped))


def _change(condition: Condition, utterances: Sequence[Utterance]) -> Callable[[int, Waveform], Waveform]:
    return lambda index, waveform: condition(waveform, utterances[index].id)


DURATION = "duration"
_DURATION_NAMES = [
    f"below {DURATIONS_S[0]} s",
    *(f"{low} to {high} s" for low, high in pairwise(DURATIONS_S)),
    f"{DURATIONS_S[-1]} s and more",
]


def _value(trial: Trial, key: str) -> str | None:
    if key != DURATION:
        return trial.utterance.get(key)
    return None if np.isnan(trial.duration_s) else _DURATION_NAMES[int(np.digitize(trial.duration_s, DURATIONS_S))]


def _by_label(trials: Iterable[Trial]) -> tuple[Scores, Scores]:
    scores: dict[Label | None, list[float]] = defaultdict(list)
    for trial in trials:
        scores[trial.utterance.label].append(trial.llr)
    return np.array(scores[Label.BONAFIDE]), np.array(scores[Label.SPOOF])


def _grouped(trials: Iterable[Trial], key: str) -> dict[str | None, list[Trial]]:
    groups: dict[str | None, list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[_value(trial, key)].append(trial)
    return groups


def _has_both(trials: Iterable[Trial]) -> bool:
    return len({trial.utterance.label for trial in trials}) == 2
