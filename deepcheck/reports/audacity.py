"""Labels for Audacity's label track, a file a recording (File > Import > Labels).

The format (manual.audacityteam.org, "Importing and Exporting Labels"): UTF-8, a label a line, of start, end and text,
separated by tabs; the times in seconds with six decimals; equal times make a point. A line that starts with a backslash
would be a range of frequencies.
"""

from deepcheck.reports import Style
from deepcheck.reports.segments import marked
from deepcheck.reports.text import plain
from deepcheck.scanner.result import Report


def render(report: Report, style: Style | None = None) -> str:
    """Of each recording one label over the whole of it with the verdict, then its suspicious stretches with their
    scores, and the parts that could not be judged with the reason. What is of unknown length has its label at 0.
    """
    lines = []
    for result in report:
        whole = (
            f"{result.verdict} {result.llr:+.2f}"
            if result.llr is not None
            else f"not scored: {result.reason or result.status}"
        )
        lines.append(_label(0.0, result.duration_s or 0.0, f"recording: {whole}"))
        for part in marked(result, report.basis) if result.verdict else ():
            score = "" if part.llr is None else f" {part.llr:+.2f}"
            lines.append(_label(part.start_s, part.end_s, f"{part.label}{score}"))
    return "".join(lines)


def _label(start_s: float, end_s: float, text: str) -> str:
    return f"{start_s:.6f}\t{end_s:.6f}\t{plain(text)}\n"
