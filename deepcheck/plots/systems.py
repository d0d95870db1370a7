"""Several systems in one picture: each with a look of its own, named in one legend under a wrapped title."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from deepcheck.errors import ConfigError, DataError
from deepcheck.plots import BLUE, VERMILION


@dataclass(frozen=True)
class Look:
    """What tells one system from the others, in lines, points and bars; each of the four would do alone."""

    color: str
    linestyle: Any
    marker: str
    hatch: str


# Okabe and Ito's palette once more; grey takes the place of its yellow, which is lost on white.
LOOKS = (
    Look(BLUE, "-", "o", ""),
    Look(VERMILION, "--", "s", "////"),
    Look("#009E73", "-.", "^", "...."),
    Look("#CC79A7", ":", "D", "\\\\\\\\"),
    Look("#E69F00", (0, (8, 2)), "v", "xxxx"),
    Look("#56B4E9", (0, (5, 1, 1, 1, 1, 1)), "P", "----"),
    Look("#000000", (0, (1, 3)), "X", "++++"),
    Look("#7F7F7F", (0, (10, 2, 4, 2)), "<", "||||"),
)


def looks(systems: int) -> tuple[Look, ...]:
    """A look for each of so many systems; `ConfigError` for none, and for more than can be told apart."""
    if not 1 <= systems <= len(LOOKS):
        raise ConfigError(
            f"A figure cannot show {systems} systems.", f"Choose at least 1 and at most {len(LOOKS)} to draw."
        )
    return LOOKS[:systems]


def require_fractions(name: str, *values: float) -> None:
    """`DataError` unless all values lie between 0 and 1, which NaN does not."""
    for value in values:
        if not 0 <= value <= 1:
            raise DataError(
                f"{name} holds {value}.", "Rates lie between 0 and 1; leave out what could not be measured."
            )


def require_interval(name: str, low: float, value: float, high: float) -> None:
    """`DataError` unless the three are fractions and the interval holds the value."""
    require_fractions(name, low, value, high)
    if not low <= value <= high:
        raise DataError(f"{name} is {value}, outside of [{low}, {high}].", "Give an interval that holds the value.")


def percent(fraction: float) -> str:
    """The rate as people read it: "25.7 %", with one digit more below 1 %."""
    return f"{100 * fraction:.{1 if fraction >= 0.01 else 2}f} %"


def set_title(figure: Figure, title: str) -> None:
    """The title over the whole figure, wrapped to its width, and no formula whatever it holds."""
    figure.suptitle(textwrap.fill(title, round(11 * figure.get_figwidth())), fontsize=11, parse_math=False)


def add_legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """One legend below everything, in as many columns as fit the width."""
    room = math.floor(13 * figure.get_figwidth() / (max(map(len, labels)) + 8))
    columns = max(1, min(room, len(labels)))
    legend = figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, fontsize=8, frameon=False, handlelength=4
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
