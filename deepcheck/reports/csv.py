"""The report as CSV (RFC 4180): one row a file, for spreadsheets and scripts."""

import csv
import io

from deepcheck.files import exact
from deepcheck.reports import Style
from deepcheck.scanner.result import FileResult, Report

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
)


def render(report: Report, style: Style | None = None) -> str:
    """A header and a row a file; what is not known is empty. Numbers have four decimals, times are in seconds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for result in report:
        writer.writerow(_row(result, report.basis.model))
    return text.getvalue()


def _row(result: FileResult, model: str) -> list[str]:
    stretch = result.suspicious
    numbers = (
        result.llr,
        result.p_spoof,
        result.duration_s,
        result.speech_s,
        stretch and stretch.start_s,
        stretch and stretch.end_s,
        stretch and stretch.llr,
    )
    return [
        _no_formula(exact(result.path)),
        result.status,
        result.verdict or "",
        *("" if number is None else f"{number:.4f}" for number in numbers),
        result.reason or "",
        result.sha256 or "",
        model,
    ]


def _no_formula(path: str) -> str:
    # A spreadsheet runs a cell that starts like a formula; `./` in front names the same file.
    return f"./{path}" if path.startswith(("=", "+", "-", "@", "\t", "\r")) else path
