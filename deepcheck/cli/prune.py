"""`deepcheck prune`: remove the neurons that a detector needs least."""

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
        int | None, typer.Option(min=1, help="Units to remove from each of these layers.", show_default=False)
    ] = None,
    fraction: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Share of each layer's units to remove, instead.", show_default=False),
    ] = None,
    part: Part = None,
    criterion: Annotated[
        str, typer.Option(help="gradient-entropy, gradient, entropy, magnitude, newest or random.")
    ] = "gradient-entropy",
    data: Data = None,
    protocol: ProtocolName = None,
    subset: Subset = None,
    recordings: Recordings = 512,
    seed: int = 0,
    name: ChildName = None,
    replace: Replace = False,
    dry_run: DryRun = False,
) -> None:
    """Remove neurons, those first that matter least to the loss and say least.

    The child is stored beside its parent. Where its outputs have changed it
    has no calibration before it is trained: deepcheck train --start NAME

    Examples:

      deepcheck prune --layer 3 --neurons 128 --criterion newest

      deepcheck prune --layer all --fraction 0.25 --data manifest.csv --subset train
    """
    from deepcheck import store
    from deepcheck.checkpoint import load_checkpoint
    from deepcheck.cli.console import say, show
    from deepcheck.cli.surgery import change_table, child_name, keep, probe_on
    from deepcheck.engine.surgery import pruned, statistics_of
    from deepcheck.errors import ConfigError
    from deepcheck.plasticity.plan import choose_layers, plan, plan_share

    entry = store.resolve(model)
    parent = load_checkpoint(entry.path).named(entry.name)
    groups = parent.build().groups()
    layers = choose_layers(layer, groups, seed)
    if neurons is not None and fraction is None:
        changes = plan(groups, layers, neurons, part)
    elif fraction is not None and neurons is None:
        changes = plan_share(groups, layers, fraction, part)
    else:
        raise ConfigError("How much to remove is not clear.", "Give either --neurons or --fraction.")
    remove = {change.group.name: change.units for change in changes}
    called = child_name(name, entry.name, f"-pruned-{layer.replace(',', '+')}x{neurons or fraction}")
    statistics = statistics_of(parent, list(remove), criterion, probe_on(data, protocol, subset, recordings, seed))
    surgery = pruned(parent, statistics, remove, name=called, criterion=criterion, seed=seed)
    if dry_run:
        show(change_table(surgery.rows, parent.card, surgery.child.card))
        say(f"Nothing was saved. The output would change by at most {surgery.change:.1e} on a probe of noise.")
        return
    keep(surgery, parent.card, replace)
