"""Formats of a scan's report by name; each in a file of its own.

A format is a function `(report: Report, style: Style) -> str`.
"""

from dataclasses import dataclass

from deepcheck.registry import Registry

REPORTS = Registry(
    "report format",
    {
        "table": "deepcheck.reports.table:render",
        "csv": "deepcheck.reports.csv:render",
        "jsonl": "deepcheck.reports.jsonl:render",
    },
)


@dataclass(frozen=True)
class Style:
    """How a report for people may look: columns of the terminal, and whether it shows colours."""

    width: int = 120
    color: bool = False
