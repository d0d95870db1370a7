"""Error by grown layer, beside the models in which nothing grew."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from deepcheck.plots import BLUE, VERMILION

_LOOKS: tuple[dict[str, Any], ...] = ({"color": "black", "linestyle": "-"}, {"color": VERMILION, "linestyle": "--"})


@dataclass(frozen=True)
class Point:
    """The EER of one model, a fraction, with the ends of its interval; `layer` None where nothing grew."""

    name: str
    layer: int | None
    eer: float
    low: float
    high: float


def eer_by_layer(points: Sequence[Point], title: str) -> Figure:
    """A point with its interval for each layer, and a line across, shaded by its interval, for models without one."""
    grown = [point for point in points if point.layer is not None]
    figure = Figure(figsize=(max(6.4, 1.5 + 0.45 * len(grown)), 4.2), layout="constrained")
    ax = figure.subplots()
    for point, look in zip((point for point in points if point.layer is None), _LOOKS, strict=False):
        ax.axhline(point.eer, label=point.name, linewidth=1.4, **look)
        ax.axhspan(point.low, point.high, color=look["color"], alpha=0.08, linewidth=0)
    layers = [point.layer or 0 for point in grown]
    heights = [point.eer for point in grown]
    reach = [[point.eer - point.low for point in grown], [point.high - point.eer for point in grown]]
    ax.errorbar(layers, heights, reach, fmt="o-", color=BLUE, capsize=3, linewidth=1, label="one layer grown")
    ax.set_xticks(layers)
    ax.set_xlabel("layer that grew")
    ax.set_ylabel("equal error rate")
    ax.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0, symbol=" %"))
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title(title, fontsize=11, parse_math=False)
    figure.legend(loc="outside lower right", ncols=3, fontsize=8, frameon=False)
    return figure
