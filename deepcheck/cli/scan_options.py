"""The options of `deepcheck scan`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deepcheck.reports import REPORTS
from deepcheck.scanner.engines import ENGINES


class FailOn(StrEnum):
    """Verdicts that make the exit code 4."""

    SPOOF = "spoof"
    INCONCLUSIVE = "inconclusive"


class Audio(StrEnum):
    """Which recordings a report carries."""

    ALL = "all"
    SUSPICIOUS = "suspicious"
    NONE = "none"


Format = StrEnum("Format", {name.upper().replace("-", "_"): name for name in REPORTS.names()})  # type: ignore[misc]
Engine = StrEnum("Engine", {name.upper(): name for name in ENGINES.names()})  # type: ignore[misc]
HERE = Engine("local")


def _located(text: str) -> Path:
    from deepcheck.scanner.address import located  # which takes longer to import than --help may

    return located(text)


_INPUT, _REPORT, _NIGHT = "What to scan", "The report", "Long runs"

Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        parser=_located,
        metavar="PATHS",
        help="Audio or video files, folders to search, URLs of either (s3:// and others), - for audio from stdin.",
        show_default=False,
    ),
]
FromFile = Annotated[
    Path | None,
    typer.Option(
        "--from-file",
        help="Also what this list names, a path a line; - is stdin.",
        show_default=False,
        rich_help_panel=_INPUT,
    ),
]
Null = Annotated[
    bool, typer.Option("--null", "-0", help="The list is separated by NUL, as of find -print0.", rich_help_panel=_INPUT)
]
Part = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Only part I of N, for N runs that share the files (on unlike CPUs with --precision fp32).",
        show_default=False,
        rich_help_panel=_INPUT,
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="A model by name or file, or hf:owner/name; several for second opinions; by default the current one.",
        show_default=False,
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(help="What the labels of an hf: model mean, as spoof=fake,bonafide=real.", show_default=False),
]
Threshold = Annotated[
    float | None,
    typer.Option(help="Call spoof what scores this or less, instead of the model's threshold.", show_default=False),
]
Prior = Annotated[float, typer.Option(help="Share of spoofs among such recordings, for P(spoof).")]
Formats = Annotated[
    list[Format] | None,
    typer.Option(
        "--format",
        help="By default from the ending of --output, else table; may be repeated.",
        show_default=False,
        rich_help_panel=_REPORT,
    ),
]
Outputs = Annotated[
    list[Path] | None,
    typer.Option(
        "--output",
        "-o",
        help="Where the report goes, - is stdout; may be repeated.",
        show_default=False,
        rich_help_panel=_REPORT,
    ),
]
Explain = Annotated[
    Path | None,
    typer.Option(
        help="Put pictures of what the detector looked at there.",
        show_default=False,
        file_okay=False,
        rich_help_panel=_REPORT,
    ),
]
AudioIn = Annotated[Audio, typer.Option("--audio", help="Recordings in an HTML report.", rich_help_panel=_REPORT)]
FailOnVerdict = Annotated[
    FailOn | None,
    typer.Option(
        "--fail-on",
        help="Exit with 4 if a file is spoof (or: inconclusive or spoof).",
        show_default=False,
        rich_help_panel=_REPORT,
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress, no messages but errors.", rich_help_panel=_REPORT)
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume/--no-resume",
        help="Take results of unchanged files from earlier runs, or score all anew.",
        rich_help_panel=_NIGHT,
    ),
]
Timeout = Annotated[
    float,
    typer.Option(help="Seconds that decoding a file may take; beyond it is given up.", rich_help_panel=_NIGHT),
]
Precision = Annotated[
    str,
    typer.Option(
        help="fp32, bf16 (scores move a little), or auto: bf16 on a CPU with matrix units (AMX), else fp32.",
        rich_help_panel=_NIGHT,
    ),
]
Runtime = Annotated[
    str,
    typer.Option(
        help="torch, onnx, or auto: onnx where the model was exported (deepcheck models export) and runs in fp32.",
        rich_help_panel=_NIGHT,
    ),
]
Watch = Annotated[
    bool,
    typer.Option("--watch", help="Go on scoring what comes into the folders, until Ctrl-C.", rich_help_panel=_NIGHT),
]
Where = Annotated[
    Engine,
    typer.Option(
        "--engine",
        help="Score in this process, or on the machines of a Ray cluster (extra ray).",
        rich_help_panel=_NIGHT,
    ),
]
Interval = Annotated[float, typer.Option(help="Seconds between two looks with --watch.", rich_help_panel=_NIGHT)]
