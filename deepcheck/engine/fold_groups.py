"""Where promises hold: the verdicts on recordings that no model had heard, by source, system, language and the like."""

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from deepcheck.data.utterance import Label
from deepcheck.engine.evaluate import Evaluation, Trial
from deepcheck.metrics.calibration import Thresholds
from deepcheck.metrics.detection import cllr, eer

COLUMNS = ("key", "value", "bonafide", "called_spoof", "spoof", "caught", "missed", "cllr", "eer")
_FIELDS = ("source", "attack")
_MOST = 200  # values, beyond which a column names recordings, not kinds of them


class _Judged(NamedTuple):
    trial: Trial
    thresholds: Thresholds | None


def fold_groups(evaluations: Sequence[Evaluation]) -> str:
    """A CSV of `COLUMNS`: each value of each column of the data in which recordings have things in common.

    `evaluations` are the folds, as `fold_check.cross_check` gives them: log-likelihood ratios and thresholds of each
    come from the others. `called_spoof` is the share of genuine recordings called so, `caught` and `missed` those of
    spoofs called spoof and bona fide; `cllr` in bits, and `eer`, of groups that hold both labels. What is not known is
    empty.
    """
    judged = [_Judged(trial, one.thresholds) for one in evaluations for trial in one.trials]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for key in _keys(judged):
        groups = defaultdict(list)
        for one in judged:
            value = one.trial.utterance.get(key)
            if value:
                groups[value].append(one)
        if 1 < len(groups) <= _MOST and len(groups) < len(judged):
            for value, members in sorted(groups.items()):
                writer.writerow((key, value, *_row(members)))
    return text.getvalue()


def _keys(judged: Sequence[_Judged]) -> list[str]:
    tags = {tag for one in judged for tag in one.trial.utterance.tags}
    return [*_FIELDS, *sorted(tags - set(_FIELDS))]


def _row(members: Sequence[_Judged]) -> Iterator[object]:
    by_label = {label: [one for one in members if one.trial.utterance.label is label] for label in Label}
    genuine, spoofs = by_label[Label.BONAFIDE], by_label[Label.SPOOF]
    yield len(genuine)
    yield _share(genuine, lambda llr, at: llr <= at.spoof)
    yield len(spoofs)
    yield _share(spoofs, lambda llr, at: llr <= at.spoof)
    yield _share(spoofs, lambda llr, at: llr >= at.bonafide)
    scores = [np.array([one.trial.llr for one in part]) for part in (genuine, spoofs)]
    both = bool(genuine and spoofs)
    yield f"{cllr(*scores):.3f}" if both else ""
    yield f"{eer(*scores)[0]:.4f}" if both else ""


def _share(members: Sequence[_Judged], is_so: Callable[[float, Thresholds], bool]) -> str:
    known = [is_so(one.trial.llr, one.thresholds) for one in members if one.thresholds is not None]
    return f"{np.mean(known):.4f}" if known else ""
