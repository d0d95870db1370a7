"""The layer sweep: a dropin in each layer in turn, all with the same training, beside a control without one."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from deepcheck import store
from deepcheck.checkpoint import load_checkpoint, save_checkpoint
from deepcheck.config import StageConfig, TrainConfig, to_dict
from deepcheck.data.utterance import Protocol
from deepcheck.engine.calibrate import score_by_label
from deepcheck.engine.events import Done, Event
from deepcheck.engine.score import Scorer
from deepcheck.engine.train import require_mode, train
from deepcheck.engine.training_sets import read_sets
from deepcheck.engine.unfinished import begin
from deepcheck.files import write_atomically
from deepcheck.metrics.measurement import measure
from deepcheck.metrics.table import EER

BEFORE = "before"
CONTROL = "control"


@dataclass(frozen=True)
class Arm:
    """One model of a sweep: `layer` (None: nothing grew), parameters, the EER on the trials `tested_on` (a fraction,
    with its 95 % interval), and where its checkpoint lies."""

    name: str
    layer: int | None
    parameters: int
    tested_on: str
    eer: float
    low: float
    high: float
    path: str


def sweep(
    config: TrainConfig,
    layers: Sequence[int],
    growth: StageConfig,
    training: StageConfig,
    run_dir: Path,
    test: Protocol | None = None,
) -> Iterator[Event | Arm]:
    """Trains `config.start` with `growth` in each of `layers`, and yields an `Arm` for each after its events.

    Two arms come first: the model `before`, and the `control`, which is trained as long, unfrozen, without growth. They
    are compared on `test`, else on the development set, which chose the epochs and so flatters all trained arms. With
    the same settings a stopped sweep goes on where it was; with others `ConfigError`.
    """
    assert config.start is not None
    require_mode(training.mode)
    settings = {**to_dict(config), "growth": to_dict(growth), "training": to_dict(training)}
    begin(run_dir / "sweep.json", settings, f'sweep "{config.name}"')
    trials = test or read_sets(config)[1]
    control = (replace(training, mode="unfrozen"),)
    schedules: dict[str, tuple[int | None, tuple[StageConfig, ...]]] = {
        BEFORE: (None, ()),
        CONTROL: (None, control),
        **{f"layer {layer}": (layer, (replace(growth, layer=str(layer)), training)) for layer in layers},
    }
    for name, (layer, stages) in schedules.items():
        place = run_dir / name.replace(" ", "-")
        result = place / "arm.json"
        if not result.is_file():
            path = place / "model.safetensors"
            checkpoint = load_checkpoint(store.resolve(config.start).path)
            if stages:
                for event in train(replace(config, name=f"{config.name}.{place.name}", stages=stages), place):
                    if isinstance(event, Done):
                        checkpoint = event.checkpoint
                    else:
                        yield event
            save_checkpoint(checkpoint, path)
            scores = score_by_label(Scorer(checkpoint.build(), device=config.device), trials)
            [one] = measure([EER], *scores)
            parameters, on = checkpoint.card.parameters, trials.describe()
            arm = Arm(name, layer, parameters, on, one.value, one.interval.low, one.interval.high, str(path))
            write_atomically(result, json.dumps(asdict(arm)))
        yield Arm(**json.loads(result.read_text(encoding="utf-8")))
