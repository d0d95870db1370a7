"""Training over folds: what a recipe is worth on sources and systems that it has not met, and one model in the end."""

import hashlib
import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from deepcheck import store
from deepcheck.card import Card
from deepcheck.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from deepcheck.config import CalibrationConfig, FoldsConfig, TrainConfig, to_dict
from deepcheck.data.folds import Fold, folds
from deepcheck.data.utterance import Protocol
from deepcheck.detectors.base import Detector
from deepcheck.engine.carrier import KEPT
from deepcheck.engine.development import Development, Part, Progress, develop
from deepcheck.engine.distil import FOLD, check_teachers, of_fold
from deepcheck.engine.evaluate import Evaluation
from deepcheck.engine.events import Done, Event, FoldDone, FoldsChecked, Skipped
from deepcheck.engine.fold_check import FoldCheck, as_row, cross_check
from deepcheck.engine.fold_groups import fold_groups
from deepcheck.engine.leaks import leaks_across
from deepcheck.engine.processes import Processes, joined
from deepcheck.engine.score_file import score_file
from deepcheck.engine.soup import mean_of
from deepcheck.engine.train import train_on, without_places
from deepcheck.engine.training_sets import read_all
from deepcheck.engine.unfinished import begin
from deepcheck.errors import ConfigError
from deepcheck.files import write_atomically
from deepcheck.metrics.abstention import abstention_curve
from deepcheck.runtime import pick_device

FOLD_FILES = "fold*"
"""What in the folder of its run is worth keeping: beside the four below `fold-N.safetensors`, the model of a fold."""
SETTINGS = "folds.json"
"""What these were made with: the settings of the training, and `recordings`, a `digest` of who is in which fold."""
SCORES = "fold-scores.csv"
"""Of each recording the log-likelihood ratio by the model that has not heard it, calibrated on the other folds."""
GROUPS = "fold-groups.csv"
"""What came of these by source, system, language and all else that recordings have in common."""
ABSTENTION = "fold-abstention.json"
"""Of these, the error among the surest against how many they are: by fold, and of all together."""
_POINTS = 200  # of an abstention curve


def run_folds(config: TrainConfig, run_dir: Path) -> Iterator[Event]:
    """Trains a model for each fold of `config.folds`, then the final one; the last event is `Done` with that.

    All begin with the same weights and are trained to the last epoch: a fold is a test, and chooses nothing. The final
    model is calibrated on what the models of the folds say of the recordings that they have not heard, all together.
    `FoldDone` follows each training, `FoldsChecked` says how far what the other folds promise holds in each.

    The files in `run_dir` are those of `FOLD_FILES`; with the same settings and recordings a stopped training goes on
    where it was, with others `ConfigError`.
    """
    _check(config)
    with joined(pick_device(config.device)) as processes:
        everything = read_all(config)
        parts = folds(everything, config.folds.count, config.folds.by, config.seed)
        leaks_across(everything, parts).refuse()
        _check_folds_of_others(config, parts)
        if processes.rank == 0:
            settings = {**to_dict(config), "recordings": digest(parts)}
            begin(run_dir / SETTINGS, settings, f'training over folds "{config.name}"')
        models = []
        for number, fold in enumerate(parts, start=1):
            models.append((yield from _trained(config, run_dir, number, fold.train, processes)))
            yield FoldDone(number, len(parts), fold.test.describe())
        if config.folds.final == "mean":
            final = replace(models[0], tensors=mean_of(models))
        else:
            final = yield from _trained(config, run_dir, None, everything, processes)
        yield from _finished(config, run_dir, parts, models, final, everything, processes)


def settings_of(config: TrainConfig, run_dir: Path, number: int | None) -> TrainConfig:
    """Those of the training without fold `number` (from 1), or of the last one, on everything.

    They share what is kept of the recordings. `{fold}` in the name of a teacher, or of the weights that a detector
    begins with, is the number: neither has heard what the fold is tested on.
    """
    data = replace(config.data, keep=config.data.keep or str(run_dir / KEPT))
    detector, start = dict(config.detector), config.detector.get("pretrained")
    if isinstance(start, str) and number is not None:
        detector["pretrained"] = start.replace(FOLD, str(number))
    return replace(config, folds=FoldsConfig(), data=data, detector=detector, distil=of_fold(config.distil, number))


def _trained(
    config: TrainConfig, run_dir: Path, number: int | None, train_set: Protocol, processes: Processes
) -> Generator[Event, None, Checkpoint]:
    name = "final" if number is None else f"fold-{number}"
    place = run_dir / f"{name}.safetensors"
    processes.wait()
    if not place.is_file():
        for event in train_on(settings_of(config, run_dir, number), run_dir / name, train_set, None, processes):
            if not isinstance(event, Done):
                yield event
            elif processes.rank == 0:
                save_checkpoint(event.checkpoint, place)
    processes.wait()
    return load_checkpoint(place)


