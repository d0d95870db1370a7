"""The report as CSV (RFC 4180): one row a file, for spreadsheets and scripts."""

import math
from statistics import median

from deepcheck.files import exact
from deepcheck.reports import Style
from deepcheck.reports.text import cell, path_cell, plain
from deepcheck.scanner.result import Basis, FileResult, Report

COLUMNS = (
    "path",
    "status",
    "verdict",
    "llr",
    "p_spoof",
    "duration_s",
    "speech_s",
    "suspicious_start_s",
    "suspicious_end_s",
    "suspicious_llr",
    "reason",
    "sha256",
    "model",
    "model_sha256",
    "complete",
    "stretches",
    "notes",
    "threshold_spoof",
    "threshold_bonafide",
    "distance",
    "snr_db",
    "bandwidth_hz",
    "level_db",
    "format",
    "codec",
    "sample_rate_hz",
    "channels",
    "bit_rate_bps",
    "version",
    "threshold",
    "precision",
)
"""New columns come after these, and those of several models, `llr_NAME` and `verdict_NAME`, after all."""


def render(report: Report, style: Style | None = None) -> str:
    """A header and a row a file; what is not known is empty. Numbers have four decimals, times are in seconds.

    `complete` is the same in every row: false if the scan was interrupted. `stretches` are `start-end (llr)`, `notes`
    sentences; both are joined by semicolons. `threshold` is that of the user, `precision` empty for fp32.
    `snr_db`, `bandwidth_hz` and `level_db` are medians over the windows with a score. A text that a spreadsheet would
    take for a formula has an apostrophe in front, a path `./`.
    """
    models = [model.model for model in report.basis.models]
    columns = [*COLUMNS, *(plain(f"{what}_{name}") for name in models for what in ("llr", "verdict"))]
    rows = [_row(result, report.basis, report.complete) + _opinions(result, models) for result in report]
    return "".join(f"{','.join(map(_quoted, row))}\r\n" for row in (columns, *rows))


def _row(result: FileResult, basis: Basis, complete: bool) -> list[str]:
    lowest, limits, container = result.suspicious, result.thresholds, result.container
    spans = [f"{part.start_s:.1f}-{part.end_s:.1f} ({part.llr:.2f})" for part in result.stretches]
    return [
        path_cell(exact(result.path)),
        cell(result.status),
        cell(result.verdict or ""),
        *map(_number, (result.llr, result.p_spoof, result.duration_s, result.speech_s)),
        *map(_number, (lowest.start_s, lowest.end_s, lowest.llr) if lowest else (None,) * 3),
        cell(result.reason or ""),
        result.sha256 or "",
        cell(basis.model),
        basis.model_sha256,
        "true" if complete else "false",
        "; ".join(spans),
        cell("; ".join(note.text for note in result.notes)),
        *map(_number, (limits.spoof, limits.bonafide) if limits else (None,) * 2),
        _number(result.distance),
        *(_middle(result, measure) for measure in ("snr_db", "bandwidth_hz", "level_db")),
        *(map(cell, (container.format, container.codec)) if container else ("",) * 2),
        *(
            map(_whole, (container.sample_rate_hz, container.channels, container.bit_rate_bps))
            if container
            else ("",) * 3
        ),
        cell(basis.version),
        *(dict(basis.settings).get(name, "") for name in ("threshold", "precision")),
    ]


def _opinions(result: FileResult, models: list[str]) -> list[str]:
    by_model = {said.model: said for said in result.opinions}
    found = [by_model.get(name) for name in models]
    return [text for said in found for text in ((_number(said.llr), said.verdict or "") if said else ("", ""))]


def _number(value: float | None) -> str:
    return f"{value:.4f}" if value is not None and math.isfinite(value) else ""


def _whole(value: int | None) -> str:
    return "" if value is None else str(value)


def _middle(result: FileResult, measure: str) -> str:
    values = [getattr(window, measure) for window in result.windows if not math.isnan(window.llr)]
    known = [value for value in values if math.isfinite(value)]
    return _number(median(known)) if known else ""


def _quoted(text: str) -> str:
    # Semicolons and tabs too, which spreadsheets of some countries take for separators.
    if not any(c in text for c in ',;"\t\r\n'):
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'
