"""`deepcheck grow`: add neurons to layers of a trained detector."""

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
    neurons: Annotated[int, typer.Option(min=1, help="Units to add to each of these layers.")] = 128,
    part: Part = None,
    init: Annotated[str, typer.Option(help="zero, net2net, gradmax (needs --data) or random (not exact).")] = "zero",
    data: Data = None,
    protocol: ProtocolName = None,
    subset: Subset = None,
    recordings: Recordings = 512,
    seed: int = 0,
    name: ChildName = None,
    replace: Replace = False,
    dry_run: DryRun = False,
) -> None:
    """Add neurons to layers of a trained detector; its outputs stay the same.

    (But for --init random, after which it has to be trained before use.) The
    child is stored beside its parent and becomes the current model. Train it
    further with: deepcheck train --start NAME --mode frozen

    Examples:

      deepcheck grow --layer 3 --neurons 128

      deepcheck grow default --layer 2-4 --neurons 32 --init net2net --dry-run
    """
    from deepcheck import store
    from deepcheck.checkpoint import load_checkpoint
    from deepcheck.cli.console import say, show
    from deepcheck.cli.surgery import change_table, child_name, keep, probe_on
    from deepcheck.engine.surgery import grown
    from deepcheck.plasticity.plan import choose_layers, plan

    entry = store.resolve(model)
    parent = load_checkpoint(entry.path).named(entry.name)
    groups = parent.build().groups()
    changes = plan(groups, choose_layers(layer, groups, seed), neurons, part)
    called = child_name(name, entry.name, f"-grown-{layer.replace(',', '+')}x{neurons}")
    probe = probe_on(data, protocol, subset, recordings, seed)
    surgery = grown(parent, changes, name=called, init=init, seed=seed, probe=probe)
    if dry_run:
        show(change_table(surgery.rows, parent.card, surgery.child.card))
        say(f"Nothing was saved. The output would change by at most {surgery.change:.1e} on a probe of noise.")
        return
    keep(surgery, parent.card, replace)
    layers = ",".join(str(change.group.layer) for change in changes)
    which = f" --part {part}" if part else ""
    say(f"Undo, while it is untrained: deepcheck prune --layer {layers}{which} --neurons {neurons} --criterion newest")
