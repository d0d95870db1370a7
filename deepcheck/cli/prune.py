"""`deepcheck prune`: remove the neurons that a detector needs least."""

from pathlib import Path
from typing import Annotated

import typer

from deepcheck.cli.options import (
    ChildName,
    Data,
    DryRun,
    Layer,
    Model,
    Part,
    ProtocolName,
    Recordings,
    Replace,
    Subset,
)


def command(
    model: Model = None,
    layer: Layer = "all",
    neurons: Annotated[
        int | None,
        typer.Option(min=1, help="Units to remove from each layer; with --scope all, in all.", show_default=False),
    ] = None,
    fraction: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Share of these units to remove, instead.", show_default=False),
    ] = None,
    target_speed: Annotated[
        float | None,
        typer.Option(
            help="Instead: as large a share as it takes to be so many times as fast on this CPU, such as 1.5.",
            show_default=False,
        ),
    ] = None,
    part: Part = None,
    criterion: Annotated[
        str, typer.Option(help="gradient-entropy, gradient, entropy, coactivation, magnitude, newest or random.")
    ] = "gradient-entropy",
    scope: Annotated[
        str,
        typer.Option(
            help="layer: each layer loses as many; grown: only what the last growth widened, by default back to the "
            "width before; all: the units of all layers and parts compete."
        ),
    ] = "layer",
    data: Data = None,
    protocol: ProtocolName = None,
    subset: Subset = None,
    recordings: Recordings = 512,
    seed: int = 0,
    name: ChildName = None,
    replace: Replace = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the scores: a .png, .svg or .pdf.", show_default=False)
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Remove neurons, those first that matter least to the loss and say least.

    The child is stored beside its parent. Where its outputs have changed it
    has no calibration before it is trained: deepcheck train --start NAME

    The criterion newest takes exactly what the last growth added, unless
    --neurons or --fraction says otherwise.

    Examples:

      deepcheck prune --layer 3 --neurons 128 --data manifest.csv --subset train

      deepcheck prune --scope grown --data manifest.csv --plot scores.png

      deepcheck prune --scope all --fraction 0.1 --criterion magnitude --dry-run

      deepcheck prune --criterion newest

      deepcheck prune --scope all --target-speed 1.5 --data manifest.csv
    """
    from deepcheck import store
    from deepcheck.checkpoint import load_checkpoint
    from deepcheck.cli.console import say, show
    from deepcheck.cli.pruning_table import draw_scores, pace_table, pruning_table
    from deepcheck.cli.surgery import child_name, keep, probe_on
    from deepcheck.engine.surgery import pruned, statistics_of
    from deepcheck.engine.target_speed import reach_speed
    from deepcheck.plasticity.plan import choose_layers
    from deepcheck.plasticity.selection import NEWEST, Ask, pools_of, select
    from deepcheck.plots import check_format

    # Whatever can be wrong is found out before the data are read.
    if plot is not None:
        check_format(plot)
    entry = store.resolve(model)
    parent = load_checkpoint(entry.path).named(entry.name)
    groups = parent.build().groups()
    ask = Ask(choose_layers(layer, groups, seed, part), part, neurons, fraction)
    pools = [] if target_speed is not None else pools_of(groups, ask, scope, parent.card.grown_from, criterion)
    where = scope if layer == "all" and scope != "layer" else layer.replace(",", "+")
    what = f"{where}x{neurons or fraction}" if neurons or fraction else NEWEST if criterion == NEWEST else scope
    if target_speed is not None:
        what = f"{where}-{target_speed:g}-times-as-fast"
    called = child_name(name, entry.name, f"-pruned-{what}", replace or dry_run)

    probe = probe_on(data, protocol, subset, recordings, seed)
    if target_speed is not None:
        reached = reach_speed(parent, target_speed, ask, scope=scope, criterion=criterion, probe=probe, seed=seed)
        show(pace_table(reached))
        selections = [*reached.selections]
    else:
        selections = select(statistics_of(parent, pools, criterion, probe), pools, criterion, seed)
    surgery = pruned(parent, selections, name=called, criterion=criterion, scope=scope, seed=seed)
    show(pruning_table(surgery, selections))
    say(f"The output changes by at most {surgery.change:.1e} on a probe of noise.")
    if plot is not None:
        draw_scores(selections, entry.name, criterion, scope == "all", plot)
        say(f"Drawn to {plot}")
    if dry_run:
        say("Nothing was saved.")
        return
    keep(surgery)
