"""`deepcheck scan --watch`: files are scored as they come, and the reports kept up to date."""

import time
from collections.abc import Callable, Iterable, Sequence

from deepcheck.cli.console import deliver, say
from deepcheck.cli.scan_outputs import Target
from deepcheck.errors import DeepcheckError
from deepcheck.reports import REPORTS
from deepcheck.reports.text import visible
from deepcheck.scanner.discover import Found
from deepcheck.scanner.result import NOT_SCORED, Basis, FileResult, Report
from deepcheck.scanner.run import Scan

_LINE_BY_LINE = ("csv", "jsonl")
_SHORT_S = 1.0  # to write the reports


def is_streamed(target: Target) -> bool:
    """Whether `keep_scoring` writes this report itself, row by row."""
    return target.path is None and target.format in _LINE_BY_LINE


def keep_scoring(
    scan: Scan,
    batches: Iterable[Found],
    wanted: Sequence[Target],
    write: Callable[[Report, Sequence[Target]], None],
    quiet: bool = False,
) -> KeyboardInterrupt | None:
    """Scores batches of files until there are no more or it is interrupted, and returns by what.

    Each result is told as it comes - on stdout a row, if that is where a report by lines goes, else on stderr a
    line - unless an earlier run has scored the file. The reports in files are written with `write` after each batch,
    or where that takes longer than a second, as long as it takes no more than a fifth of the time.
    """
    rows = next((target.format for target in wanted if is_streamed(target)), None)
    files = [target for target in wanted if target.path is not None]
    late, rested = False, 0.0
    try:
        if rows is not None:
            deliver(_rows((), scan.basis, rows), None)
        for found in batches:
            known = 0
            for result in scan.run(found):
                if scan.tally.known > known:
                    known = scan.tally.known
                elif rows is not None:
                    header = _rows((), scan.basis, rows)
                    deliver(_rows((result,), scan.basis, rows).removeprefix(header), None)
                elif not quiet:
                    say(_line(result))
            late = late or bool(found.files or found.unreadable)
            if not late or time.monotonic() < rested:
                continue
            began = time.monotonic()
            try:
                write(scan.report(), files)
                late = False
            except (DeepcheckError, OSError) as error:  # a full disk, a share that has gone: nothing to end a watch for
                say(f"Error: {error} It will be tried again.", style="bold red")
            # A report that takes minutes, with the sound of all recordings, must not keep new ones waiting.
            spent = time.monotonic() - began
            rested = time.monotonic() + (4 * spent if spent > _SHORT_S else 0)
    except KeyboardInterrupt as stop:
        return stop
    return None


def _rows(results: tuple[FileResult, ...], basis: Basis, format_: str) -> str:
    text: str = REPORTS.resolve(format_)(Report(results, basis))
    return text


def _line(result: FileResult) -> str:
    said = f"{result.verdict or NOT_SCORED:<12}"
    if result.llr is None:
        return f"{said}         {visible(result.path)}: {result.reason}"
    return f"{said} {result.llr:+7.2f} {visible(result.path)}"
