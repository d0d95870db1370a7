"""`deepcheck verify`: whether a report still holds."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepcheck.cli.options import Device, Jobs

if TYPE_CHECKING:
    from deepcheck.scanner.verify import Checked, Claims, Verification


class Format(StrEnum):
    """How the outcome is written."""

    TABLE = "table"
    JSONL = "jsonl"


def command(
    reports: Annotated[list[Path], typer.Argument(help="Reports of scan, .jsonl or .csv.", show_default=False)],
    root: Annotated[
        Path | None,
        typer.Option(help="Where the files lie now, if not where they did.", show_default=False, file_okay=False),
    ] = None,
    sample: Annotated[int, typer.Option(min=0, help="How many files of each report to score again.")] = 5,
    every: Annotated[bool, typer.Option("--all", help="Score all files again.")] = False,
    seed: Annotated[int, typer.Option(help="Which files those are.")] = 0,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", help="A model of the report, by name or file; by default found by SHA-256.", show_default=False
        ),
    ] = None,
    format: Annotated[Format, typer.Option(help="How to write the outcome.")] = Format.TABLE,  # noqa: A002
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no messages but errors.")] = False,
    device: Device = "auto",
    jobs: Jobs = None,
) -> None:
    """Confirm a report: hash its files again, score a sample of them again.

    Each file is the same, changed, missing, or its score differs by more than
    0.001 (0.005 where it was computed in bf16). The exit code is 0 if all is as
    the report says, 1 if not. Of files that could not be read when the report
    was made nothing is known.

    Examples:

      deepcheck verify report.jsonl

      deepcheck verify report.csv --root /media/evidence --all
    """
    from deepcheck.cli.app import Exit
    from deepcheck.cli.console import deliver, say
    from deepcheck.cli.progress import counting
    from deepcheck.reports.claims import read_claims
    from deepcheck.scanner.verify import verify

    claims = [read_claims(path) for path in reports]  # what is wrong with the last one need not wait for the first
    confirmed = True
    for path, claim in zip(reports, claims, strict=True):
        with counting(f"Verifying {path.name}", hidden=quiet) as progress:
            found = verify(
                claim,
                root=root,
                sample=None if every else sample,
                seed=seed,
                models=model or (),
                device=device,
                jobs=jobs,
                progress=progress,
            )
        confirmed &= found.confirmed
        if format is Format.JSONL:
            deliver(_lines(path, claim, found), None)
        else:
            _show(path, found)
        if not quiet:
            say(_told(path, claim, found), style="" if found.confirmed else "bold red")
    raise typer.Exit(Exit.DONE if confirmed else Exit.ERROR)


def _told(path: Path, claims: "Claims", found: "Verification") -> str:
    """The outcome in a sentence or three."""
    import deepcheck

    counts = ", ".join(f"{count} {outcome}" for outcome, count in found.counts.items() if count)
    told = f"{path}: {'confirmed' if found.confirmed else 'NOT confirmed'}: {counts}; {found.rescored} scored again."
    if found.model is not None:
        told += f" {found.model}"
    if claims.version not in (None, deepcheck.__version__):
        told += f" It was made by deepcheck {claims.version}; this is {deepcheck.__version__}, whose scores may differ."
    return told


def _show(path: Path, found: "Verification") -> None:
    """The files that are not the same, and those that were scored again."""
    from deepcheck.cli.console import show
    from deepcheck.cli.sheet import Sheet
    from deepcheck.scanner.verify import Outcome

    told = [row for row in found.files if row.rescored or row.outcome is not Outcome.SAME]
    if not told:
        return
    rows = tuple(
        (row.claim.path, row.outcome.value, _signed(row.claim.llr), _signed(row.llr), row.reason or "") for row in told
    )
    show(Sheet(f"{path}", ("file", "outcome", "score then", "score now", "why"), rows, left=2).drawn())


def _signed(llr: float | None) -> str:
    return "" if llr is None else f"{llr:+.4f}"


def _lines(path: Path, claims: "Claims", found: "Verification") -> str:
    """A line for the report as a whole, then one a file."""
    import json

    import deepcheck
    from deepcheck.files import exact

    whole = {
        "report": exact(path),
        "confirmed": found.confirmed,
        "counts": {outcome.value: count for outcome, count in found.counts.items()},
        "rescored": found.rescored,
        "model": "same" if found.model is None and found.rescored else found.model,
        "version": claims.version,
        "verified_with": deepcheck.__version__,
    }
    return "".join(f"{json.dumps(line)}\n" for line in (whole, *(_line(path, row) for row in found.files)))


def _line(path: Path, row: "Checked") -> dict[str, Any]:
    from deepcheck.files import exact

    return {
        "report": exact(path),
        "path": row.claim.path,
        "outcome": row.outcome.value,
        "found": None if row.found is None else exact(row.found),
        "sha256": row.claim.sha256,
        "sha256_now": row.sha256,
        "rescored": row.rescored,
        "llr": row.claim.llr,
        "llr_now": row.llr,
        "reason": row.reason,
    }
