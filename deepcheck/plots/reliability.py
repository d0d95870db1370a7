"""Whether probabilities come true: the share of spoof among the trials that were said to be spoof with so much."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from deepcheck.plots.systems import add_legend, looks, require_fractions, require_interval, set_title


@dataclass(frozen=True)
class Bin:
    """The trials whose predicted probability of spoof lies from `start` to `end`.

    `predicted` was said on average; `observed` is the share of spoof, with the ends of its (Wilson) interval.
    `DataError` for what is no fraction, such as NaN, and for an interval without `observed`: leave out empty bins.
    """

    start: float
    end: float
    predicted: float
    observed: float
    low: float
    high: float
    trials: int

    def __post_init__(self) -> None:
        require_fractions("A bin of probabilities", self.start, self.end, self.predicted)
        require_interval("The observed share of spoof", self.low, self.observed, self.high)


@dataclass(frozen=True)
class Reliability:
    """The bins of one system, the lowest first."""

    name: str
    bins: Sequence[Bin]


def reliability_plot(systems: Sequence[Reliability], title: str) -> Figure:
    """Observed share against predicted probability of spoof for up to eight systems; below, the trials of each bin.

    The diagonal is where all that was predicted comes true.
    """
    figure = Figure(figsize=(6.4, 7.2 + 0.1 * len(systems)), layout="constrained")
    set_title(figure, title)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    upper.plot([0, 1], [0, 1], color="0.6", linewidth=0.8, linestyle=(0, (2, 2)))
    handles = []
    for place, (system, look) in enumerate(zip(systems, looks(len(systems)), strict=True)):
        bins = system.bins
        reach = [[row.observed - row.low for row in bins], [row.high - row.observed for row in bins]]
        handles.append(
            upper.errorbar(
                [row.predicted for row in bins],
                [row.observed for row in bins],
                reach,
                color=look.color,
                linestyle=look.linestyle,
                marker=look.marker,
                markersize=5,
                linewidth=1.2,
                elinewidth=0.8,
                capsize=2.5,
            )
        )
        widths = 0.9 * np.array([row.end - row.start for row in bins]) / len(systems)
        middles = [(row.start + row.end) / 2 for row in bins]
        lower.bar(
            middles + (place - (len(systems) - 1) / 2) * widths,
            [row.trials for row in bins],
            widths,
            facecolor=look.color,
            hatch=look.hatch,
            edgecolor="white",
            linewidth=0.3,
        )
    upper.set_xlim(-0.02, 1.02)
    upper.set_ylim(-0.02, 1.02)
    upper.set_ylabel("observed share of spoof", fontsize=9)
    lower.set_ylabel("trials", fontsize=9)
    lower.set_xlabel("predicted probability of spoof", fontsize=9)
    lower.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    for ax in (upper, lower):
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    add_legend(figure, handles, [system.name for system in systems])
    return figure
