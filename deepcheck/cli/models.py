"""`deepcheck models`: what models there are, and which one is used."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from deepcheck.cli import calibrate, fuse

app = typer.Typer(
    help="List models, look at one, choose the current one, calibrate one, fuse several.",
    no_args_is_help=False,
    add_completion=False,
)
app.command("calibrate")(calibrate.command)
app.command("fuse")(fuse.command)

_Name = Annotated[str, typer.Argument(help="A model by name, or a file.")]


@app.callback(invoke_without_command=True)
def _default(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        list_models()


@app.command("list")
def list_models() -> None:
    """List the shipped models and one's own."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from deepcheck import store
    from deepcheck.card import peek
    from deepcheck.cli.console import say, show
    from deepcheck.errors import ModelError

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column, justify in (
        ("", "left"),
        ("name", "left"),
        ("detector", "left"),
        ("parameters", "right"),
        ("dev EER", "right"),
        ("parent", "left"),
        ("where", "left"),
    ):
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    current = store.current()
    for entry in store.entries():
        mark = "*" if entry.name == current else ""
        where = "in the package" if entry.shipped else str(entry.path)
        try:
            card = peek(entry.path)
        except ModelError as error:
            table.add_row(mark, Text(entry.name), "-", "", "", "", Text(error.message))
            continue
        eer = card.metrics.get("dev_eer")
        table.add_row(
            mark,
            Text(entry.name),
            Text(card.spec.name),
            f"{card.parameters:,}",
            "" if eer is None else f"{100 * eer:.2f} %",
            Text(card.parent or ""),
            Text(where),
        )
    show(table)
    say("* is the current model, which commands take unless --model names another.")


@app.command()
def show(
    name: _Name,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show what is known of a model: recipe, data, figures, thresholds, lineage."""
    from rich.table import Table
    from rich.text import Text

    from deepcheck import store
    from deepcheck.card import peek
    from deepcheck.cli.console import show as print_out
    from deepcheck.files import sha256

    entry = store.resolve(name)
    card = peek(entry.path)
    if as_json:
        typer.echo(json.dumps({"file": str(entry.path), "sha256": sha256(entry.path), **asdict(card)}, indent=2))
        return
    table = Table.grid(padding=(0, 2))
    rows = {
        "name": entry.name if entry.name == card.name else f"{entry.name} (trained as {card.name})",
        "file": f"{entry.path}",
        "SHA-256": sha256(entry.path),
        "made": f"{card.created} by deepcheck {card.version}",
        "detector": f"{card.spec.name} {json.dumps(dict(card.spec.arguments))}",
        "parameters": f"{card.parameters:,}",
        "parent": card.parent or "-",
    }
    rows |= {name.replace("_", " "): f"{value:.4f}" for name, value in card.metrics.items()}
    if card.thresholds:
        rows["thresholds"] = f"spoof at {card.thresholds.spoof:+.2f}, bona fide at {card.thresholds.bonafide:+.2f}"
    rows |= {
        f"after {name}": f"spoof at {band.spoof:+.2f}, bona fide at {band.bonafide:+.2f}, where these are wider"
        for name, band in card.bands.items()
    }
    if card.rates:
        rates = [
            f"{name.replace('_', ' ')} {card.rates[name]:.1%}" for name in ("false_alarm", "miss") if name in card.rates
        ]
        rows["fitted for"] = (
            f"{', '.join(rates) or 'no rate, for want of data'}, on {card.rates.get('bonafide', '?')} bona fide and "
            f"{card.rates.get('spoof', '?')} spoof recordings kept aside"
        )
    for number, stage in enumerate(card.history, start=1):
        rows[f"stage {number}"] = f"{stage['stage']}: {_told(stage)}"
    for key, value in rows.items():
        table.add_row(Text(key, style="bold"), Text(value))
    print_out(table)
    if any("folds" in stage for stage in card.history):
        from deepcheck.cli.fold_sheet import fold_sheet  # which takes the engine to import
        from deepcheck.engine.fold_check import checks_of

        if checks := checks_of(card):
            print_out(fold_sheet(checks).drawn())


def _told(stage: Mapping[str, Any]) -> str:
    """What happened in a stage of the model's life; files come from strangers, who may tell anything."""
    try:
        told = _members(stage) or stage.get("train") or _origin(stage) or stage.get("dev") or _surgery(stage)
    except (AttributeError, KeyError, TypeError, ValueError):
        told = "what it says of itself makes no sense"
    return str(told)[:1000]


def _origin(stage: Mapping[str, Any]) -> str:
    if "from" not in stage:
        return ""
    revision = f", revision {stage['revision'][:12]}" if stage.get("revision") else ""
    return f"{stage['from']}{revision}, labels {stage.get('labels')}"


def _members(stage: Mapping[str, Any]) -> str:
    return ", ".join(f"{member['gain']:.3f} x {member['name']}" for member in stage.get("members", ()))


def _surgery(stage: Mapping[str, Any]) -> str:
    how = stage.get("init") or stage.get("criterion") or ""
    changes = [f"layer {c['layer']} {c['part']} {c['units']:+}" for c in stage.get("changes", ())]
    return f"{', '.join(changes)} ({how})"


@app.command()
def use(name: Annotated[str, typer.Argument(help="A model by name.")]) -> None:
    """Make a model the one that commands take when none is named."""
    from deepcheck import store
    from deepcheck.cli.console import say

    store.set_current(name)
    say(f"The current model is now {name}.")


@app.command()
def remove(name: Annotated[str, typer.Argument(help="One of your own models.")]) -> None:
    """Delete one of one's own models."""
    from deepcheck import store
    from deepcheck.cli.console import say

    store.remove(name)
    say(f"Removed {name}.")


@app.command("export")
def export_model(
    name: Annotated[
        str | None, typer.Argument(help="A model by name or file; by default the current one.", show_default=False)
    ] = None,
    format: Annotated[str, typer.Option(help="Only onnx so far.")] = "onnx",  # noqa: A002
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="By default where scan finds it, and uses it.", show_default=False),
    ] = None,
) -> None:
    """Write a model as an ONNX graph, which computes the same scores faster.

    Without --output, scan computes with it from then on (extra onnx) unless
    bfloat16 is faster here or it is told --runtime torch; --runtime onnx makes
    it do so in any case. The graph reads the features of the front end,
    for any number of windows.

    Example:

      deepcheck models export default --format onnx
    """
    from deepcheck import store
    from deepcheck.cli.console import say
    from deepcheck.engine.graph import export_onnx
    from deepcheck.engine.model import load
    from deepcheck.errors import ConfigError

    if format != "onnx":
        raise ConfigError(f'There is no export format "{format}".', "There is: onnx.")
    model = load(name)
    place = output or store.place_of_graph(model.sha256)
    difference = export_onnx(model.detector, place)
    say(f"Written to {place}; no logit differed by more than {difference:.0e}.")


