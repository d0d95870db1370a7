"""The report as JSON lines: one object a file, every window in it. `jsonl.schema.json` describes every field."""

import json
import math
import re
from typing import Any

from deepcheck.files import exact
from deepcheck.reports import Style
from deepcheck.scanner.record import to_record
from deepcheck.scanner.result import Basis, FileResult, Report

SCHEMA = 2
_DECIMALS = 6


def render(report: Report, style: Style | None = None) -> str:
    """A line a file. Unknown values are null, and so are the llr of windows that were not scored.

    `schema` is raised when a field changes its meaning or goes; new fields may come without that. Whatever is no
    printable character is escaped, bytes of a path that are no text are written as \\xNN.
    """
    basis = _basis(report.basis)
    return "".join(f"{_line(_row(result, report.complete, basis))}\n" for result in report)


def _row(result: FileResult, complete: bool, basis: dict[str, Any]) -> dict[str, Any]:
    record = to_record(result, _rounded)
    return {"schema": SCHEMA, **record, "path": exact(result.path), "complete": complete, "basis": basis}


def _basis(basis: Basis) -> dict[str, Any]:
    """As a record, but with pairs as objects, which are easier to query."""
    record = to_record(basis, _rounded)
    return {
        **record,
        "bands": dict(record["bands"]),
        "settings": dict(basis.settings),
        "models": [_basis(model) for model in basis.models],
    }


def _rounded(value: float) -> float | None:
    return round(value, _DECIMALS) if math.isfinite(value) else None  # JSON has no NaN and no infinity


def _line(document: dict[str, Any]) -> str:
    text = json.dumps(document, ensure_ascii=False)
    # Only strings hold such characters: terminal escapes beyond ASCII, text direction marks, lone surrogates.
    return text if text.isprintable() else re.sub(r"[^ -~]", _escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0] if match[0].isprintable() else json.dumps(match[0])[1:-1]
