"""Tables and figures of a study, from its results.jsonl alone.

    python examples/study/tables.py --out study            # prints Markdown, draws figures into study/figures
    python examples/study/tables.py --results examples/study/results.jsonl --out study

Every arm stands beside its control. An interval holds 95 % of 1000 resamples, in which seeds and recordings are drawn
again with replacement, the same ones for an arm and its control; clips of one source are drawn as if they were
independent, which they are not quite.
"""

import argparse
import base64
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from arms import BASELINE, CONTROL, STUDY, Study, read_study
from figures import draw
from numpy.typing import NDArray
from study import RESULTS, rows_of

from deepcheck.errors import DataError, DeepcheckError
from deepcheck.metrics.detection import eer

RESAMPLES = 1000
HEADINGS = (
    "arm",
    "seeds",
    "EER, %",
    "against control",
    "relative, %",
    "held out",
    "parameters",
    "learn at last",
    "training time",
    "GFLOP/s",
)
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Arm:
    """What came of an arm over its seeds. EERs are fractions on the recordings kept aside, intervals pairs; `against`
    is the EER less that of the control, `held_out` the EER on the sources by which choices are made."""

    family: str
    name: str
    seeds: tuple[int, ...]
    eer: float
    interval: tuple[float, float]
    against: float
    against_interval: tuple[float, float]
    relative: float
    relative_interval: tuple[float, float]
    held_out: float
    held_out_against: float
    parameters: float
    learning: float
    seconds: float
    gflop_per_s: float


def arms_of(rows: Sequence[Mapping[str, Any]], study: Study) -> dict[str, list[Arm]]:
    """The arms of each family in the order of the study, over the seeds that both an arm and its control have.

    A family without a control is left out: nothing can be said of it. `DataError` where the rows of a family were not
    tested on the same recordings.
    """
    found: dict[str, list[Arm]] = {}
    for family in study.document["families"]:
        own: dict[str, dict[int, Mapping[str, Any]]] = defaultdict(dict)
        for row in rows:
            if row["family"] == family:
                own[row["arm"]][row["seed"]] = row
        if CONTROL not in own:
            continue
        if len({row["labels"] for arm in own.values() for row in arm.values()}) > 1:
            raise DataError(f"The runs of {family} were not tested on the same recordings.", "Run it anew.")
        found[family] = [_arm(family, name, own) for name in study.arms(family) if own[name].keys() & own[CONTROL]]
    return found


def _arm(family: str, name: str, own: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> Arm:
    seeds = tuple(sorted(own[name].keys() & own[CONTROL].keys()))
    mine, control = ([own[arm][seed] for seed in seeds] for arm in (name, CONTROL))
    first, second = _resampled(mine), _resampled(control)

    def mean(field: str, rows: Sequence[Mapping[str, Any]] = mine) -> float:
        return float(np.mean([row[field] for row in rows]))

    value, theirs = mean("eer"), mean("eer", control)
    return Arm(
        family,
        name,
        seeds,
        value,
        _ends(first),
        value - theirs,
        _ends(first - second),
        value / theirs - 1 if theirs else float("nan"),
        _ends(first[second > 0] / second[second > 0] - 1),
        mean("held_out"),
        mean("held_out") - mean("held_out", control),
        mean("parameters"),
        mean("learning"),
        mean("seconds") + (0 if name == BASELINE or _whole(mine[0]) else _first_third(own, seeds)),
        mean("gflop_per_s"),
    )


def _whole(row: Mapping[str, Any]) -> bool:
    """Whether the first third was trained in the run itself."""
    return sum(step["do"] == "train" for step in row["steps"]) == 3


def _first_third(own: Mapping[str, Mapping[int, Mapping[str, Any]]], seeds: Sequence[int]) -> float:
    known = [own[BASELINE][seed]["seconds"] for seed in seeds if seed in own[BASELINE]]
    return float(np.mean(known)) if known else float("nan")


def _resampled(rows: Sequence[Mapping[str, Any]]) -> Scores:
    """(RESAMPLES,) means of the EER over drawn seeds, each on the same drawn recordings: alike for any rows that go
    with the same seeds."""
    draw = np.random.default_rng(0)
    genuine = np.array([label == "1" for label in rows[0]["labels"]])
    scores = np.array([np.frombuffer(base64.b64decode(row["scores"]), np.float16) for row in rows], np.float64)
    bonafide, spoof = scores[:, genuine], scores[:, ~genuine]
    means = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        seeds = draw.integers(len(rows), size=len(rows))
        one = draw.integers(bonafide.shape[1], size=bonafide.shape[1])
        other = draw.integers(spoof.shape[1], size=spoof.shape[1])
        of_seed = {seed: eer(bonafide[seed, one], spoof[seed, other])[0] for seed in set(seeds.tolist())}
        means[number] = np.mean([of_seed[seed] for seed in seeds.tolist()])
    return means


def _ends(values: Scores) -> tuple[float, float]:
    if not values.size:
        return float("nan"), float("nan")
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def table(arms: Sequence[Arm], study: Study) -> Iterator[str]:
    """Markdown: a row an arm, the control among them, and why the family has no others."""
    control = next(arm for arm in arms if arm.name == CONTROL)
    yield "| " + " | ".join(HEADINGS) + " |"
    yield "| --- |" + " ---: |" * (len(HEADINGS) - 1)
    for arm in arms:
        low, high = (100 * end for end in arm.interval)
        cells = [arm.name, str(len(arm.seeds)), f"{100 * arm.eer:.1f} [{low:.1f}, {high:.1f}]"]
        if arm.name == CONTROL:
            cells += ["", "", f"{100 * arm.held_out:.1f}"]
        else:
            cells += [_signed(arm.against, arm.against_interval), _signed(arm.relative, arm.relative_interval, 0)]
            cells += [f"{100 * arm.held_out:.1f} ({100 * arm.held_out_against:+.1f})"]
        cells += [f"{arm.parameters:,.0f}", f"{arm.learning:,.0f}"]
        cells += [f"{arm.seconds / control.seconds:.2f}", f"{arm.gflop_per_s:.3f}"]
        yield "| " + " | ".join(cells) + " |"
    reasons: dict[str, list[str]] = defaultdict(list)
    for name in study.document["arms"]:
        if (why := study.missing(arms[0].family, name)) is not None:
            reasons[why].append(name)
    for why, names in reasons.items():
        yield f"| {'; '.join(names)} | not run: {why} |" + " |" * (len(HEADINGS) - 2)
    yield ""


def _signed(value: float, interval: tuple[float, float], digits: int = 1) -> str:
    low, high = (100 * end for end in interval)
    return f"{100 * value:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def main() -> int:
    """The command; exit code 1 with a sentence where there is nothing to show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="the folder of the study; figures go to OUT/figures")
    parser.add_argument("--results", type=Path, help=f"instead of OUT/{RESULTS}")
    parser.add_argument("--study", type=Path, default=STUDY)
    arguments = parser.parse_args()
    try:
        study = read_study(arguments.study)
        found = arms_of(rows_of(arguments.results or arguments.out / RESULTS), study)
        if not found:
            raise DataError("There is no control yet, so nothing can be said.", "Run study.py first.")
    except DeepcheckError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    for family, arms in found.items():
        print(f"### {family}\n")
        print("\n".join(table(arms, study)))
    for place in draw(found, study, arguments.out / "figures"):
        print(place, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
