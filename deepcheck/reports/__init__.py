"""Formats of a scan's report by name; each in a file of its own.

A format is a function `(report: Report, style: Style) -> str`. One that makes a document for each recording is called
once a recording, with a report of that one; an empty string means that there is nothing to say of it. `write` puts
either kind into files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deepcheck.registry import Registry


@dataclass(frozen=True)
class Format:
    """`render` as a registry has it; `endings` of files in this format, the usual one first; the empty one is that of
    a name without any.

    `per_recording`: one document a recording, together in a folder, instead of one for all.
    """

    render: str
    endings: tuple[str, ...] = ()
    per_recording: bool = False


FORMATS: Mapping[str, Format] = {
    "table": Format("deepcheck.reports.table:render", (".txt", "")),
    "csv": Format("deepcheck.reports.csv:render", (".csv",)),
    "jsonl": Format("deepcheck.reports.jsonl:render", (".jsonl",)),
    "html": Format("deepcheck.reports.html:render", (".html", ".htm")),
    "markdown": Format("deepcheck.reports.markdown:render", (".md", ".markdown")),
    "audacity": Format("deepcheck.reports.audacity:render", (".labels.txt",), per_recording=True),
    "raven": Format("deepcheck.reports.raven:render", (".selections.txt",)),
    "textgrid": Format("deepcheck.reports.textgrid:render", (".TextGrid",), per_recording=True),
    "rttm": Format("deepcheck.reports.rttm:render", (".rttm",)),
}

REPORTS = Registry("report format", {name: format_.render for name, format_ in FORMATS.items()})


@dataclass(frozen=True)
class Style:
    """How a report for people may look: columns of the terminal, and whether it shows colours.

    `pictures` are PNG images of what the detector looked at, by path of the recording, for formats that show them;
    `audio` says which recordings such a format carries: all, suspicious (whatever is not bona fide) or none.
    """

    width: int = 120
    color: bool = False
    pictures: Mapping[Path, bytes] = field(default_factory=dict)
    audio: str = "all"