@app.command("import")
def import_model(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A checkpoint that somebody sent, or hf:owner/name on the Hugging Face hub."
        ),
    ],
    name: Annotated[str | None, typer.Option(help="By default the name of the file.", show_default=False)] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="What the labels of a hub model mean, for instance spoof=fake,bonafide=real; needed where their "
            "names leave a doubt.",
            show_default=False,
        ),
    ] = None,
    window: Annotated[float, typer.Option(help="Seconds that a hub model hears at a time.")] = 4.0,
) -> None:
    """Copy a checkpoint into the store, after a look whether it is whole and can be built.

    hf:owner/name stands for any audio-classification model of the Hugging Face
    hub whose weights are safetensors, hf: and a folder for one that was
    downloaded by other means. It is stored with all that it needs, and then
    taken by its name like any other model. Until it is calibrated
    (deepcheck models calibrate), it gives no verdicts.

    Examples:

      deepcheck models import from-a-colleague.safetensors

      deepcheck models import hf:owner/name --labels spoof=fake,bonafide=real
    """
    from deepcheck import store
    from deepcheck.checkpoint import load_checkpoint, save_checkpoint, snapshot
    from deepcheck.cli.console import say
    from deepcheck.engine.model import HUB, from_hub
    from deepcheck.errors import ModelError

    name = name or _short_name(source)
    place = store.place_of(name)
    if place.exists():
        raise ModelError(f'There is a model "{name}" already.', "Choose another --name.")
    if source.startswith(HUB):
        model = from_hub(source, labels, window)
        checkpoint = snapshot(model.detector, model.card)
        say(f"Its labels are taken so: {model.card.history[0]['labels']}")
    else:
        checkpoint = load_checkpoint(Path(source))
        checkpoint.build()
    save_checkpoint(checkpoint.named(name), place)
    say(f"Stored as {name}.")


def _short_name(source: str) -> str:
    from deepcheck import store
    from deepcheck.engine.model import HUB

    if source.startswith(HUB):
        return Path(source.removeprefix(HUB).partition("@")[0]).name
    return Path(source).name.removesuffix(store.SUFFIX)
