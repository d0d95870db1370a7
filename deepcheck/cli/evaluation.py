"""Drawing evaluations: tables, JSON, and the CSV of scores."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from deepcheck.engine.evaluate import Evaluation, GroupRow, Rate
from deepcheck.metrics.intervals import Interval
from deepcheck.reports.text import exact


def _percent(value: float | None, interval: Interval | None = None) -> str:
    if value is None:
        return ""
    text = f"{100 * value:.1f} %"
    return text if interval is None else f"{text} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def _rate(rate: Rate) -> str:
    return f"{_percent(rate.value, rate.interval)} ({rate.count} of {rate.total})"


def summary_table(evaluations: Sequence[Evaluation]) -> Table:
    """One column a model, one row a figure, with 95 % intervals in brackets."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=Text(evaluations[0].protocol), title_justify="left")
    table.add_column("")
    columns = []
    for evaluation in evaluations:
        table.add_column(Text(evaluation.model))
        figures, same = evaluation.summary(), evaluation.same_source()
        low, high = evaluation.thresholds.spoof, evaluation.thresholds.bonafide
        columns.append(
            {
                "EER": _percent(figures.eer, figures.eer_interval),
                "AUC": f"{figures.auc:.4f}",
                "Cllr": f"{figures.cllr:.3f} bit",
                "EER, sources with both labels": (
                    f"{_percent(same.eer, same.eer_interval)}\n{same.sources} sources, {same.bonafide} + {same.spoof}"
                    if same
                    else "-"
                ),
                "mean EER within such a source": _percent(same.mean_eer) if same else "-",
                "thresholds": f"spoof {low:+.2f}, bona fide {high:+.2f}",
                "bona fide called spoof": _rate(figures.false_alarms),
                "bona fide called bona fide": _rate(figures.cleared),
                "spoof called spoof": _rate(figures.caught),
                "spoof called bona fide": _rate(figures.missed),
                "not scored": str(len(evaluation.skipped)),
            }
        )
    for name in columns[0]:
        table.add_row(name, *(column[name] for column in columns))
    return table


def group_table(evaluation: Evaluation, key: str) -> Table | None:
    """One row for each value of `key`, the largest first; None where no trial has one."""
    rows = evaluation.by(key)
    if not rows:
        return None
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title=Text(
            f"{evaluation.model} by {key} (EER: * within the group, else against all trials of the other label)"
        ),
        title_justify="left",
    )
    table.add_column(key, overflow="fold")
    for column in ("bona fide", "spoof", "EER", "called spoof"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            Text(row.name),
            str(row.bonafide or ""),
            str(row.spoof or ""),
            _percent(row.eer) + ("*" if row.within else ""),
            _percent(row.called_spoof.value),
        )
    return table


def scores_csv(evaluations: Sequence[Evaluation]) -> str:
    """model,id,path,label,attack,source,duration_s,llr of every trial."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["model", "id", "path", "label", "attack", "source", "duration_s", "llr"])
    for evaluation in evaluations:
        for trial in evaluation.trials:
            u = trial.utterance
            assert u.label is not None
            row = [u.id, exact(u.path), u.label.name.lower(), u.attack, u.source, f"{trial.duration_s:.3f}"]
            writer.writerow([evaluation.model, *row, f"{trial.llr:.6f}"])
    return text.getvalue()


def as_json(evaluations: Sequence[Evaluation], keys: Sequence[str]) -> str:
    """Every figure of the tables; rates as {count, total, value, low, high}."""
    return json.dumps([_document(evaluation, keys) for evaluation in evaluations], indent=2) + "\n"


def _document(evaluation: Evaluation, keys: Sequence[str]) -> dict[str, Any]:
    figures, same = evaluation.summary(), evaluation.same_source()
    document: dict[str, Any] = {
        "model": evaluation.model,
        "protocol": evaluation.protocol,
        "trials": len(evaluation.trials),
        "skipped": [{"path": exact(u.path), "reason": reason} for u, reason in evaluation.skipped],
        "thresholds": vars(evaluation.thresholds),
    }
    document |= {name: _plain(value) for name, value in vars(figures).items()}
    document["same_source"] = {name: _plain(value) for name, value in vars(same).items()} if same else None
    document["by"] = {key: [_group(row) for row in evaluation.by(key)] for key in keys}
    return document


def _group(row: GroupRow) -> dict[str, Any]:
    return {name: _plain(value) for name, value in vars(row).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Rate):
        return {**vars(value), "value": value.value, **vars(value.interval)}
    return vars(value) if isinstance(value, Interval) else value
