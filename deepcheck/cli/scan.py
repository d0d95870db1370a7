"""`deepcheck scan`: score a folder of recordings."""

import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deepcheck.cli.options import Device, Jobs
from deepcheck.errors import DeepcheckError


class FailOn(StrEnum):
    """Verdicts that make the exit code 4."""

    SPOOF = "spoof"
    INCONCLUSIVE = "inconclusive"


class Format(StrEnum):
    """Report formats; the rows of `deepcheck.reports.REPORTS`."""

    TABLE = "table"
    CSV = "csv"
    JSONL = "jsonl"


_OF_SUFFIX = {".csv": Format.CSV, ".jsonl": Format.JSONL, ".txt": Format.TABLE, "": Format.TABLE}


def command(
    paths: Annotated[list[Path], typer.Argument(help="Audio or video files, and folders to search.")],
    model: Annotated[
        str | None, typer.Option(help="A model by name or file; by default the current one.", show_default=False)
    ] = None,
    format: Annotated[  # noqa: A002
        Format | None,
        typer.Option(help="By default from the ending of --output, else table.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the report to a file.", show_default=False, dir_okay=False),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Call spoof what scores this or less, instead of the model's threshold.", show_default=False),
    ] = None,
    prior: Annotated[float, typer.Option(help="Share of spoofs among such recordings, for P(spoof).")] = 0.5,
    fail_on: Annotated[
        FailOn | None,
        typer.Option(help="Exit with 4 if a file is spoof (or: inconclusive or spoof).", show_default=False),
    ] = None,
    device: Device = "auto",
    jobs: Jobs = None,
) -> None:
    """Score recordings: a verdict each, with the evidence it rests on.

    Reads wav, flac, mp3, ogg, opus, aiff, m4a, aac, webm, wma and the sound
    of video files. Results go to stdout, progress to stderr. A file that
    cannot be judged is a row with its reason; the exit code is then 3.

    Examples:

      deepcheck scan ./recordings

      deepcheck scan call.m4a --format jsonl | jq .verdict

      deepcheck scan inbox --output report.csv --fail-on spoof
    """
    from deepcheck.cli.app import Exit
    from deepcheck.cli.console import deliver, err
    from deepcheck.cli.progress import scanning
    from deepcheck.reports import REPORTS, Style
    from deepcheck.scanner.result import INCONCLUSIVE, SPOOF
    from deepcheck.scanner.run import scan

    if format is None:
        format = _format_of(output)  # noqa: A001
    if output is not None:
        _require_writable(output)
    with scanning() as progress:
        report = scan(paths, model=model, threshold=threshold, prior=prior, device=device, jobs=jobs, progress=progress)
    live = output is None and sys.stdout.isatty()
    style = Style(width=err().width, color=err().color_system is not None) if live else Style()
    deliver(REPORTS.resolve(format)(report, style), output)
    counts = report.counts()
    if output is not None:
        err().print(", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))
    failing = counts[SPOOF] + (counts[INCONCLUSIVE] if fail_on is FailOn.INCONCLUSIVE else 0)
    if fail_on is not None and failing:
        raise typer.Exit(Exit.FAIL_ON)
    if counts["not scored"]:
        raise typer.Exit(Exit.SOME_NOT_SCORED)


def _format_of(output: Path | None) -> Format:
    if output is None:
        return Format.TABLE
    format_ = _OF_SUFFIX.get(output.suffix.lower())
    if format_ is None:
        raise DeepcheckError(
            f'The ending of "{output.name}" names no report format.',
            f"Use {', '.join(filter(None, _OF_SUFFIX))}, or say --format {' | '.join(Format)}.",
        )
    return format_


def _require_writable(output: Path) -> None:
    from deepcheck.audio.decode import EXTENSIONS

    # Before hours of scanning, not after them; and never over what may be the evidence.
    if output.suffix[1:].lower() in EXTENSIONS:
        raise DeepcheckError(f"{output} is named like a recording; no report is written there.", "Use .csv or .jsonl.")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output.parent):
            pass
    except OSError as error:
        raise DeepcheckError(f"The report cannot be written to {output}: {error.strerror}.") from None
