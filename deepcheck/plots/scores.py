"""How the log-likelihood ratios of the two classes are spread, and where the thresholds cut them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from deepcheck.errors import DataError
from deepcheck.plots import BLUE, VERMILION
from deepcheck.plots.systems import add_legend, looks, set_title

BINS = 50
# The share of a class that may lie outside at either end.
TAIL = 0.001
_LOOKS: dict[str, dict[str, Any]] = {
    "bona fide": {"facecolor": (BLUE, 0.35), "edgecolor": BLUE},
    "spoof": {"facecolor": (VERMILION, 0.25), "edgecolor": VERMILION, "hatch": "////"},
}
_BAND: dict[str, Any] = {"facecolor": "0.5", "alpha": 0.2, "linewidth": 0}


@dataclass(frozen=True)
class ScoreSet:
    """The log-likelihood ratios of one system on both classes, and its thresholds if it has any.

    At or below the first threshold a recording is called spoof, at or above the second bona fide. `DataError` for a
    class without scores, for numbers that are not finite, and for thresholds in the wrong order.
    """

    name: str
    bonafide: NDArray[np.float64]
    spoof: NDArray[np.float64]
    thresholds: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for kind, values in self.classes.items():
            if len(values) == 0 or not np.isfinite(values).all():
                raise DataError(
                    f'"{self.name}" has no {kind} scores, or some that are not finite numbers.',
                    "Leave out the recordings that could not be scored, and give at least one of each class.",
                )
        low, high = self.thresholds or (0.0, 0.0)
        if not -math.inf < low <= high < math.inf:
            raise DataError(
                f'The thresholds of "{self.name}" are {low} and {high}.',
                "Give finite numbers, that for spoof first, or none.",
            )

    @property
    def classes(self) -> dict[str, NDArray[np.float64]]:
        """The scores by the name of their class."""
        return {"bona fide": self.bonafide, "spoof": self.spoof}


def score_densities(systems: Sequence[ScoreSet], title: str) -> Figure:
    """A panel for each of up to eight systems, on one score axis: histograms of the classes, thresholds as lines.

    The bars of a class are shares of it and add up to one. The axis leaves out what lies beyond the 0.1 and 99.9 %
    quantiles of every class, but shows all thresholds; the panel says how many trials are outside.
    """
    looks(len(systems))  # refuses what would be no figure
    columns = 1 if len(systems) <= 4 else 2
    rows = math.ceil(len(systems) / columns)
    figure = Figure(figsize=(3.6 + 3.6 * columns, 1.4 + (2.8 if rows == 1 else 2.1 * rows)), layout="constrained")
    set_title(figure, title)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True).flat
    edges = np.linspace(*visible_range(systems), BINS + 1)
    for system, ax in zip(systems, axes, strict=False):
        _draw(ax, system, edges)
    for ax in axes[len(systems) :]:
        ax.remove()
    for ax in axes[len(systems) - columns : len(systems)]:
        ax.tick_params(labelbottom=True)  # also above a place that is empty now
        ax.set_xlabel("log-likelihood ratio (spoof below 0, bona fide above)", fontsize=9)
    figure.supylabel("share of the class", fontsize=9)
    keys = {name: Patch(**look) for name, look in _LOOKS.items()}
    if any(system.thresholds and system.thresholds[0] < system.thresholds[1] for system in systems):
        keys["inconclusive"] = Patch(**_BAND)
    add_legend(figure, list(keys.values()), list(keys))
    return figure


def visible_range(systems: Sequence[ScoreSet]) -> tuple[float, float]:
    """The ends of the score axis: all thresholds, and each class but for its tails."""
    lows: list[float] = []
    highs: list[float] = []
    for system in systems:
        for values in system.classes.values():
            lows.append(float(np.quantile(values, TAIL, method="lower")))
            highs.append(float(np.quantile(values, 1 - TAIL, method="higher")))
        lows += system.thresholds or ()
        highs += system.thresholds or ()
    low, high = min(lows), max(highs)
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _draw(ax: Axes, system: ScoreSet, edges: NDArray[np.float64]) -> None:
    outside = 0
    top = 0.0
    for name, values in system.classes.items():
        counts, _ = np.histogram(values, edges)
        outside += len(values) - int(counts.sum())
        shares = counts / len(values)
        top = max(top, shares.max())
        ax.stairs(shares, edges, fill=True, linewidth=0.8, **_LOOKS[name])
    margin = 0.02 * (edges[-1] - edges[0])
    ax.set_xlim(edges[0] - margin, edges[-1] + margin)
    ax.set_ylim(0, 1.4 * top)  # the labels of the thresholds stand above the bars
    ax.set_yticks([tick for tick in MaxNLocator(4).tick_values(0, top) if tick <= top])
    _cut(ax, system.thresholds)
    trials = f"{len(system.bonafide)} bona fide, {len(system.spoof)} spoof"
    ax.set_title(
        f"{system.name}\n{trials}" + (f", {outside} beyond the axis" if outside else ""), fontsize=8, parse_math=False
    )
    ax.tick_params(labelsize=8)
    ax.yaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=" %"))
    ax.spines[["top", "right"]].set_visible(False)


def _cut(ax: Axes, thresholds: tuple[float, float] | None) -> None:
    """The thresholds as lines, and the band between them."""
    if thresholds is None:
        return
    spoof, bonafide = thresholds
    if spoof == bonafide:
        _line(ax, spoof, f"spoof at {spoof:+.2f} or below, else bona fide", 0.98, "black", "--")
        return
    ax.axvspan(spoof, bonafide, zorder=0, **_BAND)
    _line(ax, spoof, f"spoof at {spoof:+.2f} or below", 0.98, VERMILION, "--")
    _line(ax, bonafide, f"bona fide at {bonafide:+.2f} or above", 0.87, BLUE, "-.")


def _line(ax: Axes, threshold: float, label: str, height: float, color: str, linestyle: str) -> None:
    ax.axvline(threshold, linewidth=1.2, color=color, linestyle=linestyle)
    left, right = ax.get_xlim()
    # Away from the band where there is room.
    towards_left = (threshold - left) / (right - left) > (0.3 if color == VERMILION else 0.7)
    ax.annotate(
        label,
        (threshold, height),
        xycoords=ax.get_xaxis_transform(),
        xytext=(-3 if towards_left else 3, 0),
        textcoords="offset points",
        ha="right" if towards_left else "left",
        va="top",
        fontsize=7,
        color=color,
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.5},
    )
