"""`deepcheck train`: make a detector from labelled recordings."""

from pathlib import Path
from typing import Annotated

import typer

from deepcheck.cli.options import Data, ProtocolName, Subset


def command(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Settings as YAML; see examples/recipes.", show_default=False)
    ] = None,
    data: Data = None,
    protocol: ProtocolName = None,
    subset: Subset = None,
    dev: Annotated[
        Path | None,
        typer.Option(help="A development set of its own; else whole sources are kept aside.", show_default=False),
    ] = None,
    dev_subset: Annotated[
        str | None, typer.Option(help="The part of --dev, else of --data, to develop on.", show_default=False)
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="A model to train further, by name or file.", show_default=False)
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(help="unfrozen, or frozen: only what the last growth added learns.", show_default=False),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What to call the model.", show_default=False)] = None,
    epochs: Annotated[int | None, typer.Option(min=1, show_default=False)] = None,
    batch_size: Annotated[int | None, typer.Option(min=2, show_default=False)] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(show_default=False)] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.", show_default=False)] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other setting, such as detector.width=32.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write the checkpoint here.", show_default=False)
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget an unfinished training of this name.")] = False,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Write curves for TensorBoard here (extra: tensorboard).", show_default=False)
    ] = None,
) -> None:
    """Train a detector, calibrate it on data kept aside, and store it.

    A training that was stopped goes on where it was when the same command
    is given again. Flags win over the YAML.

    Examples:

      deepcheck train --data manifest.csv --subset train --name mine

      deepcheck train --config examples/recipes/default.yaml --data manifest.csv
    """
    import math
    import shutil

    import yaml

    from deepcheck import store
    from deepcheck.checkpoint import save_checkpoint
    from deepcheck.cli.console import say
    from deepcheck.cli.training import TrainingView
    from deepcheck.config import load_config
    from deepcheck.engine.events import Done
    from deepcheck.engine.train import train
    from deepcheck.errors import ModelError

    place_of_dev = dev or (data if dev_subset else None)
    flags = {
        "data.train.path": data and str(data.absolute()),
        "data.train.protocol": protocol,
        "data.train.subset": subset,
        "data.dev.path": place_of_dev and str(place_of_dev.absolute()),
        "data.dev.protocol": protocol if place_of_dev else None,
        "data.dev.subset": dev_subset,
        "start": start,
        "mode": mode,
        "name": name,
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer.lr": lr,
        "seed": seed,
        "device": device,
    }
    # Of unlimited width: a long path must not be folded at its spaces.
    given = [
        f"{key}={yaml.safe_dump(value, width=math.inf).splitlines()[0]}"
        for key, value in flags.items()
        if value is not None
    ]
    chosen = load_config(config, [*given, *(settings or ())])
    place = store.place_of(chosen.name)
    run_dir = store.run_dir(chosen.name)
    if fresh:
        shutil.rmtree(run_dir, ignore_errors=True)
    elif place.exists():
        raise ModelError(
            f'There is a model "{chosen.name}" already.', "Choose another --name, or replace it with --fresh."
        )
    with TrainingView(tensorboard) as view:
        for event in train(chosen, run_dir):
            view.draw(event)
    assert isinstance(event, Done)
    for path in filter(None, (place, output)):
        save_checkpoint(event.checkpoint, path)
        say(f"Saved {path}")
    shutil.rmtree(run_dir, ignore_errors=True)
    say(f"Next: deepcheck eval {chosen.name} --data ...    or: deepcheck models use {chosen.name}")
