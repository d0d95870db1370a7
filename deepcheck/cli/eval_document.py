"""An evaluation for machines: everything as JSON, every figure as a line of CSV."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from deepcheck.cli.attack_sheet import attacks_document
from deepcheck.engine.attacked import Attacked
from deepcheck.engine.audit import Audit, ExplainedRow
from deepcheck.engine.comparison import Spread
from deepcheck.engine.evaluate import Evaluation, Rate
from deepcheck.engine.verifier import KINDS, Joint
from deepcheck.files import exact
from deepcheck.metrics.comparison import Comparison
from deepcheck.metrics.intervals import Interval

VERSION = 1


def as_json(
    evaluations: Sequence[Evaluation],
    keys: Sequence[str],
    against: Mapping[str, Mapping[str, Comparison]],
    spreads: Mapping[str, Mapping[str, Spread]],
    audit: Audit | None,
    explained: Mapping[str, Sequence[ExplainedRow]],
    joint: Sequence[Joint] = (),
    attacks: Sequence[Attacked] = (),
) -> str:
    """Every figure of the tables: fractions, and each metric `m` with its 95 % interval as `m_interval`."""
    document = {
        "version": VERSION,
        "evaluations": [_evaluation(evaluation, keys) for evaluation in evaluations],
        "against_baseline": {model: {k: _comparison(c) for k, c in found.items()} for model, found in against.items()},
        "seeds": {
            name: {k: {"values": s.values, "mean": s.mean, "deviation": _number(s.deviation)} for k, s in found.items()}
            for name, found in spreads.items()
        },
        "audit": _audit(audit, explained),
        "sasv": {
            one.system: {
                **dict(zip(KINDS, one.trials, strict=True)),
                "min_a_dcf": one.cost.value,
                "min_a_dcf_interval": vars(one.cost.interval),
            }
            for one in joint
        },
        "attacks": attacks_document(attacks),
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def as_csv(evaluations: Sequence[Evaluation], keys: Sequence[str], joint: Sequence[Joint] = ()) -> str:
    """model,condition,key,group,metric,value,low,high: a line a figure; `key` and `group` are empty for all trials."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["model", "condition", "key", "group", "metric", "value", "low", "high"])
    for evaluation in evaluations:
        who = [evaluation.model, evaluation.condition]
        for name, one in evaluation.measurements.items():
            writer.writerow([*who, "", "", name, one.value, one.interval.low, one.interval.high])
        for name, rate in (vars(evaluation.verdicts) if evaluation.verdicts else {}).items():
            writer.writerow([*who, "", "", name, rate.value, rate.interval.low, rate.interval.high])
        for key in keys:
            for row in evaluation.by(key):
                writer.writerow([*who, key, row.name, "eer", row.eer, row.eer_interval.low, row.eer_interval.high])
    for system in joint:
        cost = system.cost
        writer.writerow(
            [system.system, "", "", "", cost.metric.name, cost.value, cost.interval.low, cost.interval.high]
        )
    return text.getvalue()


def _evaluation(evaluation: Evaluation, keys: Sequence[str]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "model": evaluation.model,
        "protocol": evaluation.protocol,
        "condition": evaluation.condition,
        "trials": len(evaluation.trials),
        "skipped": [{"path": exact(u.path), "reason": reason} for u, reason in evaluation.skipped],
        "thresholds": evaluation.thresholds and vars(evaluation.thresholds),
        "threshold": evaluation.threshold,
        "cost": evaluation.cost and asdict(evaluation.cost),
    }
    for name, one in evaluation.measurements.items():
        document |= {name: one.value, f"{name}_interval": vars(one.interval)}
    if evaluation.verdicts is not None:
        document |= {name: _plain(rate) for name, rate in vars(evaluation.verdicts).items()}
    same = evaluation.same_source
    document["same_source"] = {name: _plain(value) for name, value in vars(same).items()} if same else None
    document["by"] = {
        key: [{name: _plain(value) for name, value in vars(row).items()} for row in evaluation.by(key)] for key in keys
    }
    return document


def _comparison(one: Comparison) -> dict[str, Any]:
    return {
        "baseline": one.first,
        "model": one.second,
        "difference": one.difference,
        "interval": vars(one.interval),
        "p": one.p,
    }


def _audit(audit: Audit | None, explained: Mapping[str, Sequence[ExplainedRow]]) -> dict[str, Any] | None:
    if audit is None:
        return None
    return {
        "folds": audit.folds,
        "warning": audit.warning,
        "families": [asdict(row) for row in audit.rows],
        "features": [asdict(row) for row in audit.features],
        "explained": {model: [asdict(row) for row in rows] for model, rows in explained.items()},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Rate):
        return {**vars(value), "value": value.value, **vars(value.interval)}
    return vars(value) if isinstance(value, Interval) else value


def _number(value: float) -> float | None:
    return None if value != value else value
