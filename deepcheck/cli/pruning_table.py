"""What pruning takes and why: as a table, and as histograms of the scores."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from rich import box
from rich.table import Table
from torch import Tensor

from deepcheck.engine.surgery import Surgery
from deepcheck.engine.target_speed import Reached
from deepcheck.plasticity.selection import Selection

EVIDENCE: tuple[tuple[str, Callable[[Selection], Tensor], Callable[[Tensor], str]], ...] = (
    ("mean\nTaylor", lambda one: one.statistics.taylor, lambda values: scientific(float(values.mean()))),
    ("mean\nentropy", lambda one: one.statistics.entropy, lambda values: f"{float(values.mean()):.2f}"),
)
"""What data tell beside the scores: the header of its column, where it is, and how to say it of some units."""


def pruning_table(surgery: Surgery, selections: Sequence[Selection]) -> Table:
    """One row a group, the whole model at the bottom: widths, parameters, how many units go, how many of them are new.

    Then, above of those removed and below of those kept: the range of their scores and, as far as data were looked
    at, their mean Taylor importance and their mean entropy in nats.
    """
    change = sum(row.parameters for row in surgery.rows)
    after = surgery.child.card.parameters
    gone, new = sum(len(one.removed) for one in selections), sum(one.new for one in selections)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_footer=True)
    table.add_column("layer", justify="right", footer="model")
    table.add_column("part", no_wrap=True)
    table.add_column("width\nbefore", justify="right", footer=f"{after - change:,}", no_wrap=True)
    table.add_column("\nafter", justify="right", footer=f"{after:,}", no_wrap=True)
    table.add_column("\nparameters", justify="right", footer=f"{change:+,}", no_wrap=True)
    table.add_column("units\nremoved", justify="right", footer=_removed(gone, new), no_wrap=True)
    table.add_column("\nscore", justify="right", overflow="fold")
    evidence = [row for row in EVIDENCE if not any(row[1](one).isnan().any() for one in selections)]
    for header, _, _ in evidence:
        table.add_column(header, justify="right", overflow="fold")
    extent = extent_in(notation(torch.cat([one.scores for one in selections])))
    for row, one in zip(surgery.rows, selections, strict=True):
        table.add_row(
            str(row.layer),
            row.part,
            str(row.before),
            str(row.after),
            f"{row.parameters:+,}",
            f"{_removed(len(one.removed), one.new)}\nkept",
            _of_both(one, one.scores, extent),
            *(_of_both(one, values_of(one), say) for _, values_of, say in evidence),
        )
    return table


def pace_table(reached: Reached) -> Table:
    """How fast the model is without so many of its units, in times of what it was; what was taken is marked."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("units\nremoved", justify="right")
    table.add_column("times\nas fast", justify="right")
    table.add_column("")
    for pace in sorted(reached.measured, key=lambda one: one.fraction):
        mark = "taken" if pace.fraction == reached.fraction else ""
        table.add_row(f"{pace.fraction:.0%}", f"{pace.speed:.2f}", mark)
    return table


def draw_scores(selections: Sequence[Selection], model: str, criterion: str, shared: bool, path: Path) -> None:
    """A histogram of the scores of each group, to `path`; `shared` if all groups were ranked together."""
    from deepcheck.plots import save_figure
    from deepcheck.plots.histogram import Panel, score_histogram

    panels = [
        Panel(
            f"layer {one.group.layer}, {one.group.part}: {len(one.removed)} of {one.group.width} removed",
            one.scores[one.removed].numpy(),
            one.scores[one.kept].numpy(),
        )
        for one in selections
    ]
    figure = score_histogram(panels, f"{model}: units by {criterion}", f"score by {criterion}", shared)
    save_figure(figure, path)


def notation(scores: Tensor) -> Callable[[float], str]:
    """How to write the scores of a table: as whole numbers if all are, with two decimals if these say something."""
    if bool((scores == scores.round()).all()):
        return lambda score: f"{score:.0f}"
    if float(scores[scores != 0].abs().median()) >= 0.01:
        return lambda score: f"{score:.2f}"
    return scientific


def extent_in(number: Callable[[float], str]) -> Callable[[Tensor], str]:
    """How to write the least and the greatest of some scores."""

    def extent(scores: Tensor) -> str:
        low, high = float(scores.min()), float(scores.max())
        return f"{number(low)}{' to ' if low < 0 else '–'}{number(high)}"

    return extent


def scientific(number: float) -> str:
    """As in 1.2e-7: two digits, and no zeros in the exponent."""
    mantissa, _, exponent = f"{number:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}" if number else "0"


def _removed(units: int, new: int) -> str:
    return f"{units} ({new} new)" if new else f"{units}"


def _of_both(one: Selection, values: Tensor, say: Callable[[Tensor], str]) -> str:
    """What is to be said of the values of the units that are removed, above that of those that are kept."""
    return "\n".join(say(values[units]) if len(units) else "-" for units in (one.removed, one.kept))
