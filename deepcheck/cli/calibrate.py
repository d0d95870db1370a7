"""`deepcheck models calibrate`: what a model's scores mean on recordings of one's own."""

from pathlib import Path
from typing import Annotated, Any

import typer

from deepcheck.cli.options import Device, FalseAlarm, Miss, ProtocolName, Replace, Subset


def command(
    model: Annotated[str, typer.Argument(metavar="NAME", help="A model by name, or a file.")],
    data: Annotated[
        Path, typer.Option("--data", "--root", help="A manifest CSV (path,label,...), or the folder of a corpus.")
    ],
    protocol: ProtocolName = None,
    subset: Subset = None,
    name: Annotated[
        str | None,
        typer.Option(help="What to call the result; by default NAME-calibrated.", show_default=False),
    ] = None,
    held_out: Annotated[
        bool,
        typer.Option(
            "--held-out", help="The data are those of its training: take the part that was kept aside, as then."
        ),
    ] = False,
    conditions: Annotated[
        str | None,
        typer.Option(
            help="Under which to measure: none, or such as telephone,opus:16k,noise:10dB (see eval --conditions).",
            show_default=False,
        ),
    ] = None,
    false_alarm: FalseAlarm = None,
    miss: Miss = None,
    device: Device = "auto",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the model to this file, and do not store it.", show_default=False),
    ] = None,
    replace: Replace = False,
) -> None:
    """Calibrate a model on labelled recordings, and store it under a new name.

    What its scores mean, where its thresholds lie, how much wider the
    inconclusive band is after a telephone line or a codec, and how far is far
    from what it knows: all are measured anew on recordings it was not trained
    on. A newsroom's own, for example, or for a model of the Hugging Face hub,
    which comes without. The network itself stays as it is.

    Examples:

      deepcheck models calibrate default --data desk.csv --name desk

      deepcheck models calibrate other --data manifest.csv --subset val --conditions telephone,opus:16k

      deepcheck models calibrate mine --data corpus/manifest.csv --subset train --held-out
    """
    from deepcheck import store
    from deepcheck.checkpoint import load_checkpoint, save_checkpoint
    from deepcheck.cli.console import say, show
    from deepcheck.data.protocols import read_data
    from deepcheck.engine.development import calibration_of, recalibrated
    from deepcheck.errors import ModelError

    entry = store.resolve(model)
    checkpoint = load_checkpoint(entry.path)
    place = output
    if output is None:
        name = name or f"{entry.name}-calibrated"
        place = store.place_of(name)
        if place.exists() and not replace:
            raise ModelError(f'There is a model "{name}" already.', "Choose another --name, or add --replace.")
        checkpoint = checkpoint.named(entry.name)
    assert place is not None
    changes = {"false_alarm": false_alarm, "miss": miss, "conditions": listed(conditions)}
    found, note = recalibrated(
        checkpoint,
        read_data(data, protocol, subset),
        name=name or checkpoint.card.name,
        held_out=held_out,
        config=calibration_of(checkpoint.card, **{key: value for key, value in changes.items() if value is not None}),
        device=device,
        on_error=lambda path, reason: say(f"Left out: {path}: {reason}", style="yellow"),
        progress=lambda what: say(f"Measuring: {what}"),
    )
    save_checkpoint(found, place)
    show(_table(found.card))
    if note:
        say(f"Note: {note}", style="yellow")
    say(f"Written to {output}" if output else f"Stored as {name}. Next: deepcheck models use {name}")


def listed(conditions: str | None) -> list[str] | None:
    """The conditions of an option; None if it was not given."""
    if conditions is None:
        return None
    return [part for one in conditions.split(",") if (part := one.strip()) and part != "none"]


def _table(card: Any) -> Any:
    """A row for the recordings as they are, and one for each band."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("condition")
    for column in ("EER", "spoof at or below", "bona fide at or above"):
        table.add_column(column, justify="right")
    for name, band in {"as they are": card.thresholds, **card.bands}.items():
        eer = card.metrics.get("dev_eer" if band is card.thresholds else f"dev_eer.{name}")
        table.add_row(
            Text(name), "" if eer is None else f"{100 * eer:.2f} %", f"{band.spoof:+.2f}", f"{band.bonafide:+.2f}"
        )
    return table
