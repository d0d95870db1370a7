"""How well a model does on labelled recordings."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepcheck.data.utterance import Label, Protocol, Utterance
from deepcheck.engine.model import Model
from deepcheck.engine.score import Scorer
from deepcheck.errors import DataError
from deepcheck.metrics.calibration import Thresholds
from deepcheck.metrics.detection import auc, cllr, eer
from deepcheck.metrics.intervals import Interval, bootstrap, proportion

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Trial:
    """A labelled recording and its log-likelihood ratio."""

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
class Summary:
    """Figures over a set of trials; EER and rates are fractions, `cllr` is in bits.

    At the stored thresholds: `false_alarms` are genuine recordings called spoof, `missed` spoofs called bona
    fide, `caught` spoofs called spoof, `cleared` genuine recordings called bona fide.
    """

    eer: float
    eer_interval: Interval
    auc: float
    cllr: float
    false_alarms: Rate
    cleared: Rate
    missed: Rate
    caught: Rate


@dataclass(frozen=True)
class GroupRow:
    """One attack, source, language ...: its trials, and its EER against `against` (None where it has none).

    A group of both labels is compared within itself; one that holds a single label with all trials of the other.
    """

    name: str
    bonafide: int
    spoof: int
    eer: float | None
    called_spoof: Rate
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
    """The trials of one model on one protocol, and the recordings that could not be scored, with the reason."""

    model: str
    protocol: str
    thresholds: Thresholds
    trials: tuple[Trial, ...]
    skipped: tuple[tuple[Utterance, str], ...]

    def summary(self) -> Summary:
        """Figures over all trials."""
        bonafide, spoof = _by_label(self.trials)
        alarms, caught = (int((s <= self.thresholds.spoof).sum()) for s in (bonafide, spoof))
        cleared, missed = (
            int(((s >= self.thresholds.bonafide) & (s > self.thresholds.spoof)).sum()) for s in (bonafide, spoof)
        )
        return Summary(
            eer=eer(bonafide, spoof)[0],
            eer_interval=bootstrap(_eer, bonafide, spoof),
            auc=auc(bonafide, spoof),
            cllr=cllr(bonafide, spoof),
            false_alarms=Rate(alarms, len(bonafide)),
            cleared=Rate(cleared, len(bonafide)),
            missed=Rate(missed, len(spoof)),
            caught=Rate(caught, len(spoof)),
        )

    def same_source(self, floor: int = 5) -> SameSource | None:
        """Figures over the sources that hold both labels; None if no source does."""
        groups = [g for name, g in _grouped(self.trials, "source").items() if name and _has_both(g)]
        if not groups:
            return None
        bonafide, spoof = _by_label(trial for group in groups for trial in group)
        own = [_by_label(group) for group in groups]
        own_eers = [_eer(b, s) for b, s in own if min(len(b), len(s)) >= floor]
        return SameSource(
            len(groups),
            len(bonafide),
            len(spoof),
            eer(bonafide, spoof)[0],
            bootstrap(_eer, bonafide, spoof),
            float(np.mean(own_eers)) if own_eers else None,
            floor,
        )

    def by(self, key: str) -> list[GroupRow]:
        """A row for each value of a field or tag, the largest group first; trials without one are left out.

        For `attack`, which only spoofs have, the genuine trials are the same in every row.
        """
        everyone = dict(zip(("bonafide", "spoof"), _by_label(self.trials), strict=True))
        rows = []
        for name, group in _grouped(self.trials, key).items():
            if not name:
                continue
            bonafide, spoof = _by_label(group)
            within = bool(len(bonafide) and len(spoof))
            against = (bonafide if len(bonafide) else everyone["bonafide"], spoof if len(spoof) else everyone["spoof"])
            flagged = sum(trial.llr <= self.thresholds.spoof for trial in group)
            rows.append(GroupRow(name, len(bonafide), len(spoof), _eer(*against), Rate(flagged, len(group)), within))
        return sorted(rows, key=lambda row: -(row.bonafide + row.spoof))


def evaluate(
    model: Model,
    protocol: Protocol,
    *,
    device: str = "auto",
    jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score every labelled recording of `protocol`; `progress(done, total)` is called after each.

    Recordings are scored whole, with the windows and the mean that a scan uses, whether or not they hold
    speech, so that models are compared on the same trials. Raises `DataError` if a label has no trial left.
    """
    card = model.card
    if card.calibration is None or card.thresholds is None:
        raise DataError(f'The model "{card.name}" has no calibration.', "Train it with deepcheck train.")
    utterances = [utterance for utterance in protocol.utterances if utterance.label is not None]
    if not utterances:
        raise DataError(f"{protocol.describe()} has no labels.", "An evaluation needs them; use deepcheck scan.")
    scorer = Scorer(model.detector, card.calibration, device=device)
    trials: dict[int, Trial] = {}
    skipped: list[tuple[Utterance, str]] = []
    for done, scores in enumerate(scorer.recordings([u.path for u in utterances], jobs), start=1):
        utterance = utterances[scores.index]
        if scores.error is not None:
            skipped.append((utterance, scores.error))
        else:
            trials[scores.index] = Trial(utterance, scores.mean_llr(), scores.duration_s)
        if progress:
            progress(done, len(utterances))
    kept = tuple(trials[index] for index in sorted(trials))
    if not _has_both(kept):
        reason = f" ({len(skipped)} recordings could not be decoded)" if skipped else ""
        raise DataError(f"{protocol.describe()}: an evaluation needs both labels{reason}.")
    return Evaluation(card.name, protocol.describe(), card.thresholds, kept, tuple(skipped))


def _eer(bonafide: Scores, spoof: Scores) -> float:
    return eer(bonafide, spoof)[0]


def _by_label(trials: Iterable[Trial]) -> tuple[Scores, Scores]:
    scores: dict[Label | None, list[float]] = defaultdict(list)
    for trial in trials:
        scores[trial.utterance.label].append(trial.llr)
    return np.array(scores[Label.BONAFIDE]), np.array(scores[Label.SPOOF])


def _grouped(trials: Iterable[Trial], key: str) -> dict[str | None, list[Trial]]:
    groups: dict[str | None, list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[trial.utterance.get(key)].append(trial)
    return groups


def _has_both(trials: Iterable[Trial]) -> bool:
    return len({trial.utterance.label for trial in trials}) == 2
