"""`deepcheck grow --sweep`: the table and the figure of EER by grown layer."""

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.table import Table

from deepcheck import store
from deepcheck.cli.console import deliver, say, show
from deepcheck.cli.dropin import Growth
from deepcheck.cli.training import TrainingView
from deepcheck.data.protocols import read_data
from deepcheck.engine.sweep import BEFORE, Arm, sweep
from deepcheck.errors import ConfigError
from deepcheck.plasticity.plan import choose_layers, parts_of, plan
from deepcheck.plots import check_format, save_figure
from deepcheck.plots.layers import Point, eer_by_layer


def run_sweep(
    growth: Growth,
    test: Path | None,
    test_subset: str | None,
    *,
    plot: Path | None,
    output: Path | None,
    fresh: bool,
    dry_run: bool,
) -> None:
    """Train each layer's growth, and print EER by layer; goes on where an unfinished sweep was."""
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ConfigError("A sweep is no work for torchrun.", "Start it as one process.")
    if growth.mode == "lora" or growth.stage.share:
        raise ConfigError("A sweep trains one growth of each layer.", "Give --mode frozen or unfrozen, and a number.")
    if plot is not None:
        check_format(plot)
    start, parent = growth.parent()
    name = growth.child_name(parent.card, f"sweep-{growth.mode}", replace=True)
    config = growth.training(start, parent.card, name)
    groups = parent.build().groups()
    stage, training, *_ = growth.stages()
    layers = choose_layers(stage.layer, groups, growth.seed, stage.part)
    plan(groups, layers, stage.neurons, stage.part)  # refuses before a night is spent
    trials = None
    if test is not None or test_subset is not None:
        place = test or growth.trials.data
        if place is None:
            raise ConfigError("--test-subset names a part of no data.", "Give --test or --data.")
        trials = read_data(place, growth.trials.protocol, test_subset)
        trials.require_both_labels()
    if dry_run:
        names = ", ".join(map(str, layers))
        say(f"Nothing was done. {len(layers) + 1} trainings of {config.epochs} epochs: a control, and layers {names}.")
        return
    run_dir = store.run_dir(name)
    if fresh:
        shutil.rmtree(run_dir, ignore_errors=True)
    arms: list[Arm] = []
    with TrainingView() as view:
        for event in sweep(config, layers, stage, training, run_dir, trials):
            if isinstance(event, Arm):
                arms.append(event)
                say(f"{event.name}: EER {_percent(event.eer)} [{_percent(event.low)}, {_percent(event.high)}]", "bold")
            else:
                view.draw(event)
    show(_table(arms))
    say(f"EER on {arms[0].tested_on}, with 95 % intervals; control: trained as long, unfrozen, without growth.")
    say(f"The models are kept in {run_dir}; store one with: deepcheck models import FILE --name NAME")
    if output is not None:
        deliver(json.dumps([asdict(arm) for arm in arms], indent=2) + "\n", output)
    if plot is not None:
        points = [Point(arm.name, arm.layer, arm.eer, arm.low, arm.high) for arm in arms]
        what = f"{stage.neurons} {stage.part or parts_of(groups)[0]} more in one layer of {parent.card.name}"
        save_figure(eer_by_layer(points, f"{what}, {growth.mode}"), plot)
        say(f"Drawn to {plot}")


def _table(arms: list[Arm]) -> Table:
    [before] = [arm for arm in arms if arm.name == BEFORE]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model")
    for heading in ("parameters", "EER", "95 % interval", "against before"):
        table.add_column(heading, justify="right")
    for arm in arms:
        change = "" if arm is before or not before.eer else f"{arm.eer / before.eer - 1:+.1%}"
        interval = f"{_percent(arm.low)} to {_percent(arm.high)}"
        table.add_row(arm.name, f"{arm.parameters:,}", _percent(arm.eer), interval, change)
    return table


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
