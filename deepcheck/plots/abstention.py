"""What judging less buys: the error among the surest recordings against how many of all they are."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from deepcheck.errors import DataError
from deepcheck.plots.systems import add_legend, looks, percent, require_fractions, set_title


@dataclass(frozen=True)
class Abstention:
    """The points of one system, the surest first: shares `judged` and the `error` among these, as fractions.

    `DataError` for what is no fraction, and where there is no point.
    """

    name: str
    judged: Sequence[float]
    error: Sequence[float]

    def __post_init__(self) -> None:
        if not self.judged or len(self.judged) != len(self.error):
            raise DataError(
                f'The curve of "{self.name}" has {len(self.judged)} shares and {len(self.error)} errors.',
                "Give both of at least one point.",
            )
        require_fractions(f'The curve of "{self.name}"', *self.judged, *self.error)


def abstention_curves(systems: Sequence[Abstention], title: str) -> Figure:
    """One curve for each of up to eight systems (risk against coverage), whose error over all the legend tells as
    well."""
    figure = Figure(figsize=(6.4, 4.8 + 0.1 * len(systems)), layout="constrained")
    set_title(figure, title)
    ax = figure.subplots()
    lines = [
        ax.plot(
            [100 * share for share in system.judged],
            [100 * error for error in system.error],
            color=look.color,
            linestyle=look.linestyle,
            linewidth=1.5,
        )[0]
        for system, look in zip(systems, looks(len(systems)), strict=True)
    ]
    ax.set_xlim(0, 100)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("judged, the surest first (%)", fontsize=9)
    ax.set_ylabel("error among these (%)", fontsize=9)
    ax.tick_params(labelsize=8)
    ax.grid(color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    add_legend(figure, lines, [f"{system.name}: {percent(system.error[-1])} if all are judged" for system in systems])
    return figure
