"""A selection table for Raven Pro and Raven Lite, one for all recordings.

The format (Raven Pro user's manual, "Selection tables"): text, tab-separated, with a header. A table that covers
several files goes with these files opened together, in this order, as one sequence (File > Open Sound Files): `Begin
Time (s)` and `End Time (s)` count from the start of the first of them, `File Offset (s)` from that of `Begin File`.
Columns that Raven does not know (`Label`, `LLR`, `Verdict`) become annotations.
"""

from pathlib import Path

from deepcheck.reports import Style
from deepcheck.reports.segments import marked
from deepcheck.reports.text import cell, path_cell, plain, visible
from deepcheck.scanner.result import FileResult, Report

COLUMNS = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Begin Path",
    "File Offset (s)",
    "Begin File",
    "Label",
    "LLR",
    "Verdict",
)
_HEARD_HZ = 8000.0  # detectors hear what is below


def render(report: Report, style: Style | None = None) -> str:
    """A selection a suspicious stretch (`Label` is spoof or suspicious), one a part that could not be judged (`Label`
    says why).

    `Verdict` is that of the whole recording. The band is the one in which detectors listen, up to 8 kHz or half the
    sampling rate. Recordings of unknown length have no selections and no place in the sequence.
    """
    lines = ["\t".join(COLUMNS)]
    offset = 0.0
    for result in report:
        for part in marked(result, report.basis):
            fields = (
                str(len(lines)),
                "Spectrogram 1",
                "1",
                f"{offset + part.start_s:.6f}",
                f"{offset + part.end_s:.6f}",
                "0.0",
                f"{_highest_hz(result):.1f}",
                path_cell(visible(result.path)),
                f"{part.start_s:.6f}",
                path_cell(visible(Path(result.path.name))),
                cell(plain(part.label)),
                "" if part.llr is None else f"{part.llr:.4f}",
                result.verdict or "",
            )
            lines.append("\t".join(fields))
        offset += result.duration_s or 0.0
    return "".join(f"{line}\n" for line in lines)


def _highest_hz(result: FileResult) -> float:
    rate = result.container.sample_rate_hz if result.container else 0
    return min(_HEARD_HZ, rate / 2) if rate > 0 else _HEARD_HZ
