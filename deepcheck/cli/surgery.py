"""What growing and pruning share on the command line: names of children, tables, and what comes next."""

from collections.abc import Callable
from pathlib import Path

from rich import box
from rich.table import Table

from deepcheck import store
from deepcheck.checkpoint import save_checkpoint
from deepcheck.cli.console import say
from deepcheck.data.protocols import read_data
from deepcheck.detectors.base import Detector
from deepcheck.engine.gradients import Probe
from deepcheck.engine.surgery import Surgery
from deepcheck.errors import ModelError


def child_name(wanted: str | None, parent: str, suffix: str, replace: bool = False) -> str:
    """`wanted`, or a free name that tells what was done to `parent`.

    `ModelError` if there is a model of the wanted name that is not to be replaced.
    """
    if wanted:
        if store.place_of(wanted).exists() and not replace:
            raise ModelError(f'There is a model "{wanted}" already.', "Choose another --name, or give --replace.")
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


def change_table(surgery: Surgery) -> Table:
    """Layer, part, width before and after, parameters; the last row is the whole model, with the largest change of
    its output on a probe of noise."""
    gained = sum(row.parameters for row in surgery.rows)
    after = surgery.child.card.parameters
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=True)
    table.add_column("layer", justify="right", footer="model")
    table.add_column("part")
    table.add_column("width before", justify="right", footer=f"{after - gained:,}")
    table.add_column("after", justify="right", footer=f"{after:,}")
    table.add_column("parameters", justify="right", footer=f"{gained:+,}")
    table.add_column("change of output", justify="right", footer=f"{surgery.change:.1e}")
    for row in surgery.rows:
        table.add_row(str(row.layer), row.part, str(row.before), str(row.after), f"{row.parameters:+,}")
    return table


def keep(surgery: Surgery) -> None:
    """Store the child, make it the current model if it is calibrated, and say what comes next."""
    card = surgery.child.card
    save_checkpoint(surgery.child, store.place_of(card.name))
    if surgery.note:
        say(surgery.note)
    if card.thresholds is None:
        say(f"Saved as {card.name} (parent: {card.parent}). Its scores have changed, so it has no calibration yet.")
        say(f"Next: deepcheck train --start {card.name} --data ...")
        return
    store.set_current(card.name)
    say(f"Saved as {card.name}, which is now the current model (parent: {card.parent}).")
