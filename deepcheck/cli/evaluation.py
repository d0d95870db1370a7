"""What an evaluation shows: its tables."""

from collections.abc import Mapping, Sequence

from deepcheck.cli.sheet import Sheet
from deepcheck.engine.audit import Audit, ExplainedRow
from deepcheck.engine.comparison import Spread
from deepcheck.engine.evaluate import CLEAN, Evaluation, GroupRow, Rate
from deepcheck.engine.verifier import KINDS, Joint
from deepcheck.metrics.comparison import Comparison
from deepcheck.metrics.intervals import Interval

_WITHIN = "EER: * within the group, else against all trials of the other label"


def percent(value: float | None, interval: Interval | None = None) -> str:
    """A fraction in percent with one digit, and its interval; nothing for None."""
    if value is None:
        return ""
    text = f"{100 * value:.1f} %"
    return text if interval is None else f"{text} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def summary(evaluations: Sequence[Evaluation]) -> Sheet:
    """One column a model, one row a figure, with 95 % intervals in brackets."""
    columns = [_figures(evaluation) for evaluation in evaluations]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = tuple((name, *(column.get(name, "-") for column in columns)) for name in names)
    return Sheet(evaluations[0].protocol, ("", *(e.model for e in evaluations)), rows, left=1 + len(evaluations))


def side_by_side(evaluations: Sequence[Evaluation], against: Mapping[str, Mapping[str, Comparison]]) -> Sheet:
    """One row a model: its cost, its errors, and its EER `against` a baseline (by name of model, then of metric).

    The difference is in points of the EER; GFLOP are for a second of sound.
    """
    columns = ["model", "parameters", "GFLOP", "speed", "EER", "minDCF", "Cllr", "alarms"]
    if against:
        columns += ["difference", "relative", "p"]
    rows = []
    for evaluation in evaluations:
        measured, cost, verdicts = evaluation.measurements, evaluation.cost, evaluation.verdicts
        row = [
            evaluation.model,
            f"{cost.parameters:,}" if cost else "",
            f"{cost.gflop_per_s:.{2 if cost.gflop_per_s < 1 else 4}g}" if cost else "",
            f"{1 / cost.real_time_factor:.0f}x" if cost and cost.real_time_factor else "",
            percent(measured["eer"].value, measured["eer"].interval),
            f"{measured['min_dcf'].value:.3f}",
            f"{measured['cllr'].value:.3f}",
            percent(verdicts.false_alarms.value) if verdicts else "",
        ]
        if against:
            row += _difference(against.get(evaluation.model))
        rows.append(tuple(row))
    what = "GFLOP a second of sound; speed against real time; alarms: genuine called spoof"
    return Sheet(f"Side by side on {evaluations[0].protocol} ({what})", tuple(columns), tuple(rows))


def groups(evaluation: Evaluation, key: str) -> Sheet | None:
    """One row for each value of `key`; None where no trial has one."""
    found = evaluation.by(key)
    if not found:
        return None
    rows = tuple(_group(row) for row in found)
    return Sheet(f"{evaluation.model} by {key} ({_WITHIN})", (key, "bona fide", "spoof", "EER", "called spoof"), rows)


def robustness(evaluations: Sequence[Evaluation]) -> Sheet:
    """One row a condition, for each model its EER, the change against clean sound, and both kinds of false verdicts."""
    models = list(dict.fromkeys(evaluation.model for evaluation in evaluations))
    conditions = list(dict.fromkeys(evaluation.condition for evaluation in evaluations))
    known = {(evaluation.model, evaluation.condition): evaluation for evaluation in evaluations}
    columns = ["condition"]
    for model in models:
        columns += [f"{model}: EER", "change", "alarms", "missed"]
    rows = []
    for condition in conditions:
        row = [condition]
        for model in models:
            evaluation, clean = known[model, condition], known.get((model, CLEAN))
            measured, verdicts = evaluation.measurements["eer"], evaluation.verdicts
            change = "" if clean is None or clean is evaluation else _points(measured.value, clean)
            row += [percent(measured.value, measured.interval), change]
            row += [percent(rate.value) for rate in (verdicts.false_alarms, verdicts.missed)] if verdicts else ["", ""]
        rows.append(tuple(row))
    what = "change in points; alarms: genuine called spoof; missed: spoof called bona fide"
    return Sheet(f"Robustness on {evaluations[0].protocol} ({what})", tuple(columns), tuple(rows))


def worst(evaluations: Sequence[Evaluation]) -> str:
    """The condition in which each model does worst, in a sentence."""
    said = []
    for model in dict.fromkeys(evaluation.model for evaluation in evaluations):
        one = max((e for e in evaluations if e.model == model), key=lambda e: e.measurements["eer"].value)
        said.append(f"{model}: {one.condition} (EER {percent(one.measurements['eer'].value)})")
    return f"Worst case of {'; of '.join(said)}."


