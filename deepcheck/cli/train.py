"""`deepcheck train`: make a detector from labelled recordings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepcheck.cli.options import Data, ProtocolName, Subset

if TYPE_CHECKING:
    from deepcheck.config import TrainConfig


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
    detector: Annotated[
        str | None,
        typer.Option(help="resnet18, gru, lstm, wav2vec2 or distilled (see the README).", show_default=False),
    ] = None,
    pretrained: Annotated[
        str | None,
        typer.Option(
            help="What to begin with: a wav2vec 2.0 encoder (an id on the Hugging Face hub, or a folder), or a file "
            "for the detector distilled (.safetensors; see examples/recipes/convert_distillmos.py).",
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="A model to train further, by name or file.", show_default=False)
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            help="unfrozen; frozen: only what the last growth added learns; lora: low-rank adapters do (extra: lora).",
            show_default=False,
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            help="Train a model for each of so many folds, which share no source and no system, calibrate on what each "
            "says of its own fold, then train one on everything (or --set folds.final=mean).",
            show_default=False,
        ),
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
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Only look at the data: counts, overlaps, what cannot be read, shortcuts. 1 if refused."
        ),
    ] = False,
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

      deepcheck train --data manifest.csv --check

      deepcheck train --config examples/recipes/default.yaml --data manifest.csv

      deepcheck train --pretrained facebook/wav2vec2-base --lr 1e-5 --data manifest.csv

      deepcheck train --pretrained facebook/wav2vec2-base --mode lora --lr 1e-4 --data manifest.csv

      deepcheck train --pretrained distillmos.safetensors --lr 1e-4 --data manifest.csv

      deepcheck train --pretrained distillmos.safetensors --folds 4 --set folds.final=mean --data manifest.csv

      torchrun --nproc-per-node 4 -m deepcheck train --data manifest.csv
    """
    from deepcheck.cli.conduct import as_overrides, conduct, data_flags
    from deepcheck.cli.console import say
    from deepcheck.config import load_config

    flags = {
        **data_flags(data, protocol, subset, dev, dev_subset),
        "detector.name": detector or (_kept_in(pretrained) if pretrained else None),
        "detector.pretrained": pretrained,
        "start": start,
        "mode": mode,
        "folds.count": folds,
        "name": name,
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer.lr": lr,
        "seed": seed,
        "device": device,
    }
    config_ = load_config(config, [*as_overrides(flags), *(settings or ())])
    if check:
        _check(config_)
    made = conduct(config_, fresh=fresh, output=output, tensorboard=tensorboard)
    if made.card.thresholds is not None:
        say(f"Next: deepcheck eval {config_.name} --data ...    or: deepcheck models use {config_.name}")


def _check(config: "TrainConfig") -> None:
    """Shows what is found as soon as it is; the exit code says whether a training would be refused."""
    from deepcheck.cli.app import Exit
    from deepcheck.cli.console import say
    from deepcheck.cli.data_sheet import show_findings
    from deepcheck.cli.progress import counting
    from deepcheck.engine.data_check import check_data

    refused = False
    with counting("Reading") as progress:
        for found in check_data(config, progress=progress):
            show_findings(found)
            refused |= bool(found.refusals)
    if not refused:
        say("Nothing here would stop a training.")
    raise typer.Exit(Exit.ERROR if refused else Exit.DONE)


def _kept_in(pretrained: str) -> str:
    """The detector whose weights are kept like this: in one file, or in a folder or on the hub."""
    return "distilled" if pretrained.endswith(".safetensors") else "wav2vec2"
