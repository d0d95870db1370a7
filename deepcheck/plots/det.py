"""Detection error tradeoff: what each system misses against what it alarms at, for all thresholds at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from deepcheck.errors import DataError
from deepcheck.plots.systems import Look, add_legend, looks, percent, require_fractions, set_title

# In percent. The second list is for the axes that go further, where there is less room for each label.
TICKS: tuple[float, ...] = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 40, 60)
WIDE_TICKS: tuple[float, ...] = (0.01, 0.1, 0.5, 2, 5, 10, 20, 40, 60, 80, 90, 95, 98, 99.5, 99.9)
# A rate of 0 or 1 lies infinitely far out; this far is beyond all axes.
_OUTSIDE = 1e-6


@dataclass(frozen=True)
class Curve:
    """The operating points of one system in the order of their thresholds, as fractions.

    `false_alarm` is the share of bona fide called spoof (elsewhere frr), `miss` that of spoof called bona fide (far),
    and `eer` the rate at which the two meet. `DataError` for rates that are none, such as NaN.
    """

    name: str
    false_alarm: NDArray[np.float64]
    miss: NDArray[np.float64]
    eer: float

    def __post_init__(self) -> None:
        rates = np.array([*self.false_alarm, *self.miss])
        if rates.size == 0 or len(self.false_alarm) != len(self.miss):
            raise DataError(
                f'The curve of "{self.name}" has {len(self.false_alarm)} false-alarm and {len(self.miss)} miss rates.',
                "Give both rates of at least one threshold.",
            )
        require_fractions(f'The curve of "{self.name}"', float(rates.min()), float(rates.max()), self.eer)


def det_curves(systems: Sequence[Curve], title: str) -> Figure:
    """One curve for each of up to eight systems, with a mark at its EER, which the legend tells as well.

    The axes are those of normal deviates, on which the scores of two normal distributions make a straight line (Martin
    et al., "The DET curve in assessment of detection task performance", 1997). They run from 0.1 to 60 %, lower for
    a system that is better than 0.5 %, higher for one that is worse than chance. What lies outside is not drawn, except
    that the mark of an EER does not leave the axes: without errors it is in the corner.
    """
    figure = Figure(figsize=(6.4, 6.6 + 0.1 * len(systems)), layout="constrained")
    set_title(figure, title)
    ax = figure.subplots()
    low, high = _frame(ax, [system.eer for system in systems])
    marks = [_draw(ax, system, look, low, high) for system, look in zip(systems, looks(len(systems)), strict=True)]
    add_legend(figure, marks, [f"{system.name}: EER {percent(system.eer)}" for system in systems])
    return figure


def probit(rates: ArrayLike) -> NDArray[np.float64]:
    """The normal deviates below which a standard normal variable lies with these probabilities; finite for 0 and 1."""
    inside = np.clip(np.atleast_1d(rates), _OUTSIDE, 1 - _OUTSIDE)
    return np.array([NormalDist().inv_cdf(rate) for rate in inside.tolist()])


def _frame(ax: Axes, eers: Sequence[float]) -> tuple[float, float]:
    """The axes with their ticks, and the diagonal; the lowest and the highest rate on them."""
    low = 0.0001 if any(0 < eer < 0.005 for eer in eers) else 0.001
    high = 0.999 if max(eers, default=0) > 0.5 else 0.6
    ticks = TICKS if (low, high) == (0.001, 0.6) else WIDE_TICKS
    ticks = tuple(tick for tick in ticks if 100 * low <= tick <= 100 * high)
    places, names = probit(np.array(ticks) / 100), [f"{tick:g}" for tick in ticks]
    ends = probit([low, high])
    ax.set_xlim(*ends)
    ax.set_ylim(*ends)
    ax.set_xticks(places, names)
    ax.set_yticks(places, names)
    ax.set_aspect("equal")
    ax.tick_params(labelsize=8)
    ax.grid(color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.plot(ends, ends, color="0.6", linewidth=0.8, linestyle=(0, (2, 2)))
    ax.set_xlabel("false alarms: bona fide called spoof (%)", fontsize=9)
    ax.set_ylabel("misses: spoof called bona fide (%)", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    return low, high


def _draw(ax: Axes, system: Curve, look: Look, low: float, high: float) -> object:
    style = {"color": look.color, "linestyle": look.linestyle, "linewidth": 1.5}
    ax.plot(probit(system.false_alarm), probit(system.miss), **style)
    at = probit(np.clip(system.eer, low, high))
    # It has the line style of the curve for the sake of the legend.
    [mark] = ax.plot(at, at, **style, marker=look.marker, markeredgecolor="white", markersize=9, clip_on=False)
    mark.set_zorder(3)
    return mark
