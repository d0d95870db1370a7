"""The report as JSON lines: one object a file, every window in it."""

import json
import math
from dataclasses import asdict
from typing import Any

from deepcheck.files import exact
from deepcheck.reports import Style
from deepcheck.scanner.result import FileResult, Report

SCHEMA = 1
_DECIMALS = 6


def render(report: Report, style: Style | None = None) -> str:
    """A line a file. Unknown values are null, and so are the llr of windows that were not scored.

    `schema` is raised when a field changes its meaning or goes; new fields may come without that.
    """
    basis = asdict(report.basis)
    return "".join(f"{json.dumps(_row(result, basis), ensure_ascii=False)}\n" for result in report)


def _row(result: FileResult, basis: dict[str, Any]) -> dict[str, Any]:
    document = {
        "schema": SCHEMA,
        "path": exact(result.path),
        "status": result.status,
        **{key: value for key, value in asdict(result).items() if key != "path"},
        "basis": basis,
    }
    plain: dict[str, Any] = _rounded(document)
    return plain


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    if isinstance(value, float):
        return round(value, _DECIMALS) if math.isfinite(value) else None  # JSON has no NaN and no infinity
    return value
