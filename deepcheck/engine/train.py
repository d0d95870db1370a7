"""The training loop: a generator of events."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import deepcheck
from deepcheck import store
from deepcheck.audio.augment.chain import Chain, build_chain
from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import Checkpoint, describe_widths, load_checkpoint, snapshot
from deepcheck.config import TrainConfig, to_dict
from deepcheck.data.loader import Batch, Loader, TrainingSet
from deepcheck.data.sampling import BatchSampler
from deepcheck.data.utterance import Label, Protocol
from deepcheck.detectors.base import Detector, build, parameter_count
from deepcheck.engine.bands import chosen_conditions
from deepcheck.engine.calibrate import score_by_label
from deepcheck.engine.carrier import variants_of
from deepcheck.engine.development import Part, develop
from deepcheck.engine.epoch_log import logged
from deepcheck.engine.events import Done, EpochDone, Event, Skipped, Started, Step
from deepcheck.engine.mode import MODES, require_mode
from deepcheck.engine.objective import Objective, build_loss
from deepcheck.engine.optimizer import RunningMean, make_optimizer, set_learning_rate
from deepcheck.engine.probe import fit_head, require_still
from deepcheck.engine.processes import Processes, joined
from deepcheck.engine.score import Scorer
from deepcheck.engine.train_state import Progress, load_state, restore_optimizer, save_state
from deepcheck.engine.training_sets import few, read_sets
from deepcheck.engine.unfinished import require_same
from deepcheck.errors import ConfigError, DataError
from deepcheck.metrics.detection import eer
from deepcheck.plasticity.freeze import learning
from deepcheck.runtime import cores, move, pick_device, pick_dtype
from deepcheck.seeding import seed_of


def train(config: TrainConfig, run_dir: Path) -> Iterator[Event]:
    """Train what `config` describes; the last event is `Done` with the best weights, calibrated on the dev set.

    The state is kept in `run_dir`: with the same settings a stopped run goes on where it was and ends with the
    same weights as one that was not stopped (on the CPU, bit for bit); with other settings `ConfigError`. Where the
    development set does not tell the labels apart, the model comes without calibration, and `Done.note` says so.
    `config.stages` and `config.folds` stand for several trainings (see `stages.run_stages`, `rounds.run_rounds`,
    `folds.run_folds`).

    Under torchrun all processes call this; each gets the same events, and the first one writes the files.
    """
    if config.epochs < 1:
        raise ConfigError(f"epochs is {config.epochs}, so there is nothing to do.", "Give at least 1.")
    require_mode(config.mode)
    build_loss(config.loss)
    chosen_conditions(config.calibration)  # what is wrong with them need not wait for the end
    if config.folds.count:
        from deepcheck.engine.folds import run_folds

        yield from run_folds(config, run_dir)
        return
    if config.rounds:
        from deepcheck.engine.rounds import run_rounds

        yield from run_rounds(config, run_dir)
        return
    if config.stages:
        from deepcheck.engine.stages import run_stages

        yield from run_stages(config, run_dir)
        return
    with joined(pick_device(config.device)) as processes:
        yield from train_on(config, run_dir, *read_sets(config), processes)


def train_on(
    config: TrainConfig, run_dir: Path, train_set: Protocol, dev_set: Protocol | None, processes: Processes
) -> Iterator[Event]:
    """As `train`, on sets that are at hand.

    Without a development set the weights are those after the last epoch, and the model is not calibrated.
    """
    run = _Run(config, run_dir, train_set, dev_set, processes)
    yield run.started()
    yield from run.epochs() if processes.rank else logged(run.epochs(), run_dir)
    yield run.done()


class _Run:
    def __init__(
        self, config: TrainConfig, run_dir: Path, train_set: Protocol, dev_set: Protocol | None, processes: Processes
    ) -> None:
        if config.batch_size // 2 % processes.count:
            raise ConfigError(
                f"A batch of {config.batch_size} cannot be shared by {processes.count} processes.",
                f"Give a batch_size that {2 * processes.count} divides.",
            )
        self.config = config
        self.processes = processes
        # Each process draws what is random in its part of a batch for itself.
        self.seeds = (config.seed, processes.rank) if processes.rank else (config.seed,)
        self.state_path = run_dir / "state.safetensors"
        self.train_set, self.dev_set = train_set, dev_set
        self.device = processes.device
        self.dtype = pick_dtype(config.precision, self.device)
        self.chain: Chain = build_chain(config.augment)
        self.origin, self.detector = starting_point(config)
        self.mode = MODES[config.mode](config)
        self.mode.prepare(self.detector)
        move(self.detector, self.device)
        self.mean = RunningMean(self.detector, config.optimizer.average)
        new, self.freeze = self.mode.begin(self.detector, self.origin.card.grown_from if self.origin else {})
        self.optimizer = make_optimizer(self.detector, config.optimizer, new)
        self.learning = learning(self.detector, self.freeze)
        if self.freeze is not None:
            self.freeze.attach(self.optimizer)
        self.variants = variants = variants_of(self.detector, config, run_dir)
        done = variants.carrier.parts if variants is not None else 0
        if self.mode.at_once:
            require_still(self.detector, variants, config)
        self.objective = Objective(config, self.detector, self.chain, done, self.dtype, processes)
        own_cores = cores() // processes.count
        workers = config.data.workers
        if workers is None:
            workers = min(own_cores, 8) if own_cores > 1 else 0
        part = (processes.rank, processes.count)
        sampler = BatchSampler(train_set.utterances, config.sampling, config.batch_size, config.seed, part)
        dataset = TrainingSet(
            train_set.utterances,
            config.sampling.max_crop_s or self.detector.window_s,
            config.sampling.min_crop_s,
            self.chain,
            config.data.cache_gb / processes.count / max(1, workers),
            variants,
        )
        self.steps = sampler.steps
        self.loader = Loader(dataset, sampler, workers, pin=self.device.type == "cuda")
        self.progress = Progress()
        self.best: dict[str, Tensor] = {}
        self._resume()

    def _resume(self) -> None:
        state = load_state(self.state_path)
        if state is None:
            return
        require_same(state.config, to_dict(self.config), f'training "{self.config.name}"')
        self.detector.load_state_dict(state.tensors["model"])
        restore_optimizer(self.optimizer, state.optimizer)
        if self.mean.model is not self.detector:
            self.mean.model.load_state_dict(state.tensors["tested"])
        self.progress, self.best = state.progress, state.tensors.get("best", {})

    def started(self) -> Started:
        return Started(
            train=self.train_set.describe(),
            dev=self.dev_set.describe() if self.dev_set else "",
            parameters=parameter_count(self.detector),
            learning=self.learning,
            device=str(self.device) + (f" x {self.processes.count}" if self.processes.count > 1 else ""),
            precision="bf16" if self.dtype == torch.bfloat16 else "fp32",
            epochs=self.config.epochs,
            first_epoch=self.progress.epoch + 1,
            steps_per_epoch=self.steps,
            note=few(self.dev_set) if self.dev_set else "",
        )

    def epochs(self) -> Iterator[Event]:
        if self.mode.at_once:
            yield from self._fit()
            return
        while self.progress.epoch < self.config.epochs and not self._patience_is_over():
            yield from self._epoch()

    def _patience_is_over(self) -> bool:
        patience = self.config.patience if self.dev_set else None
        return patience is not None and self.progress.epoch - 1 - self.progress.best_epoch >= patience

    def _epoch(self) -> Iterator[Event]:
        progress = self.progress
        if self.freeze is None:
            self.detector.train()
        else:
            self.freeze.train_mode()
        resumed_after, began, waited = progress.seconds, time.monotonic(), 0.0
        clips_before = progress.clips
        saved = asked = began
        whole, labels = progress.step == 0, set[float]()
        for batch in self.loader.epoch(progress.epoch, progress.step):
            waited += time.monotonic() - asked
            for path, reason in batch.skipped:
                yield Skipped(path, reason)
            [short] = self.processes.total(len(batch.labels) < 2)  # BatchNorm needs two, and no process may wait
            if not short:
                loss = self._step(batch)
                if not math.isfinite(loss):
                    raise DataError(
                        f"The loss is {loss} in step {progress.step + 1} of epoch {progress.epoch + 1}: the training "
                        "has diverged.",
                        f"Begin anew (--fresh) with a smaller --lr than {self.config.optimizer.lr:g}, or with --set "
                        "precision=fp32.",
                    )
                labels |= set(batch.labels.tolist())
                loss_sum, clips = self.processes.total(loss * len(batch.labels), len(batch.labels))
                progress.loss_sum += loss_sum
                progress.clips += int(clips)
            progress.step += 1
            progress.seconds = resumed_after + time.monotonic() - began
            if time.monotonic() - saved > 60 * self.config.save_minutes:
                self._save()
                saved = time.monotonic()
            yield Step(progress.epoch + 1, progress.step, progress.loss_sum / max(progress.clips, 1), progress.clips)
            asked = time.monotonic()
        if not progress.clips:
            raise DataError("None of the training recordings could be decoded.", "See the reasons above.")
        for label in Label:
            if whole and float(label) not in labels:
                raise DataError(
                    f"None of the {label.name.lower()} recordings of an epoch could be decoded.",
                    "See the reasons above; deepcheck train --check lists all that cannot be read.",
                )
        spent = max(time.monotonic() - began, 1e-9)
        speed = (progress.clips - clips_before) / spent
        self.processes.agree(self.detector.buffers())
        self.processes.agree(self.mean.model.buffers())
        skipped: list[Skipped] = []
        dev_eer = self._dev_eer(lambda path, why: skipped.append(Skipped(str(path), why)))
        if progress.epoch == 0:  # they will be the same ones each time
            yield from skipped
        best = dev_eer is None or dev_eer < progress.best_eer
        if best:
            progress.best_epoch = progress.epoch
            progress.best_eer = progress.best_eer if dev_eer is None else dev_eer
            self.best = {k: v.detach().to("cpu", copy=True) for k, v in self.mean.model.state_dict().items()}
        loss, seconds = progress.loss_sum / progress.clips, progress.seconds
        told = {} if dev_eer is None else {"dev_eer": dev_eer}
        progress.history.append({"epoch": progress.epoch + 1, "loss": loss, **told})
        progress.epoch, progress.step = progress.epoch + 1, 0
        progress.loss_sum, progress.clips, progress.seconds = 0.0, 0, 0.0
        self._save()
        yield EpochDone(progress.epoch, loss, dev_eer, best and dev_eer is not None, seconds, speed, waited / spent)

    def _fit(self) -> Iterator[Event]:
        """All of a training in mode probe, which is too short to be resumed."""
        assert self.variants is not None
        began = time.monotonic()
        loss, clips, skipped = fit_head(self.detector, self.variants, self.train_set.utterances, self.config)
        yield from skipped
        self.mean.model.load_state_dict(self.detector.state_dict())
        self.best = {k: v.detach().to("cpu", copy=True) for k, v in self.detector.state_dict().items()}
        seconds = time.monotonic() - began
        dev_eer = self._dev_eer(lambda path, why: None)
        self.progress.best_eer = self.progress.best_eer if dev_eer is None else dev_eer
        self.progress.epoch = self.config.epochs
        told = {} if dev_eer is None else {"dev_eer": dev_eer}
        self.progress.history.append({"epoch": 1, "loss": loss, **told})
        yield EpochDone(1, loss, dev_eer, dev_eer is not None, seconds, clips / max(seconds, 1e-9), 0.0)

    def _step(self, batch: Batch) -> float:
        config, done = self.config.optimizer, self.progress.epoch * self.steps + self.progress.step
        # Dropout draws from the global generator: seeded by the step, it needs no saving.
        torch.manual_seed(seed_of("step", *self.seeds, done))
        generator = torch.Generator().manual_seed(seed_of("features", *self.seeds, done))
        set_learning_rate(self.optimizer, config, done, self.steps * self.config.epochs)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.objective.backward(batch, generator)
        if self.freeze is not None:
            self.freeze.mask_gradients()
        torch.nn.utils.clip_grad_norm_(self.detector.parameters(), config.clip_norm)
        self.optimizer.step()
        self.mean.update(done)
        return loss

    def _dev_eer(self, on_error: Callable[[Path, str], None]) -> float | None:
        if self.dev_set is None:
            return None
        scorer = Scorer(self.mean.model, device=self.device)
        return eer(*score_by_label(scorer, self.dev_set, on_error, self.processes))[0]

    def _save(self) -> None:
        if self.processes.rank:
            return
        sets = {"model": self.detector.state_dict(), "best": self.best}
        if self.mean.model is not self.detector:
            sets["tested"] = self.mean.model.state_dict()
        save_state(self.state_path, self.progress, to_dict(self.config), sets, self.optimizer)

    def done(self) -> Done:
        progress = self.progress
        self.mean.model.load_state_dict(self.best)
        self.mode.finish(self.mean.model)
        card = Card(
            name=self.config.name,
            spec=self.mean.model.spec,
            widths=describe_widths(self.mean.model),
            history=(*(self.origin.card.history if self.origin else ()), self._history_row()),
            parent=self.origin.card.name if self.origin else None,
            grown_from=self.origin.card.grown_from if self.origin else {},
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            version=deepcheck.__version__,
            parameters=parameter_count(self.mean.model),
        )
        reason = (
            f"no better development EER in {self.config.patience} epochs"
            if self._patience_is_over()
            else f"all {self.config.epochs} epochs done"
        )
        if self.dev_set is None:
            return Done(snapshot(self.mean.model, card), None, reason, {})
        part = Part(self.mean.model, self.dev_set, self.train_set)
        found = develop([part], self.config.calibration, device=self.device, processes=self.processes)
        made = snapshot(self.mean.model, found.onto(card), found.evidence)
        return Done(made, progress.best_epoch + 1, reason, found.fitted.metrics, found.fitted.note)

    def _history_row(self) -> dict[str, Any]:
        row: dict[str, Any] = {"stage": "train", "train": self.train_set.describe(), "mode": self.config.mode}
        if self.dev_set is not None:
            row |= {"dev": self.dev_set.describe(), "dev_eer": self.progress.best_eer}
            row |= {"best_epoch": self.progress.best_epoch + 1}
        return {**row, "epochs": self.progress.history, "config": without_places(self.config)}


def starting_point(config: TrainConfig) -> tuple[Checkpoint | None, Detector]:
    """(the model `config.start` if there is one, the detector that is to be trained)."""
    if config.start:
        origin = load_checkpoint(store.resolve(config.start).path)
        return origin, origin.build()
    arguments = dict(config.detector)
    torch.manual_seed(seed_of("weights", config.seed))
    return None, build(DetectorSpec(arguments.pop("name", "resnet18"), arguments))


def without_places(config: TrainConfig) -> dict[str, Any]:
    """The recipe without paths: a model that is passed on tells nothing of its maker's disk."""
    blank = replace(config.data, train=replace(config.data.train, path=""), keep=None)
    if blank.dev is not None:
        blank = replace(blank, dev=replace(blank.dev, path=""))
    augment = [{key: value for key, value in entry.items() if key != "folder"} for entry in config.augment]
    detector = dict(config.detector)
    if isinstance(detector.get("pretrained"), str):
        detector["pretrained"] = Path(detector["pretrained"]).name
    start, teacher, final = (
        place and Path(place).name for place in (config.start, config.distil.teacher, config.distil.teacher_final)
    )
    distil = replace(config.distil, teacher=teacher, teacher_final=final)
    return to_dict(replace(config, data=blank, augment=augment, detector=detector, start=start, distil=distil))
