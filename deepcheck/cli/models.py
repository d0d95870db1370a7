"""`deepcheck models`: what models there are, and which one is used."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="List models, look at one, choose the current one.", no_args_is_help=False)

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
    if card.rates:
        rates = [
            f"{name.replace('_', ' ')} {card.rates[name]:.1%}" for name in ("false_alarm", "miss") if name in card.rates
        ]
        rows["fitted for"] = (
            f"{', '.join(rates) or 'no rate, for want of data'}, on {card.rates['bonafide']} bona fide and "
            f"{card.rates['spoof']} spoof recordings kept aside"
        )
    for number, stage in enumerate(card.history, start=1):
        rows[f"stage {number}"] = f"{stage['stage']}: {stage.get('train') or _surgery(stage)}"
    for key, value in rows.items():
        table.add_row(Text(key, style="bold"), Text(value))
    print_out(table)


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


@app.command("import")
def import_model(
    file: Annotated[Path, typer.Argument(help="A checkpoint that somebody sent.")],
    name: Annotated[str | None, typer.Option(help="By default the name of the file.", show_default=False)] = None,
) -> None:
    """Copy a checkpoint into the store, after a look whether it is whole and can be built."""
    from deepcheck import store
    from deepcheck.checkpoint import load_checkpoint, save_checkpoint
    from deepcheck.cli.console import say
    from deepcheck.errors import ModelError

    checkpoint = load_checkpoint(file)
    checkpoint.build()
    name = name or file.name.removesuffix(store.SUFFIX)
    place = store.place_of(name)
    if place.exists():
        raise ModelError(f'There is a model "{name}" already.', "Choose another --name.")
    save_checkpoint(checkpoint.named(name), place)
    say(f"Stored as {name}.")