def seeds(name: str, spreads: Mapping[str, Spread]) -> Sheet:
    """One row a metric: mean, standard deviation, least and greatest over models that differ by seed."""
    rows = []
    for spread in spreads.values():
        text = spread.metric.text
        least, greatest = min(spread.values), max(spread.values)
        deviation = text(spread.deviation) if len(spread.values) > 1 else ""
        rows.append((spread.metric.title, text(spread.mean), deviation, text(least), text(greatest)))
    models = len(next(iter(spreads.values())).values)
    count = f"{models} seed{'s' if models > 1 else ''}"
    return Sheet(f"{name}: {count}", ("", "mean", "deviation", "least", "greatest"), tuple(rows))


def joint(systems: Sequence[Joint]) -> Sheet:
    """One row a system that verifies speakers and detects spoofs at once."""
    rows = tuple((one.system, *map(str, one.trials), str(one.cost)) for one in systems)
    columns = ("system", *KINDS, systems[0].cost.metric.title)
    return Sheet("Verifying speakers and detecting spoofs at once", columns, rows)


def shortcuts(found: Audit, explained: Mapping[str, Sequence[ExplainedRow]]) -> Sheet:
    """One row a family of surface features: what it would score, and how much of each model's scores it explains."""
    columns = ["surface alone", "EER", "AUC", *(f"explains of {model}" for model in explained)]
    rows = []
    for row in found.rows:
        shares = [{one.family: one.overall for one in known}.get(row.family) for known in explained.values()]
        told = ["" if share is None else f"{100 * max(share, 0):.0f} %" for share in shares]
        rows.append((row.family, percent(row.eer, row.eer_interval), f"{row.auc:.3f}", *told))
    return Sheet(f"Audit of {found.protocol}; {found.folds}", tuple(columns), tuple(rows))


def surface_features(found: Audit) -> Sheet:
    """One row a surface feature: its medians by label, and how well it alone sorts the trials."""
    rows = tuple(
        (row.name, f"{row.bonafide:.4g}", f"{row.spoof:.4g}", f"{row.auc:.3f}")
        for row in sorted(found.features, key=lambda row: -abs(row.auc - 0.5))
    )
    return Sheet("Surface features", ("feature", "median bona fide", "median spoof", "AUC"), rows)


def _figures(evaluation: Evaluation) -> dict[str, str]:
    figures = {one.metric.title: str(one) for one in evaluation.measurements.values()}
    at = f"at {evaluation.threshold:+.2f}"
    for title in ("HTER", "bona fide rejected", "spoof accepted"):
        figures[f"{title} {at}"] = figures.pop(title)
    same, verdicts = evaluation.same_source, evaluation.verdicts
    if same is not None:
        figures["EER, sources with both labels"] = (
            f"{percent(same.eer, same.eer_interval)}\n{same.sources} sources, {same.bonafide} + {same.spoof}"
        )
        figures["mean EER within such a source"] = percent(same.mean_eer) if same.mean_eer is not None else "-"
    if verdicts is not None and evaluation.thresholds is not None:
        low, high = evaluation.thresholds.spoof, evaluation.thresholds.bonafide
        figures["thresholds"] = f"spoof {low:+.2f}, bona fide {high:+.2f}"
        figures["bona fide called spoof"] = _rate(verdicts.false_alarms)
        figures["bona fide called bona fide"] = _rate(verdicts.cleared)
        figures["spoof called spoof"] = _rate(verdicts.caught)
        figures["spoof called bona fide"] = _rate(verdicts.missed)
    figures["not scored"] = str(len(evaluation.skipped))
    return figures


def _rate(rate: Rate) -> str:
    return f"{percent(rate.value, rate.interval)} ({rate.count} of {rate.total})"


def _group(row: GroupRow) -> tuple[str, ...]:
    return (
        row.name,
        str(row.bonafide or ""),
        str(row.spoof or ""),
        percent(row.eer, row.eer_interval) + ("*" if row.within else ""),
        percent(row.called_spoof.value) if row.called_spoof else "",
    )


def _points(value: float, clean: Evaluation) -> str:
    return f"{100 * (value - clean.measurements['eer'].value):+.1f}"


def _difference(comparison: Mapping[str, Comparison] | None) -> list[str]:
    if comparison is None:
        return ["baseline", "", ""]
    one = comparison["eer"]
    relative = f"{100 * (one.second / one.first - 1):+.1f} %" if one.first else ""
    points = f"{100 * one.difference:+.1f} [{100 * one.interval.low:+.1f}, {100 * one.interval.high:+.1f}]"
    return [points, relative, f"{one.p:.3f}"]