def _finished(
    config: TrainConfig,
    run_dir: Path,
    parts: Sequence[Fold],
    models: Sequence[Checkpoint],
    final: Checkpoint,
    everything: Protocol,
    processes: Processes,
) -> Iterator[Event]:
    tested = [Part(model.build(), fold.test, fold.train) for model, fold in zip(models, parts, strict=True)]
    made = (final.build(), everything)
    found, checks = yield from judged(tested, made, config.calibration, config.name, run_dir, processes)
    row = _row(config, final.card, everything) | as_row(checks)
    card = replace(
        found.onto(final.card),
        history=(*final.card.history[:-1], row),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    reason = f"all {len(parts)} folds done"
    yield Done(replace(final, card=card, evidence=found.evidence), None, reason, card.metrics, found.fitted.note)


def judged(
    tested: Sequence[Part],
    made: tuple[Detector, Protocol],
    config: CalibrationConfig,
    name: str,
    run_dir: Path,
    processes: Processes,
    progress: Progress | None = None,
) -> Generator[Event, None, tuple[Development, tuple[FoldCheck, ...]]]:
    """(what the folds say of the model `made` and what it was trained on, how far what they promise holds in each).

    Each of `tested` is a detector on the fold that it has not heard. `Skipped` says what could not be decoded,
    `FoldsChecked` comes last; `SCORES`, `GROUPS` and `ABSTENTION` of the model `name` are left in `run_dir`.
    """
    skipped: list[Skipped] = []
    found = develop(
        tested,
        config,
        device=processes.device,
        made=made,
        processes=processes,
        on_error=lambda path, reason: skipped.append(Skipped(str(path), reason)),
        progress=progress,
    )
    yield from skipped
    checks, evaluations = cross_check(found.scored, config, name)
    if processes.rank == 0:
        write_atomically(run_dir / SCORES, score_file(evaluations))
        write_atomically(run_dir / GROUPS, fold_groups(evaluations))
        write_atomically(run_dir / ABSTENTION, json.dumps(_abstention(evaluations)) + "\n")
    yield FoldsChecked(checks, str(run_dir))
    return found, checks


def _row(config: TrainConfig, card: Card, everything: Protocol) -> dict[str, Any]:
    row = {"stage": "train", "train": everything.describe(), "mode": config.mode}
    row |= {"dev": f"{config.folds.count} folds by {config.folds.by}, each by a model that has not heard it"}
    if config.folds.final == "train":  # of a mean, each model has its own
        row |= {"epochs": card.history[-1]["epochs"]}
    return {**row, "config": without_places(config)}


def _abstention(evaluations: Sequence[Evaluation]) -> dict[str, dict[str, list[float]]]:
    """By name of the fold, and of `all` together: `judged`, `error` and `least`, as `abstention_curve` has them."""
    every = replace(evaluations[0], trials=tuple(trial for one in evaluations for trial in one.trials))
    curves = {}
    for name, evaluation in {"all": every, **{one.protocol: one for one in evaluations}}.items():
        bonafide, spoof = evaluation.scores()
        if not (len(bonafide) and len(spoof)):
            continue
        points = abstention_curve(bonafide, spoof)
        few = np.unique(np.linspace(0, len(points[0]) - 1, _POINTS).round().astype(int))
        judged, error, least = (part[few].tolist() for part in points)
        curves[name] = {"judged": judged, "error": error, "least": least}
    return curves


def _check(config: TrainConfig) -> None:
    if config.stages:
        raise ConfigError("A schedule of stages cannot be trained over folds.", "Leave out stages, or folds.")
    if config.data.dev is not None:
        raise ConfigError(
            "A training over folds has no development set: each fold is one.", "Leave out data.dev, or folds."
        )
    check_teachers(config.distil, config.folds)
    if FOLD in str(config.detector.get("pretrained")) and config.folds.final != "mean":
        raise ConfigError("The last training, on everything, has no weights to begin with.", "Set folds.final=mean.")


def _check_folds_of_others(config: TrainConfig, parts: Sequence[Fold]) -> None:
    """`ConfigError` for teachers, and weights to begin with, whose folder says that they come from other folds; of
    others nothing is known."""
    for number in range(1, len(parts) + 1):
        teacher, start = of_fold(config.distil, number).teacher, str(config.detector.get("pretrained"))
        others = {"teacher": teacher and store.resolve(teacher).path}
        if FOLD in start:
            others["model"] = Path(start.replace(FOLD, str(number))).expanduser()
        for what, path in others.items():
            settings = path and path.parent / SETTINGS
            if settings and settings.is_file() and json.loads(settings.read_text()).get("recordings") != digest(parts):
                raise ConfigError(
                    f"The {what} {path} comes from other folds, so it may have heard what fold {number} is tested on.",
                    "Train it on the same recordings, with the same seed, folds.count and folds.by.",
                )


def digest(parts: Sequence[Fold]) -> str:
    """Of who is in which fold: with recordings that came or went, a model might be tested on what it has heard."""
    named = [[(u.id, int(u.label or 0)) for u in part.utterances] for fold in parts for part in (fold.train, fold.test)]
    return hashlib.sha256(repr(named).encode("utf-8", "surrogateescape")).hexdigest()
