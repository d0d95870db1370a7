"""All that is measured of a finished model on recordings kept aside, at the end of a training or by itself later."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from torch import Tensor

import deepcheck
from deepcheck.audio.windows import Window
from deepcheck.card import Card
from deepcheck.checkpoint import Checkpoint
from deepcheck.config import CalibrationConfig, DataConfig, TrainConfig, from_dict, to_dict
from deepcheck.data.split import hold_out, without_copies
from deepcheck.data.utterance import Protocol, Utterance
from deepcheck.detectors.base import Detector
from deepcheck.engine.bands import measure, subsample
from deepcheck.engine.calibrate import Fitted, Judged, OnError, Scored, Scores, fit_recordings, score, swapped
from deepcheck.engine.processes import ALONE, Processes
from deepcheck.engine.read_ahead import read_ahead
from deepcheck.engine.reference import Reference, fit_reference, reference_of
from deepcheck.engine.score import Scorer
from deepcheck.errors import ConfigError, DataError
from deepcheck.metrics.detection import eer
from deepcheck.runtime import cores, pick_device
from deepcheck.seeding import seed_of

Progress = Callable[[str], None]

_WINDOWS = 4  # of a recording, the first ones: many recordings say more of what there was than much of one
_FEWEST = 100  # recordings, below which nothing is known of what is usual among them


@dataclass(frozen=True)
class Part:
    """A detector, and a development set that it was not trained on; what it was trained on is known from a sample of
    `train_set`, else from `reference`."""

    detector: Detector
    dev_set: Protocol
    train_set: Protocol | None = None
    reference: Reference | None = None


@dataclass(frozen=True)
class Development:
    """What the development set says: for the card (`fitted`), and to be kept beside the weights (`evidence`).

    `scored` are the logits of each part, as they are.
    """

    fitted: Fitted
    evidence: dict[str, Tensor]
    scored: tuple[Scored, ...]

    def onto(self, card: Card) -> Card:
        """The card of the model with these figures in the place of those it had."""
        found = self.fitted
        return replace(
            card,
            calibration=found.calibration,
            thresholds=found.thresholds,
            rates=found.rates,
            metrics=found.metrics,
            bands=found.bands,
        )


def develop(
    parts: Sequence[Part],
    config: CalibrationConfig,
    *,
    device: torch.device,
    made: tuple[Detector, Protocol] | None = None,
    processes: Processes = ALONE,
    on_error: OnError | None = None,
    progress: Progress | None = None,
) -> Development:
    """Calibration, thresholds, bands, development scores, and how far is far from the training data.

    The figures are of all `parts` together. There is one, of the model that they are for; or there are several, whose
    detectors each heard other recordings, and `made` is that model and what it was trained on. Then it is familiar
    with what lies near to those, and how far is far is known from what was far for the others. Where the development
    sets do not tell the labels apart there is no calibration, and `fitted.note` says so.
    """
    tell = progress or (lambda what: None)
    if any(part.train_set is not None for part in parts):
        tell("what the model was trained on")
    references = _references(parts, config, device, processes)
    tell("the development set")
    known: Sequence[Reference | None] = references or [None] * len(parts)
    scorers = [Scorer(one.detector, device=device, reference=ref) for one, ref in zip(parts, known, strict=True)]
    judged = [Judged(scorer, part.dev_set) for scorer, part in zip(scorers, parts, strict=True)]
    scored = [score(*one, on_error, processes) for one in judged]
    distances = np.concatenate([one.distances for one in scored])
    clean = Scored.joined(scored)
    bonafide, spoof = clean.by_label()
    if not (len(bonafide) and len(spoof)):
        described = "; ".join(part.dev_set.describe() for part in parts)
        raise DataError(f"{described}: of one label no recording can be decoded.", "Both are needed.")
    familiar: Reference | None = None
    if references:
        for number, before in enumerate(references):
            own, after = scored[number], before.scaled(distances)
            scored[number] = replace(own, distances=own.distances * before.scale / after.scale)
            scorers[number].reference = after
        clean = Scored.joined(scored)
        familiar = references[0] if made is None else _reference(*made, config, device, processes)
        familiar = familiar and familiar.scaled(distances)
    evidence = clean.dev_scores().as_evidence() | (familiar.as_evidence() if familiar else {})
    try:
        fitted = fit_recordings(clean, config)
    except DataError as error:
        why = " ".join(filter(None, (error.message, swapped(bonafide, spoof))))
        chance = Fitted(None, None, {}, {"dev_eer": eer(bonafide, spoof)[0]}, why)
        return Development(chance, evidence, tuple(scored))
    calibration = fitted.calibration
    assert calibration is not None
    bands = measure(judged, clean, calibration, config, processes, progress)
    metrics = {**fitted.metrics, **{f"dev_eer.{name}": value for name, value in bands.eers.items()}}
    note = " ".join(filter(None, (fitted.note, bands.note)))
    fitted = replace(fitted, metrics=metrics, bands=bands.thresholds, note=note)
    return Development(fitted, evidence, tuple(scored))


def recalibrated(
    checkpoint: Checkpoint,
    data: Protocol,
    *,
    name: str,
    held_out: bool = False,
    config: CalibrationConfig | None = None,
    device: str = "auto",
    on_error: OnError | None = None,
    progress: Progress | None = None,
) -> tuple[Checkpoint, str]:
    """(the model `name`: the same network, with figures from `data`; a note on what these could not show).

    All of `data` is then its development set; with `held_out` that part which its training kept aside, and the rest
    says what it was trained on. Otherwise that is known from the model itself, else from a half of `data`. `config`
    is by default what the model was calibrated for. `ConfigError` if its training kept nothing of its data aside;
    `DataError` if the data do not tell the labels apart.
    """
    data.require_both_labels()
    data = data.where(lambda utterance: utterance.label is not None)
    recipe = _recipe(checkpoint.card)
    config = config or calibration_of(checkpoint.card)
    train_set, reference = None, None
    if held_out:
        train_set, data = _parts(checkpoint.card, recipe, data)
    detector = checkpoint.build()
    if train_set is None and config.reference_recordings and detector.has_embedding:
        reference = reference_of(checkpoint.evidence)
        if reference is None and len(data) >= 2 * _FEWEST:
            # Those that it was fitted on would lie nearer than any others; the other half says what is far.
            train_set = data.where(lambda utterance: seed_of("reference", utterance.id) % 2 == 0)
    found = develop(
        [Part(detector, data, train_set, reference)],
        config,
        device=pick_device(device),
        on_error=on_error,
        progress=progress,
    )
    if found.fitted.calibration is None:
        raise DataError(found.fitted.note, "Nothing was saved.")
    stage = {"stage": "calibrate", "dev": data.describe(), "held_out": held_out, "calibration": to_dict(config)}
    card = replace(
        found.onto(checkpoint.card),
        name=name,
        parent=checkpoint.card.name if name != checkpoint.card.name else checkpoint.card.parent,
        history=(*checkpoint.card.history, stage),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=deepcheck.__version__,
    )
    return replace(checkpoint, card=card, evidence=found.evidence), found.fitted.note


def calibration_of(card: Card, **changes: Any) -> CalibrationConfig:
    """What a model was last calibrated for, as far as that is known, with `changes`."""
    for row in reversed([row for row in card.history if isinstance(row, Mapping)]):
        settings = row.get("calibration") or (row.get("config") or {}).get("calibration")
        if isinstance(settings, Mapping):
            try:
                config: CalibrationConfig = from_dict(CalibrationConfig, {**settings, **changes})
            except ConfigError:  # of another version
                break
            return config
    return CalibrationConfig(**changes)


def _references(
    parts: Sequence[Part], config: CalibrationConfig, device: torch.device, processes: Processes
) -> list[Reference]:
    """Of each part; none where one has none, for its recordings would be neither near nor far."""
    known = (
        _reference(part.detector, part.train_set, config, device, processes) if part.train_set else part.reference
        for part in parts
    )
    references = [one for one in known if one is not None]
    return references if len(references) == len(parts) else []


def _reference(
    detector: Detector,
    train_set: Protocol,
    config: CalibrationConfig,
    device: torch.device,
    processes: Processes,
) -> Reference | None:
    sample = subsample(train_set.utterances, config.reference_recordings)
    if len(sample) < _FEWEST or not detector.has_embedding:
        return None
    return fit_reference(_embeddings(Scorer(detector, device=device), sample, processes))


def _embeddings(scorer: Scorer, utterances: Sequence[Utterance], processes: Processes) -> Scores:
    """(windows, values) of the first windows of each recording, in their order; those that cannot be decoded are left
    out."""
    mine = utterances[processes.share(len(utterances))]
    scorer.detector.eval()
    found: dict[tuple[int, int], Scores] = {}
    failed: set[int] = set()
    batch: list[tuple[tuple[int, int], Window]] = []
    seen = [0] * len(mine)

    def compute() -> None:
        _, embedded = scorer.embeddings(np.stack([window.samples for _, window in batch]))
        found.update({key: row for (key, _), row in zip(batch, embedded, strict=True)})
        batch.clear()

    paths = [utterance.path for utterance in mine]
    for index, item in read_ahead(paths, scorer.size, scorer.hop, cores(), 4 * scorer.batch_size):
        if not isinstance(item, Window):
            failed |= {index} if item.error else set()
        elif seen[index] < _WINDOWS:
            seen[index] += 1
            batch.append(((index, item.start), item))
            if len(batch) == scorer.batch_size:
                compute()
    if batch:
        compute()
    own = [found[key] for key in sorted(found) if key[0] not in failed]
    rows = [row for part in processes.gather(own) for row in part]
    return np.stack(rows) if rows else np.zeros((0, 1))


def _recipe(card: Card) -> TrainConfig | None:
    """The settings of the last training in the life of a model."""
    row = _training(card)
    if row is None:
        return None
    try:
        config: TrainConfig = from_dict(TrainConfig, row["config"])
    except ConfigError:  # of a version that had other settings, or of a stranger
        return None
    return config


def _training(card: Card) -> Mapping[str, Any] | None:
    trainings = (row for row in reversed(card.history) if isinstance(row, Mapping) and row.get("stage") == "train")
    return next((row for row in trainings if isinstance(row.get("config"), Mapping)), None)


def _parts(card: Card, recipe: TrainConfig | None, data: Protocol) -> tuple[Protocol, Protocol]:
    """(what the model was trained on, what was kept aside for its development)."""
    if recipe is None:
        raise ConfigError(
            f'It is not known how "{card.name}" was trained, so nothing of its data was kept aside.',
            "Leave --held-out away, and give recordings that it was not trained on.",
        )
    settings: DataConfig = recipe.data
    if recipe.folds.count:
        raise ConfigError(
            f'"{card.name}" was trained over folds: of its data it knows all, and was calibrated on what models of its '
            "folds say.",
            "Leave --held-out away, and give recordings that it was not trained on.",
        )
    if settings.dev is not None:
        raise ConfigError(
            f'"{card.name}" was trained with a development set of its own.', "Give that one, without --held-out."
        )
    data = data if settings.copies else without_copies(data)
    parts = hold_out(data, settings.holdout, settings.holdout_by, recipe.seed)
    told = (_training(card) or {}).get("dev")
    if isinstance(told, str) and _counts(told) != _counts(parts[1].describe()):
        raise DataError(
            f'These are not the recordings that "{card.name}" was trained with: it was developed on {told[:200]}, '
            f"and kept aside would be {parts[1].describe()}.",
            "Give the same data and --subset, or leave --held-out away.",
        )
    return parts


def _counts(described: str) -> str:
    """What a protocol says of itself, but for its name, which is that of a file."""
    return described.rpartition("): ")[2]
