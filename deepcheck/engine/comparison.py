"""Several models on the same trials: against a baseline, and over seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from deepcheck.data.utterance import Label, Utterance
from deepcheck.engine.evaluate import Evaluation, Scores
from deepcheck.errors import DataError
from deepcheck.metrics.comparison import Comparison, compare
from deepcheck.metrics.metric import Metric
from deepcheck.metrics.table import METRICS


@dataclass(frozen=True)
class Spread:
    """A metric over models that differ by their seed alone: `deviation` is that of the sample (NaN for one)."""

    metric: Metric
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean of the values."""
        return float(np.mean(self.values))

    @property
    def deviation(self) -> float:
        """Their standard deviation, with n - 1."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else float("nan")


def against(baseline: Evaluation, other: Evaluation) -> dict[str, Comparison]:
    """Every metric of the two by name, on the trials that both have scored; `DataError` if they share too few."""
    known = {_key(trial.utterance): trial.llr for trial in baseline.trials}
    pairs = [
        (trial.utterance.label, known[_key(trial.utterance)], trial.llr)
        for trial in other.trials
        if _key(trial.utterance) in known
    ]
    if len({label for label, _, _ in pairs}) < 2:
        raise DataError(
            f"{baseline.model} and {other.model} share no trials of both labels.", "Evaluate both on one set."
        )
    first, second = (_classes(pairs, number) for number in (1, 2))
    metrics = list(METRICS.values())
    return {one.metric.name: one for one in compare(metrics, first, second)}


def over_seeds(evaluations: Sequence[Evaluation]) -> Mapping[str, Spread]:
    """Every metric by name, over the given evaluations."""
    return {
        name: Spread(metric, tuple(evaluation.measurements[name].value for evaluation in evaluations))
        for name, metric in METRICS.items()
    }


def _classes(pairs: Sequence[tuple[Label | None, float, float]], number: int) -> tuple[Scores, Scores]:
    one, other = (
        np.array([pair[number] for pair in pairs if pair[0] is label]) for label in (Label.BONAFIDE, Label.SPOOF)
    )
    return one, other


def _key(utterance: Utterance) -> tuple[str, str]:
    return utterance.id, str(utterance.path)
