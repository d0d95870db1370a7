"""Scores of units as histograms, one panel a group: which are removed, which kept."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from deepcheck.plots import BLUE, VERMILION

BINS = 30
_EDGE: dict[str, Any] = {"edgecolor": "white", "linewidth": 0.4}
_LOOKS = {"removed": {**_EDGE, "facecolor": VERMILION, "hatch": "////"}, "kept": {**_EDGE, "facecolor": BLUE}}


@dataclass(frozen=True)
class Panel:
    """The scores of the units of one group: of those removed and of those kept."""

    title: str
    removed: NDArray[np.float64]
    kept: NDArray[np.float64]


def score_histogram(panels: Sequence[Panel], title: str, score: str, shared: bool = False) -> Figure:
    """One small histogram for each of `panels` (at least one), stacked: units removed, units kept.

    `score` is the label of the score axis; it is logarithmic where the scores span decades. If the scores are `shared`,
    as when all units were ranked together, so are the bins.
    """
    columns = min(4, math.ceil(math.sqrt(len(panels))))
    rows = math.ceil(len(panels) / columns)
    width = max(6.4, 3.2 * columns)
    figure = Figure(figsize=(width, 1.2 + (3.2 if rows == 1 else 2.2 * rows)), layout="constrained")
    figure.suptitle(textwrap.fill(title, round(11 * width)), fontsize=11, parse_math=False)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=shared).flat
    everything = np.concatenate([values for panel in panels for values in (panel.removed, panel.kept)])
    for panel, ax in zip(panels, axes, strict=False):
        _draw(ax, panel, everything if shared else np.concatenate([panel.removed, panel.kept]))
    for ax in axes[len(panels) :]:
        ax.remove()
    for ax in axes[len(panels) - columns : len(panels)]:
        ax.tick_params(labelbottom=True)  # also above a place that is empty now
    figure.supxlabel(score, fontsize=9)
    figure.supylabel("units", fontsize=9)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower right", ncols=2, fontsize=8, frameon=False)
    return figure


def bin_edges(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The edges of BINS bins over `scores`, equally wide; in the logarithm where the scores span decades.

    There is no place on it for a score of 0: the first bin is to take it.
    """
    low, high = float(scores.min()), float(scores.max())
    if spans_decades(scores):
        return np.geomspace(scores[scores > 0].min(), high, BINS + 1)
    return np.linspace(low, high, BINS + 1) if low < high else np.linspace(low - 0.5, high + 0.5, BINS + 1)


def spans_decades(scores: NDArray[np.float64]) -> bool:
    """Whether none is negative and the largest is more than a hundred times the median of those above 0."""
    above = scores[scores > 0]
    return bool(scores.min() >= 0 and len(above) and above.max() > 100 * np.median(above))


def _draw(ax: Axes, panel: Panel, scores: NDArray[np.float64]) -> None:
    edges = bin_edges(scores)
    floor = np.zeros(BINS)
    for label, values in (("removed", panel.removed), ("kept", panel.kept)):
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        ax.bar(edges[:-1], counts, np.diff(edges), floor, align="edge", label=label, **_LOOKS[label])
        floor += counts
    if spans_decades(scores):
        ax.set_xscale("log")
    ax.set_ylim(0, 1.05 * floor.max())
    ax.set_title(panel.title, fontsize=9, parse_math=False)
    ax.tick_params(labelsize=8)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    ax.spines[["top", "right"]].set_visible(False)
