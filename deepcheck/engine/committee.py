"""Several trainings over folds as one model: a committee of what they made, judged as each of them was."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import deepcheck
from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import Checkpoint, compact
from deepcheck.config import CalibrationConfig, to_dict
from deepcheck.data.folds import Fold, folds
from deepcheck.data.split import without_copies
from deepcheck.data.utterance import Label, Protocol
from deepcheck.detectors.base import parameter_count
from deepcheck.detectors.committee import COMMITTEE, FEWEST, MOST
from deepcheck.engine.calibrate import score
from deepcheck.engine.dev_scores import dev_scores_of, id_of
from deepcheck.engine.development import Part, Progress, calibration_of
from deepcheck.engine.events import Done, Event
from deepcheck.engine.fold_check import as_row
from deepcheck.engine.fold_run import FoldRun
from deepcheck.engine.folds import digest, judged
from deepcheck.engine.processes import Processes
from deepcheck.engine.reference import reference_of
from deepcheck.engine.score import Scorer
from deepcheck.errors import ConfigError, DataError
from deepcheck.metrics.fusion import fit_weights
from deepcheck.runtime import pick_device

Weights = NDArray[np.float64]


@dataclass(frozen=True)
class Opinions:
    """What each of several runs says of the recordings that all of them could decode, of each the model that has not
    heard it: `folds` (recordings,), counted from 0, `labels` (recordings,), True for bona fide, `logits` (recordings,
    runs)."""

    folds: NDArray[np.int64]
    labels: NDArray[np.bool_]
    logits: NDArray[np.float64]

    def weights(self, without: int | None = None) -> Weights:
        """(runs + 1,): a gain for each run, none negative, and the bias, fitted on all folds but one."""
        chosen = self.folds != (-1 if without is None else without)
        if len(set(self.labels[chosen].tolist())) < 2:
            raise DataError("Of one label no recording can be decoded.", "Both are needed.")
        return fit_weights(self.labels[chosen], self.logits[chosen])

    def of(self, runs: Sequence[int]) -> "Opinions":
        """Those of some of the runs."""
        return replace(self, logits=self.logits[:, list(runs)])

    def shares(self) -> Weights:
        """(runs,): by how much each moves the sum of all, a standard deviation; 0 for one that does not help."""
        shares: Weights = self.weights()[:-1] * self.logits.std(0)
        return shares


def fuse(
    runs: Sequence[FoldRun],
    data: Protocol,
    name: str,
    run_dir: Path,
    *,
    config: CalibrationConfig | None = None,
    half: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> Iterator[Event]:
    """Makes one model of the final models of `runs`, all trained on `data`; the last event is `Done` with that.

    Gains and bias are those of a logistic regression (`metrics.fusion.fit_weights`) on what the models of the folds say
    of recordings that they have not heard. A run that would get a negative gain is left out, and the `note` says so.
    Calibration, thresholds, bands and the check of the folds come from committees of the models of each fold, as in
    `folds.run_folds`; the gains of each are fitted on the other folds, so that none knows its own. Only who is a
    member is decided on all of them.

    The first member is the one that moves the score most. `config` is by default what the first run was calibrated for;
    with `half`, the weights are kept in half the space (`checkpoint.compact`). The scores and curves of the folds are
    left in `run_dir`. `ConfigError` for runs that were not divided alike, or not on these recordings; `DataError` where
    fewer than two of them help.
    """
    _require_alike(runs)
    tell = progress or (lambda what: None)
    config = config or calibration_of(runs[0].models[0].card)
    processes = Processes(0, 1, pick_device(device))
    everything, parts = _divided(runs[0], data)
    opinions = opinions_of(runs, parts, processes, tell)
    shares = opinions.shares()
    kept = [int(i) for i in np.argsort(-shares, kind="stable") if shares[i] > 0]
    if len(kept) < FEWEST:
        helps = f"Only {runs[kept[0]].name} tells" if kept else "None of the runs tells"
        raise DataError(f"{helps} bona fide from spoof where the others do not: there is nothing to fuse.")
    members, opinions = [runs[i] for i in kept], opinions.of(kept)
    scales = [_scale(one.final) for one in members]

    def together(models: Sequence[Checkpoint], weights: Weights) -> Checkpoint:
        return committee_of(models, weights, scales, name)

    weights = opinions.weights()
    final = together([one.final for one in members], weights)
    final = compact(final) if half else final
    detector = final.build()
    tested = [
        Part(
            together([one.models[number] for one in members], opinions.weights(without=number)).build(),
            fold.test,
            fold.train,
        )
        for number, fold in enumerate(parts)
    ]
    found, checks = yield from judged(tested, (detector, everything), config, name, run_dir, processes, progress)
    row: dict[str, Any] = {"stage": "fuse"}
    row |= {"train": everything.describe(), "dev": _tested(runs[0]), "calibration": to_dict(config)}
    row |= {"members": _described(members, weights), "bias": float(weights[-1])} | as_row(checks)
    card = replace(
        found.onto(final.card),
        history=(row,),
        parameters=parameter_count(detector),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    left_out = [f"{run.name} is left out: it would help upside down." for i, run in enumerate(runs) if i not in kept]
    note = " ".join(filter(None, (*left_out, found.fitted.note)))
    reason = f"all {len(parts)} folds done"
    yield Done(replace(final, card=card, evidence=found.evidence), None, reason, card.metrics, note)


def committee_of(models: Sequence[Checkpoint], weights: Weights, scales: Sequence[float], name: str) -> Checkpoint:
    """The committee of models, with `weights` (models + 1,), their gains and the bias; nothing is known of it yet."""
    prefixed = [(f"members.{number}.", model) for number, model in enumerate(models)]
    tensors = {prefix + key: tensor for prefix, model in prefixed for key, tensor in model.tensors.items()}
    own = {"gains": weights[:-1], "bias": weights[-1:], "scales": np.array(scales)}
    tensors |= {key: torch.from_numpy(numbers.astype(np.float32)) for key, numbers in own.items()}
    specs = [{"name": one.card.spec.name, "arguments": dict(one.card.spec.arguments)} for one in models]
    card = Card(
        name,
        DetectorSpec(COMMITTEE, {"members": specs}),
        widths={prefix + key: width for prefix, model in prefixed for key, width in model.card.widths.items()},
        version=deepcheck.__version__,
    )
    return Checkpoint(card, tensors)


def opinions_of(
    runs: Sequence[FoldRun], parts: Sequence[Fold], processes: Processes, progress: Progress = lambda what: None
) -> Opinions:
    """What the models of the folds say: from the evidence of the final model where it has that, else computed anew."""
    known = [_kept(run, parts) or _computed(run, parts, processes, progress) for run in runs]
    rows = [
        (number, utterance.label is Label.BONAFIDE, [one[key] for one in known])
        for number, fold in enumerate(parts)
        for utterance in fold.test.utterances
        if all((key := id_of(utterance.id)) in one for one in known)
    ]
    if not rows:
        raise DataError("No recording can be decoded.", "See whether the files are there.")
    numbers, labels, logits = zip(*rows, strict=True)
    return Opinions(np.array(numbers), np.array(labels), np.array(logits))


def _kept(run: FoldRun, parts: Sequence[Fold]) -> dict[int, float] | None:
    found = dev_scores_of(run.final.evidence)
    tested = {id_of(utterance.id) for fold in parts for utterance in fold.test.utterances}
    if found is None or not set(found.ids.tolist()) <= tested:
        return None
    return dict(zip(found.ids.tolist(), found.logits.tolist(), strict=True))


def _computed(run: FoldRun, parts: Sequence[Fold], processes: Processes, progress: Progress) -> dict[int, float]:
    progress(f"what {run.name} says of its folds")
    found: dict[int, float] = {}
    for model, fold in zip(run.models, parts, strict=True):
        scored = score(Scorer(model.build(), device=processes.device), fold.test, processes=processes)
        ids = (id_of(utterance.id) for utterance in scored.utterances)
        found |= dict(zip(ids, scored.scores.tolist(), strict=True))
    return found


def _scale(final: Checkpoint) -> float:
    """What brings the values of the embedding to a deviation of 1 on the average; 1 where nothing is known of them."""
    reference = reference_of(final.evidence)
    return 1 / reference.deviation if reference else 1.0


def _divided(run: FoldRun, data: Protocol) -> tuple[Protocol, tuple[Fold, ...]]:
    """(all labelled recordings, the folds that the run was trained over)."""
    data.require_both_labels()
    everything = data.where(lambda utterance: utterance.label is not None)
    told = run.divided
    everything = everything if told["data.copies"] else without_copies(everything)
    parts = folds(everything, told["folds.count"], told["folds.by"], told["seed"])
    if digest(parts) != told["recordings"]:
        raise ConfigError(
            f"{everything.describe()}: these are not the recordings that {run.name} was trained on.",
            "Give the same --data and --subset, unchanged.",
        )
    return everything, parts


def _require_alike(runs: Sequence[FoldRun]) -> None:
    if not FEWEST <= len(runs) <= MOST:
        raise ConfigError(f"{len(runs)} runs make no committee.", f"Give {FEWEST} to {MOST}.")
    names = [run.name for run in runs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f'Two runs are called "{twice[0]}".', "Name each once.")
    first = runs[0]
    for run in runs[1:]:
        if other := [key for key, value in run.divided.items() if value != first.divided[key]]:
            raise ConfigError(
                f"{first.name} and {run.name} were not trained over the same folds: {', '.join(other)}.",
                "Each would be tested on what the other has heard. Train them on the same data, with the same folds.",
            )


def _tested(run: FoldRun) -> str:
    told = run.divided
    return f"{told['folds.count']} folds by {told['folds.by']}, each by models and gains that have not heard it"


def _described(members: Sequence[FoldRun], weights: Weights) -> list[dict[str, Any]]:
    """For the history: what each member is called, what it counts for, and its own life."""
    return [
        {"name": one.name, "gain": float(gain), "history": list(one.final.card.history)}
        for one, gain in zip(members, weights[:-1], strict=True)
    ]
