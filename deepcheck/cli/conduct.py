"""Carrying out a training from the command line: settings from flags, progress, the model that it leaves."""

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deepcheck import store
from deepcheck.checkpoint import Checkpoint, save_checkpoint
from deepcheck.cli.console import say
from deepcheck.cli.training import TrainingView
from deepcheck.config import TrainConfig
from deepcheck.engine.epoch_log import NAME as EPOCH_LOG
from deepcheck.engine.events import Done
from deepcheck.engine.folds import FOLD_FILES
from deepcheck.engine.processes import is_main
from deepcheck.engine.rounds import ROUND_FILES
from deepcheck.engine.stages import STAGE_FILES
from deepcheck.engine.train import train
from deepcheck.errors import ModelError
from deepcheck.files import held


def as_overrides(flags: Mapping[str, Any]) -> list[str]:
    """The flags that were given, as `--set` would say them."""
    # Of unlimited width: a long path must not be folded at its spaces.
    return [
        f"{key}={yaml.safe_dump(value, width=math.inf).splitlines()[0]}"
        for key, value in flags.items()
        if value is not None
    ]


def data_flags(
    data: Path | None, protocol: str | None, subset: str | None, dev: Path | None, dev_subset: str | None
) -> dict[str, Any]:
    """The flags that say where recordings come from, as settings."""
    place_of_dev = dev or (data if dev_subset else None)
    return {
        "data.train.path": data and str(data.absolute()),
        "data.train.protocol": protocol,
        "data.train.subset": subset,
        "data.dev.path": place_of_dev and str(place_of_dev.absolute()),
        "data.dev.protocol": protocol if place_of_dev else None,
        "data.dev.subset": dev_subset,
    }


def conduct(
    config: TrainConfig, *, fresh: bool = False, output: Path | None = None, tensorboard: Path | None = None
) -> Checkpoint:
    """Train what `config` says, going on where an unfinished run of that name was, and store the model.

    Of a schedule the checkpoint of every stage is kept in the folder of the run, of folds `FOLD_FILES`. `ModelError`
    if there is a model of that name and `fresh` is not set, or if another training of that name is under way.
    """
    if not is_main():  # one of several processes of one training
        return _conduct(config, fresh, output, tensorboard)
    run_dir = store.run_dir(config.name)
    with held(run_dir.parent / f".{run_dir.name}.lock") as alone:
        if not alone:
            raise ModelError(
                f'Another training of "{config.name}" is under way.', "Wait for it, or choose another --name."
            )
        return _conduct(config, fresh, output, tensorboard)


def _conduct(config: TrainConfig, fresh: bool, output: Path | None, tensorboard: Path | None) -> Checkpoint:
    place = store.place_of(config.name)
    run_dir = store.run_dir(config.name)
    if is_main() and fresh:
        shutil.rmtree(run_dir, ignore_errors=True)
    elif place.exists() and not fresh:
        raise ModelError(
            f'There is a model "{config.name}" already.', "Choose another --name, or replace it with --fresh."
        )
    with TrainingView(tensorboard) as view:
        for event in train(config, run_dir):
            view.draw(event)
    assert isinstance(event, Done)
    if is_main():
        for path in filter(None, (place, output)):
            save_checkpoint(event.checkpoint, path)
            say(f"Saved {path}")
        _tidy(run_dir)
    return event.checkpoint


def _tidy(run_dir: Path) -> None:
    """Leaves the checkpoints of finished stages alone, what is known of folds, and the logs of all trainings."""
    for log in run_dir.glob(f"*/{EPOCH_LOG}"):
        log.replace(run_dir / f"{log.parent.name}-{EPOCH_LOG}")
    stages, folds, rounds, logs = (
        set(run_dir.glob(files)) for files in (STAGE_FILES, FOLD_FILES, ROUND_FILES, f"*{EPOCH_LOG}")
    )
    for path in run_dir.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path not in stages | folds | rounds | logs:
            path.unlink()
    if stages:
        say(f"The models of the stages: {run_dir / STAGE_FILES}")
    elif rounds:
        say(f"The models of the rounds: {run_dir / ROUND_FILES}")
    elif not folds | logs:
        run_dir.rmdir()
