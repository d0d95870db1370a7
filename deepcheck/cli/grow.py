"""`deepcheck grow`: add neurons to layers of a trained detector."""

from typing import Annotated

import typer

from deepcheck.cli.options import (
    ChildName,
    Data,
    Dev,
    DevSubset,
    DryRun,
    Epochs,
    Fresh,
    Layer,
    Mode,
    Model,
    Part,
    ProtocolName,
    Rate,
    Recipe,
    Recordings,
    Replace,
    Settings,
    Subset,
    Sweep,
    SweepOutput,
    SweepPlot,
    Test,
    TestSubset,
    TrainDevice,
)


def command(
    model: Model = None,
    layer: Layer = "all",
    neurons: Annotated[
        str | None,
        typer.Option(
            help="Units to add to each of these layers, 128 by default, of blocks and columns 1. auto, with data: a "
            "quarter of the layer with the strongest gradient, in rounds, while the development EER falls.",
            show_default=False,
        ),
    ] = None,
    part: Part = None,
    init: Annotated[
        str, typer.Option(help="zero, net2net, gradmax or hebbian (which need --data), or random (not exact).")
    ] = "zero",
    data: Data = None,
    protocol: ProtocolName = None,
    subset: Subset = None,
    recordings: Recordings = 512,
    seed: int = 0,
    name: ChildName = None,
    replace: Replace = False,
    dry_run: DryRun = False,
    mode: Mode = None,
    config: Recipe = None,
    epochs: Epochs = None,
    lr: Rate = None,
    dev: Dev = None,
    dev_subset: DevSubset = None,
    settings: Settings = None,
    device: TrainDevice = None,
    fresh: Fresh = False,
    sweep: Sweep = False,
    test: Test = None,
    test_subset: TestSubset = None,
    plot: SweepPlot = None,
    output: SweepOutput = None,
) -> None:
    """Add neurons to layers of a trained detector; its outputs stay the same.

    (But for --init random, after which it has to be trained before use.) The
    child is stored beside its parent and becomes the current model. With --data
    it is trained at once: all of it, in --mode unfrozen, or in --mode frozen
    what was added, which is usual where the old is kept as it is (blocks,
    columns, an encoder that does not learn). --epochs 0 only looks at the data,
    for --layer auto and --init gradmax.

    Examples:

      deepcheck grow --layer 3 --neurons 128

      deepcheck grow default --layer 2-4 --neurons 32 --init net2net --dry-run

      deepcheck grow --layer auto --neurons 64 --data manifest.csv --epochs 3

      deepcheck grow --neurons auto --data manifest.csv --epochs 3

      deepcheck grow encoder --part block --layer 6

      deepcheck grow --sweep --neurons 64 --data manifest.csv --plot layers.png
    """
    from deepcheck.cli.dropin import Growth, Trials, grow_and_train, grow_only, usual_mode
    from deepcheck.cli.layer_sweep import run_sweep
    from deepcheck.config import StageConfig
    from deepcheck.errors import ConfigError

    if mode not in (None, "frozen", "unfrozen", "lora"):
        raise ConfigError(f'There is no mode "{mode}" after growth.', "Choose frozen, unfrozen or lora.")
    many, share = _how_many(neurons, part)
    layer = "auto" if share and layer == "all" else layer
    stage = StageConfig("grow", layer=layer, neurons=many, share=share, part=part, init=init, recordings=recordings)
    growth = Growth(
        model,
        stage,
        trials=Trials(data, protocol, subset, dev, dev_subset),
        mode=mode or usual_mode(model, part),
        config=config,
        flags={"epochs": epochs or None, "optimizer.lr": lr, "device": device},
        settings=settings or [],
        seed=seed,
        name=name,
    )
    follows = (data is not None or config is not None) and epochs != 0
    if sweep:
        if not follows:
            raise ConfigError("A sweep trains the growth of each layer.", "Give --data, and --epochs above 0.")
        run_sweep(growth, test, test_subset, plot=plot, output=output, fresh=fresh or replace, dry_run=dry_run)
    elif follows:
        grow_and_train(growth, fresh=fresh or replace, dry_run=dry_run)
    elif share:
        raise ConfigError(
            "--neurons auto trains what it adds, and looks at what comes of it.", "Give --data, and --epochs above 0."
        )
    else:
        grow_only(growth, replace=replace or fresh, dry_run=dry_run)


def _how_many(neurons: str | None, part: str | None) -> tuple[int, float]:
    """(units, share of the units of a layer), of which one is 0."""
    if neurons is None:
        return (1 if part in ("block", "column") else 128), 0.0
    if neurons == "auto":
        return 0, 0.25
    if not neurons.isdecimal() or int(neurons) < 1:
        raise typer.BadParameter(f'"{neurons}" is no number of units: give 1 or more, or auto.', param_hint="--neurons")
    return int(neurons), 0.0
