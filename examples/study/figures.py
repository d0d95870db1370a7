"""The figures of a study: each arm beside its control, the error by grown layer, and by the size of the model."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from arms import BASELINE, CONTROL, Study
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from deepcheck.files import replacing
from deepcheck.plots import BLUE, VERMILION
from deepcheck.plots.layers import Point, eer_by_layer

if TYPE_CHECKING:
    from tables import Arm


def draw(found: Mapping[str, Sequence["Arm"]], study: Study, folder: Path) -> Iterator[Path]:
    """Draw them into `folder`, and name each file."""
    folder.mkdir(parents=True, exist_ok=True)
    for family, arms in found.items():
        sweep = study.sweep(family)
        control = next(arm for arm in arms if arm.name == CONTROL)
        named = [arm for arm in arms if arm.name not in sweep]
        figures = {"arms": beside_control(named, control), "parameters": by_parameters(named, control)}
        swept = [arm for arm in arms if arm.name in sweep]
        if swept:
            layers = [Point(arm.name, int(sweep[arm.name]), arm.eer, *_around(arm)) for arm in swept]
            level = swept[0].eer - swept[0].against  # of the control, with the seeds of the sweep, which are fewer
            across = Point("control", None, level, level, level)
            figures["layers"] = eer_by_layer([across, *layers], f"{family}: {study.document['layers']['arm']}")
        for name, figure in figures.items():
            place = folder / f"{family}-{name}.svg"
            with replacing(place) as draft:
                figure.savefig(draft, format="svg", metadata={"Date": None})
            yield place


def beside_control(arms: Sequence["Arm"], control: "Arm") -> Figure:
    """How far the EER of each arm is from that of the control, in points, with intervals; the control is the line."""
    shown = [arm for arm in arms if arm.name not in (CONTROL, BASELINE)]
    figure = Figure(figsize=(8, 1.2 + 0.27 * len(shown)), layout="constrained")
    ax = figure.subplots()
    values = [100 * arm.against for arm in shown]
    ends = [[100 * end for end in arm.against_interval] for arm in shown]
    reach = [[value - low for value, (low, _) in zip(values, ends, strict=True)]]
    reach += [[high - value for value, (_, high) in zip(values, ends, strict=True)]]
    ax.axvline(0, color="black", linewidth=1)
    ax.errorbar(values, range(len(shown)), xerr=reach, fmt="o", color=BLUE, capsize=3, linewidth=1, markersize=4)
    ax.set_yticks(range(len(shown)), [f"{arm.name} ({len(arm.seeds)})" for arm in shown], fontsize=8)
    ax.invert_yaxis()
    ax.set_xlabel(f"points of EER against the control ({100 * control.eer:.1f} %); to the left is better", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title(f"{control.family}: arm (seeds)", fontsize=11)
    return figure


def by_parameters(arms: Sequence["Arm"], control: "Arm") -> Figure:
    """EER against the size of the model at the end, with intervals; arms of one size stand side by side."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    ax = figure.subplots()
    step = 0.015 * (max(arm.parameters for arm in arms) - min(arm.parameters for arm in arms))
    beside: Counter[float] = Counter()
    for number, arm in enumerate(sorted(arms, key=lambda one: (one.parameters, one.eer)), start=1):
        color = VERMILION if arm.name == CONTROL else BLUE
        low, high = _around(arm)
        x = arm.parameters + step * beside[arm.parameters]
        beside[arm.parameters] += 1
        reach = [[arm.eer - low], [high - arm.eer]]
        ax.errorbar(x, arm.eer, reach, fmt="o", color=color, markersize=3, linewidth=0.7, label=f"{number}  {arm.name}")
        ax.annotate(str(number), (x, high), xytext=(0, 2), textcoords="offset points", fontsize=6, ha="center")
    ax.axhline(control.eer, color=VERMILION, linewidth=0.8, linestyle="--")
    ax.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0, symbol=" %"))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    ax.set_xlabel("parameters", fontsize=9)
    ax.set_ylabel("equal error rate", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title(control.family, fontsize=11)
    figure.legend(loc="outside right center", fontsize=7, frameon=False, handlelength=0, markerscale=0)
    return figure


def _around(arm: "Arm") -> tuple[float, float]:
    """The interval, as far as it takes to hold the value."""
    return min(arm.interval[0], arm.eer), max(arm.interval[1], arm.eer)
