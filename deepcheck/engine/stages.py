"""A schedule of stages in one training: plasticity is train, grow, train, prune, train."""

import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path

from deepcheck import store
from deepcheck.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from deepcheck.config import StageConfig, TrainConfig, to_dict
from deepcheck.data.utterance import Protocol
from deepcheck.detectors.base import Detector
from deepcheck.engine.calibrate import score_by_label
from deepcheck.engine.events import Done, Event, StageDone
from deepcheck.engine.gradients import Probe
from deepcheck.engine.score import Scorer
from deepcheck.engine.surgery import grown, pruned, statistics_of
from deepcheck.engine.train import differences, read_sets, train
from deepcheck.errors import ConfigError
from deepcheck.files import write_atomically
from deepcheck.metrics.detection import eer
from deepcheck.plasticity.plan import choose_layers, plan
from deepcheck.registry import did_you_mean


def run_stages(config: TrainConfig, run_dir: Path) -> Iterator[Event]:
    """The stages of `config` in turn, each from the model that the one before left; the last event is `Done`.

    Every stage's model is kept as `stage-N.safetensors` in `run_dir`; with the same settings a stopped schedule goes
    on in the stage, and within training at the step, where it was. A first stage that does not train needs
    `start`. `StageDone` follows each stage, with the EER on the development set.
    """
    _check(config)
    _same_settings(config, run_dir)
    train_set, dev_set = read_sets(config)
    current: Checkpoint | None = None
    start = config.start
    for number, stage in enumerate(config.stages, start=1):
        place = run_dir / f"stage-{number}.safetensors"
        if not place.is_file():
            if stage.do == "train":
                current = yield from _train(config, stage, start, run_dir / f"stage-{number}")
            else:
                assert start is not None
                current = _DO[stage.do](config, stage, load_checkpoint(store.resolve(start).path), train_set)
            save_checkpoint(current, place)
        current, start = load_checkpoint(place), str(place)
        dev_eer, _ = eer(*score_by_label(Scorer(current.build(), device=config.device), dev_set))
        yield StageDone(number, len(config.stages), _words(stage), current.card.parameters, dev_eer, start)
    assert current is not None
    final = replace(current, card=replace(current.card, name=config.name, parent=_origin(config)))
    yield Done(final, None, f"all {len(config.stages)} stages done", final.card.metrics)


def _train(
    config: TrainConfig, stage: StageConfig, start: str | None, run_dir: Path
) -> Generator[Event, None, Checkpoint]:
    own = replace(
        config,
        stages=(),
        start=start,
        mode=stage.mode,
        epochs=stage.epochs or config.epochs,
        optimizer=replace(config.optimizer, lr=stage.lr or config.optimizer.lr),
    )
    for event in train(own, run_dir):
        if isinstance(event, Done):
            return event.checkpoint
        yield event
    raise AssertionError("a training ends with Done")


def _grow(config: TrainConfig, stage: StageConfig, parent: Checkpoint, train_set: Protocol) -> Checkpoint:
    groups = parent.build().groups()
    changes = plan(groups, choose_layers(stage.layer, groups, config.seed), stage.neurons, stage.part)
    probe = _probe(config, stage, train_set)
    return grown(parent, changes, name=config.name, init=stage.init, seed=config.seed, probe=probe).child


def _prune(config: TrainConfig, stage: StageConfig, parent: Checkpoint, train_set: Protocol) -> Checkpoint:
    groups = parent.build().groups()
    changes = plan(groups, choose_layers(stage.layer, groups, config.seed), stage.neurons, stage.part)
    remove = {change.group.name: change.units for change in changes}
    statistics = statistics_of(parent, list(remove), stage.criterion, _probe(config, stage, train_set))
    return pruned(parent, statistics, remove, name=config.name, criterion=stage.criterion, seed=config.seed).child


_DO: dict[str, Callable[[TrainConfig, StageConfig, Checkpoint, Protocol], Checkpoint]] = {
    "grow": _grow,
    "prune": _prune,
}


def _probe(config: TrainConfig, stage: StageConfig, train_set: Protocol) -> Callable[[Detector], Probe]:
    return lambda detector: Probe(detector, train_set, recordings=stage.recordings, seed=config.seed)


def _check(config: TrainConfig) -> None:
    for number, stage in enumerate(config.stages):
        if stage.do not in ("train", *_DO):
            raise ConfigError(f'stages[{number}] does "{stage.do}".', did_you_mean(stage.do, ["train", *_DO]))
        if stage.do != "train" and stage.neurons < 1:
            raise ConfigError(f"stages[{number}] does not say how many neurons to {stage.do}.", "Add neurons: 128.")
    if config.stages[-1].do != "train":
        raise ConfigError("The last stage does not train, so nothing would be calibrated.", "Add a stage train.")
    if config.stages[0].do != "train" and config.start is None:
        raise ConfigError(f"The first stage is to {config.stages[0].do}, but there is no model yet.", "Set start.")


def _same_settings(config: TrainConfig, run_dir: Path) -> None:
    place = run_dir / "stages.json"
    if place.is_file():
        changed = differences(json.loads(place.read_text(encoding="utf-8")), to_dict(config))
        if changed:
            raise ConfigError(
                f'The unfinished schedule "{config.name}" has other settings: {", ".join(changed)}.',
                "Start it again with --fresh, or choose another --name.",
            )
    write_atomically(place, json.dumps(to_dict(config)))


def _words(stage: StageConfig) -> str:
    if stage.do == "train":
        return f"train {stage.mode}"
    detail = f"{stage.neurons} of layer {stage.layer}"
    return f"{stage.do} {detail} ({stage.criterion if stage.do == 'prune' else stage.init})"


def _origin(config: TrainConfig) -> str | None:
    return Path(config.start).name.removesuffix(".safetensors") if config.start else None
