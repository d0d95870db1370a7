"""Growth that decides for itself: a schedule again and again, until the development set gains nothing by it."""

import json
import os
from collections.abc import Generator, Iterator
from dataclasses import asdict, replace
from pathlib import Path

from deepcheck import store
from deepcheck.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from deepcheck.config import TrainConfig, to_dict
from deepcheck.engine.calibrate import score_by_label
from deepcheck.engine.development import Part, develop
from deepcheck.engine.events import Done, Event, RoundDone
from deepcheck.engine.score import Scorer
from deepcheck.engine.stages import require_stages, run_stages
from deepcheck.engine.training_sets import read_sets
from deepcheck.engine.unfinished import begin
from deepcheck.errors import ConfigError
from deepcheck.files import write_atomically
from deepcheck.metrics.detection import eer
from deepcheck.runtime import pick_device

ROUND_FILES = "round-*.safetensors"
"""Where in the folder of its run the model of each round lies."""


def run_rounds(config: TrainConfig, run_dir: Path) -> Iterator[Event]:
    """The stages of `config` from `config.start` on, again from the model that they leave, and so on.

    `RoundDone` follows each round; the first, number 0, is the model before. It ends when `rounds_patience` rounds in a
    row have not bettered the best development EER, or after `rounds`. `Done` then has the model of the best round,
    which may be the one before. Every round's model is kept as `round-N.safetensors` in `run_dir`; with the same
    settings a stopped run goes on in the round, the stage and the step where it was.
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ConfigError("Growth in rounds is no work for torchrun.", "Start it as one process.")
    if config.rounds < 0 or config.rounds_patience < 1:
        raise ConfigError(
            f'"rounds" is {config.rounds}, "rounds_patience" {config.rounds_patience}.',
            "Give rounds of 0 or more, and a patience of at least 1.",
        )
    if config.start is None or not config.stages or config.stages[0].do == "train":
        raise ConfigError(
            "Rounds repeat stages that begin with growth, from a model that there is.",
            "Set start, and stages such as [{do: grow, layer: auto, share: 0.25}, {do: train, mode: frozen}].",
        )
    require_stages(config)
    begin(run_dir / "rounds.json", to_dict(config), f'growth "{config.name}"')
    train_set, dev_set = read_sets(config)
    device = pick_device(config.device)
    made: list[RoundDone] = []
    start = str(store.resolve(config.start).path)
    for number in range(config.rounds + 1):
        if number > config.rounds_patience and not any(one.best for one in made[-config.rounds_patience :]):
            break
        place, row = run_dir / f"round-{number}.safetensors", run_dir / f"round-{number}.json"
        if not row.is_file():
            if number:
                checkpoint = yield from _round(config, start, run_dir / f"round-{number}")
                dev_eer, what = checkpoint.card.metrics["dev_eer"], _what(checkpoint)
            else:
                checkpoint = load_checkpoint(Path(start))
                dev_eer, what = eer(*score_by_label(Scorer(checkpoint.build(), device=device), dev_set))[0], "before"
            best = dev_eer < min((one.dev_eer for one in made), default=2.0)
            save_checkpoint(checkpoint, place)
            done = RoundDone(number, config.rounds, what, checkpoint.card.parameters, dev_eer, best, str(place))
            write_atomically(row, json.dumps(asdict(done)))
        made.append(RoundDone(**json.loads(row.read_text(encoding="utf-8"))))
        yield made[-1]
        start = str(place)
    chosen = [one for one in made if one.best][-1]
    model = load_checkpoint(Path(chosen.path))
    # The rounds on the way were not measured in bad conditions; the model that is used has to be.
    found = develop([Part(model.build(), dev_set, train_set)], config.calibration, device=device)
    origin = Path(config.start).name.removesuffix(".safetensors")
    card = replace(found.onto(model.card), name=config.name, parent=origin)
    reason = (
        f"{config.rounds} rounds done"
        if len(made) > config.rounds
        else f"no better development EER in {config.rounds_patience} rounds"
    )
    which = (
        f"the model is that of round {chosen.number}" if chosen.number else "no round was better than the model before"
    )
    yield Done(
        replace(model, card=card, evidence=found.evidence), None, f"{reason}; {which}", card.metrics, found.fitted.note
    )


def _round(config: TrainConfig, start: str, run_dir: Path) -> Generator[Event, None, Checkpoint]:
    calibration = replace(config.calibration, conditions=())
    for event in run_stages(replace(config, rounds=0, start=start, calibration=calibration), run_dir):
        if isinstance(event, Done):
            return event.checkpoint
        yield event
    raise AssertionError("a schedule ends with Done")


def _what(checkpoint: Checkpoint) -> str:
    """The growth of a round in words."""
    grown = next(row for row in reversed(checkpoint.card.history) if row["stage"] == "grow")
    return ", ".join(f"{one['units']} {one['part']} in layer {one['layer']}" for one in grown["changes"])
