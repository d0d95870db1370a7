"""A schedule of stages in one training: plasticity is train, grow, train, prune, train."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path

from deepcheck import store
from deepcheck.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from deepcheck.config import StageConfig, TrainConfig, to_dict
from deepcheck.data.utterance import Protocol
from deepcheck.engine.calibrate import score_by_label
from deepcheck.engine.events import Done, Event, StageDone
from deepcheck.engine.lora import targets_of
from deepcheck.engine.operations import grow, prune
from deepcheck.engine.processes import joined
from deepcheck.engine.score import Scorer
from deepcheck.engine.surgery import Surgery
from deepcheck.engine.train import require_mode, starting_point, train
from deepcheck.engine.training_sets import read_sets
from deepcheck.engine.unfinished import begin
from deepcheck.errors import ConfigError
from deepcheck.metrics.detection import eer
from deepcheck.registry import did_you_mean
from deepcheck.runtime import pick_device

STAGE_FILES = "stage-*.safetensors"
"""Where in the folder of its run a schedule leaves the model of each stage."""


def run_stages(config: TrainConfig, run_dir: Path) -> Iterator[Event]:
    """The stages of `config` in turn, each from the model that the one before left; the last event is `Done`.

    Every stage's model is kept as `stage-N.safetensors` in `run_dir`; with the same settings a stopped schedule goes
    on in the stage, and within training at the step, where it was. A first stage that does not train needs
    `start`. `StageDone` follows each stage, with the EER on the development set.
    """
    require_stages(config)
    with joined(pick_device(config.device)) as processes:
        if processes.rank == 0:
            begin(run_dir / "stages.json", to_dict(config), f'schedule "{config.name}"')
        processes.wait()
        train_set, dev_set = read_sets(config)
        start = config.start
        note = ""
        for number, stage in enumerate(config.stages, start=1):
            place, surgery = run_dir / f"stage-{number}.safetensors", None
            if not place.is_file():
                if stage.do == "train":
                    own = _of_stage(config, stage, start, last=number == len(config.stages))
                    done = yield from _train(own, run_dir / f"stage-{number}")
                    current, note = done.checkpoint, done.note
                elif processes.rank == 0:
                    assert start is not None
                    surgery = _DO[stage.do](config, stage, load_checkpoint(store.resolve(start).path), train_set)
                    scorer = Scorer(surgery.child.build(), device=processes.device)
                    current = _measured(surgery.child, eer(*score_by_label(scorer, dev_set))[0])
                if processes.rank == 0:
                    save_checkpoint(current, place)
            processes.wait()
            current, start = load_checkpoint(place), str(place)
            dev_eer = current.card.metrics["dev_eer"]
            parameters = current.card.parameters
            yield StageDone(number, len(config.stages), _words(stage), parameters, dev_eer, start, surgery)
        final = replace(current, card=replace(current.card, name=config.name, parent=_origin(config)))
        yield Done(final, None, f"all {len(config.stages)} stages done", final.card.metrics, note)


def _of_stage(config: TrainConfig, stage: StageConfig, start: str | None, last: bool) -> TrainConfig:
    # How much weaker a model is in bad conditions matters for the one that is used, not for those on the way.
    conditions = config.calibration.conditions if last else ()
    return replace(
        config,
        stages=(),
        start=start,
        mode=stage.mode,
        epochs=stage.epochs or config.epochs,
        optimizer=replace(config.optimizer, lr=stage.lr or config.optimizer.lr),
        calibration=replace(config.calibration, conditions=conditions),
    )


def _train(config: TrainConfig, run_dir: Path) -> Generator[Event, None, Done]:
    for event in train(config, run_dir):
        if isinstance(event, Done):
            return event
        yield event
    raise AssertionError("a training ends with Done")


def _grow(config: TrainConfig, stage: StageConfig, parent: Checkpoint, train_set: Protocol) -> Surgery:
    return grow(
        parent,
        neurons=stage.neurons,
        share=stage.share,
        layer=stage.layer,
        part=stage.part,
        init=stage.init,
        trials=train_set,
        recordings=stage.recordings,
        seed=config.seed,
        name=config.name,
    )


def _prune(config: TrainConfig, stage: StageConfig, parent: Checkpoint, train_set: Protocol) -> Surgery:
    return prune(
        parent,
        neurons=stage.neurons or None,
        layer=stage.layer,
        part=stage.part,
        criterion=stage.criterion,
        scope=stage.scope,
        trials=train_set,
        recordings=stage.recordings,
        seed=config.seed,
        name=config.name,
    )


_DO: dict[str, Callable[[TrainConfig, StageConfig, Checkpoint, Protocol], Surgery]] = {
    "grow": _grow,
    "prune": _prune,
}


def _measured(checkpoint: Checkpoint, dev_eer: float) -> Checkpoint:
    """With the EER of the stage in its card, beside what it kept of its parent's figures."""
    card = checkpoint.card
    history = (*card.history[:-1], {**card.history[-1], "dev_eer": dev_eer})
    return replace(checkpoint, card=replace(card, history=history, metrics={**card.metrics, "dev_eer": dev_eer}))


def require_stages(config: TrainConfig) -> None:
    """`ConfigError` for a schedule that makes no sense, before anything is done."""
    for number, stage in enumerate(config.stages):
        if stage.do not in ("train", *_DO):
            raise ConfigError(f'stages[{number}] does "{stage.do}".', did_you_mean(stage.do, ["train", *_DO]))
        require_mode(stage.mode)
        # Pruning where the model grew takes by default what came.
        counted = (stage.do == "grow" and not stage.share) or (
            stage.do == "prune" and stage.scope != "grown" and stage.criterion != "newest"
        )
        if stage.neurons < 1 and counted:
            raise ConfigError(f"stages[{number}] does not say how many neurons to {stage.do}.", "Add neurons: 128.")
        if stage.share and (stage.do != "grow" or not 0 < stage.share <= 1):
            raise ConfigError(
                f"stages[{number}] has a share of {stage.share:g}.",
                "Growth can have one above 0 and up to 1, such as 0.25.",
            )
    if config.stages[-1].do != "train":
        raise ConfigError("The last stage does not train, so nothing would be calibrated.", "Add a stage train.")
    if config.stages[0].do != "train" and config.start is None:
        raise ConfigError(f"The first stage is to {config.stages[0].do}, but there is no model yet.", "Set start.")
    if any(stage.mode == "lora" for stage in config.stages):
        targets_of(starting_point(config)[1], config.lora)  # what is wrong with them need not wait for other stages


def _words(stage: StageConfig) -> str:
    if stage.do == "train":
        return f"train {stage.mode}"
    if stage.share:
        return f"{stage.do} {stage.share:.0%} of layer {stage.layer} ({stage.init})"
    detail = f"{stage.neurons} of layer {stage.layer}" if stage.neurons else "as many as came"
    return f"{stage.do} {detail} ({stage.criterion if stage.do == 'prune' else stage.init})"


def _origin(config: TrainConfig) -> str | None:
    return Path(config.start).name.removesuffix(".safetensors") if config.start else None
