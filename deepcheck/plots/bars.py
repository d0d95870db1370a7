"""Equal error rates side by side: by attack, source or codec, or by the condition of a robustness sweep."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import PercentFormatter

from deepcheck.errors import ConfigError
from deepcheck.plots.systems import add_legend, looks, percent, require_interval, set_title

LONGEST_NAME = 40


@dataclass(frozen=True)
class Bar:
    """The EER of one system on one group, a fraction, with the ends of its interval.

    `DataError` for what is no fraction, such as NaN: a system without an EER on a group has no bar there.
    """

    system: str
    eer: float
    low: float
    high: float

    def __post_init__(self) -> None:
        require_interval(f'The EER of "{self.system}"', self.low, self.eer, self.high)


@dataclass(frozen=True)
class Group:
    """One attack, source or condition: how many trials it holds of each class, and a bar for each system."""

    name: str
    bonafide: int
    spoof: int
    bars: Sequence[Bar]


def eer_bars(groups: Sequence[Group], title: str) -> Figure:
    """A row for each of `groups`, in their order from the top: bars with intervals and values, trials at the right.

    Up to eight systems lie side by side, in the order in which they first come up. The line of chance is drawn if the
    axis reaches 50 %.
    """
    systems = list(dict.fromkeys(bar.system for group in groups for bar in group.bars))
    if not systems:
        raise ConfigError("There is no EER to draw.", "Give at least one group with an EER.")
    thickness = 0.8 / len(systems)
    row = max(0.27, 0.08 + 0.15 * len(systems))  # inches: room for a value on each bar
    figure = Figure(figsize=(8, 1.4 + 0.1 * len(systems) + row * len(groups)), layout="constrained")
    set_title(figure, title)
    ax = figure.subplots()
    handles = []
    for place, (system, look) in enumerate(zip(systems, looks(len(systems)), strict=True)):
        shift = (place - (len(systems) - 1) / 2) * thickness
        found = [(y + shift, bar) for y, group in enumerate(groups) for bar in group.bars if bar.system == system]
        bars = [bar for _, bar in found]
        handles.append(
            ax.barh(
                [y for y, _ in found],
                [bar.eer for bar in bars],
                thickness,
                xerr=[[bar.eer - bar.low for bar in bars], [bar.high - bar.eer for bar in bars]],
                facecolor=look.color,
                hatch=look.hatch,
                edgecolor="white",
                linewidth=0.3,
                error_kw={"elinewidth": 0.8, "capsize": 1.5, "ecolor": "0.25"},
            )
        )
        for y, bar in found:
            _beside(ax, bar.high, y, percent(bar.eer))
    _frame(ax, groups, max(bar.high for group in groups for bar in group.bars))
    add_legend(figure, handles, systems)
    return figure


def shortened(name: str) -> str:
    """The name, without its middle if it is longer than `LONGEST_NAME`: beginnings and ends tell names apart."""
    return name if len(name) <= LONGEST_NAME else f"{name[:24]}…{name[-15:]}"


def _frame(ax: Axes, groups: Sequence[Group], reach: float) -> None:
    """The names at the left, the trials at the right, and an axis with room for the values."""
    ax.set_xlim(0, 1.15 * max(reach, 0.01))
    ax.set_ylim(len(groups) - 0.5, -0.5)
    ax.set_yticks(range(len(groups)), [shortened(group.name) for group in groups], fontsize=8, parse_math=False)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize=8)
    ax.xaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=" %"))
    ax.set_xlabel("equal error rate", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    for y in range(1, len(groups), 2):
        ax.axhspan(y - 0.5, y + 0.5, facecolor="0.95", linewidth=0, zorder=0)
    small: dict[str, Any] = {"fontsize": 7, "color": "0.35", "annotation_clip": False}
    if ax.get_xlim()[1] >= 0.5:
        ax.axvline(0.5, color="0.4", linewidth=0.8, linestyle="--")
        ax.annotate("chance", (0.5, -0.5), ha="right", va="bottom", **small)
    beside = ax.get_yaxis_transform()
    ax.annotate("bona fide + spoof", (1.02, -0.5), xycoords=beside, va="bottom", **small)
    for y, group in enumerate(groups):
        ax.annotate(f"{group.bonafide} + {group.spoof}", (1.02, y), xycoords=beside, va="center_baseline", **small)


def _beside(ax: Axes, x: float, y: float, text: str) -> None:
    ax.annotate(
        text,
        (x, y),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=6.5,
        path_effects=[withStroke(linewidth=2, foreground="white")],  # the line of chance may pass behind
    )
