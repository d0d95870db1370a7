"""The pictures of an evaluation, each into a file of its own."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from deepcheck.cli.sheet import printable
from deepcheck.engine.evaluate import Evaluation
from deepcheck.metrics.curve import visible_points
from deepcheck.metrics.intervals import Interval
from deepcheck.metrics.reliability import reliability
from deepcheck.plots import save_figure
from deepcheck.plots.bars import Bar, Group, eer_bars
from deepcheck.plots.det import Curve, det_curves
from deepcheck.plots.reliability import Bin, Reliability, reliability_plot
from deepcheck.plots.scores import ScoreSet, score_densities

MOST_BARS = 40  # that a page holds; the largest groups come first
MOST_MODELS = 8  # that can be told apart


def draw_all(
    evaluations: Sequence[Evaluation], swept: Sequence[Evaluation], keys: Sequence[str], folder: Path, suffix: str
) -> Iterator[Path]:
    """DET curves, score histograms, calibration, bars by each key and of the robustness sweep; yields what it wrote."""
    evaluations = evaluations[:MOST_MODELS]
    swept = [one for one in swept if one.model in {evaluation.model for evaluation in evaluations}]
    title = printable(evaluations[0].protocol)
    figures = {
        "det": det_curves([_curve(e) for e in evaluations], title),
        "scores": score_densities([_scores(e) for e in evaluations], title),
        "calibration": reliability_plot([_reliability(e) for e in evaluations], title),
    }
    for key in keys:
        groups = _groups(evaluations, key)
        if groups:
            figures[f"by-{key}"] = eer_bars(groups[:MOST_BARS], f"{title}, by {key}")
    if swept:
        conditions = list(dict.fromkeys(evaluation.condition for evaluation in swept))
        figures["robustness"] = eer_bars([_condition(swept, name) for name in conditions], f"{title}, by condition")
    for name, figure in figures.items():
        path = folder / f"{name}.{suffix}"
        with warnings.catch_warnings():
            # No font has every script; what it lacks is drawn as a box.
            warnings.filterwarnings("ignore", "Glyph .* missing")
            save_figure(figure, path)
        yield path


def _curve(evaluation: Evaluation) -> Curve:
    # A genuine recording that is rejected is the false alarm of a tool that looks for spoofs.
    false_alarm, miss = visible_points(*evaluation.scores())
    return Curve(printable(evaluation.model), false_alarm, miss, evaluation.measurements["eer"].value)


def _scores(evaluation: Evaluation) -> ScoreSet:
    thresholds = evaluation.thresholds
    drawn = (thresholds.spoof, thresholds.bonafide) if thresholds else None
    return ScoreSet(printable(evaluation.model), *evaluation.scores(), drawn)


def _reliability(evaluation: Evaluation) -> Reliability:
    bins = []
    for row in reliability(*evaluation.scores()):
        interval = row.interval()
        bins.append(Bin(row.low, row.high, row.predicted, row.observed, interval.low, interval.high, row.total))
    return Reliability(printable(evaluation.model), bins)


def _groups(evaluations: Sequence[Evaluation], key: str) -> list[Group]:
    found: dict[str, list[Bar]] = {}
    counts: dict[str, tuple[int, int]] = {}
    for evaluation in evaluations:
        for row in evaluation.by(key):
            counts.setdefault(row.name, (row.bonafide, row.spoof))
            found.setdefault(row.name, []).append(_bar(evaluation.model, row.eer, row.eer_interval))
    return [Group(printable(name), *counts[name], bars) for name, bars in found.items()]


def _condition(swept: Sequence[Evaluation], name: str) -> Group:
    chosen = [evaluation for evaluation in swept if evaluation.condition == name]
    measured = [(evaluation.model, evaluation.measurements["eer"]) for evaluation in chosen]
    bonafide, spoof = chosen[0].scores()
    return Group(name, len(bonafide), len(spoof), [_bar(model, one.value, one.interval) for model, one in measured])


def _bar(model: str, value: float, interval: Interval) -> Bar:
    # A corrected interval may leave the value itself out, which nobody could draw.
    return Bar(printable(model), value, min(interval.low, value), max(interval.high, value))
