"""What growing and pruning share on the command line: names of children, tables, and what comes next."""

from collections.abc import Callable
from pathlib import Path

from rich import box
from rich.table import Table

from deepcheck import store
from deepcheck.card import Card
from deepcheck.checkpoint import save_checkpoint
from deepcheck.cli.console import say, show
from deepcheck.data.protocols import read_data
from deepcheck.detectors.base import Detector
from deepcheck.engine.gradients import Probe
from deepcheck.engine.surgery import Row, Surgery
from deepcheck.errors import ModelError


def child_name(wanted: str | None, parent: str, suffix: str) -> str:
    """`wanted`, or a free name that tells what was done to `parent`."""
    if wanted:
        store.place_of(wanted)
        return wanted
    base = f"{parent}{suffix}"[:90]
    number = 1
    name = base
    while store.place_of(name).exists():
        number += 1
        name = f"{base}.{number}"
    return name


def probe_on(
    data: Path | None, protocol: str | None, subset: str | None, recordings: int, seed: int
) -> Callable[[Detector], Probe] | None:
    """A maker of probes on the data that was named; None if none was."""
    if data is None:
        return None
    trials = read_data(data, protocol, subset)
    say(f"Looking at {trials.describe()}")
    return lambda detector: Probe(detector, trials, recordings=recordings, seed=seed)


def change_table(rows: tuple[Row, ...], parent: Card, child: Card) -> Table:
    """Layer, part, width before and after, parameters; the last row is the whole model."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=True)
    table.add_column("layer", justify="right", footer="model")
    table.add_column("part")
    table.add_column("width before", justify="right", footer=f"{parent.parameters:,}")
    table.add_column("after", justify="right", footer=f"{child.parameters:,}")
    table.add_column("parameters", justify="right", footer=f"{child.parameters - parent.parameters:+,}")
    for row in rows:
        table.add_row(str(row.layer), row.part, str(row.before), str(row.after), f"{row.parameters:+,}")
    return table


def keep(surgery: Surgery, parent: Card, replace: bool) -> None:
    """Store the child, make it the current model, and show what changed."""
    card = surgery.child.card
    place = store.place_of(card.name)
    if place.exists() and not replace:
        raise ModelError(f'There is a model "{card.name}" already.', "Choose another --name, or give --replace.")
    show(change_table(surgery.rows, parent, card))
    say(f"The output changes by at most {surgery.change:.1e} on a probe of noise.")
    save_checkpoint(surgery.child, place)
    if card.thresholds is None:
        say(f"Saved as {card.name} (parent: {card.parent}). Its scores have changed, so it has no calibration yet.")
        say(f"Next: deepcheck train --start {card.name} --data ...")
        return
    store.set_current(card.name)
    say(f"Saved as {card.name}, which is now the current model (parent: {card.parent}).")
