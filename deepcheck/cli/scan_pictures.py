"""Pictures of what the detector looked at: for `--explain`, and for reports that show them."""

from collections.abc import Iterable
from pathlib import Path

from deepcheck.cli.console import say
from deepcheck.cli.progress import counting
from deepcheck.engine.model import Model
from deepcheck.reports.text import visible
from deepcheck.scanner.result import BONAFIDE, SPOOF, FileResult, Report

MOST = 30  # for a report, where nobody asked for more


class Pictures:
    """Draws each file once, however often it is asked.

    With a `folder`, every scored file, into that folder; else those that are flagged or inconclusive, the most
    suspicious first, `MOST` at most. With `embed` the pictures are given back as well.
    """

    def __init__(self, model: Model, folder: Path | None, embed: bool, quiet: bool = False) -> None:
        self._model = model
        self._folder = folder
        self._embed = embed
        self._quiet = quiet
        self._drawn: dict[tuple[Path, str | None], bytes | None] = {}

    def of(self, report: Report) -> dict[Path, bytes]:
        """PNG images by path of the recording; of a report that is not complete, those that were drawn before.

        Raises `DeepcheckError` where none can be drawn or written.
        """
        chosen = list(report) if self._folder is not None else _most_suspicious(report)
        new = [result for result in chosen if result.verdict is not None and _key(result) not in self._drawn]
        if report.complete and new and (self._folder is not None or self._embed):
            from deepcheck.explain.render import png_bytes  # which most scans do without
            from deepcheck.explain.run import explain_report

            with counting("Explaining", hidden=self._quiet) as progress:
                for done, each in enumerate(explain_report(self._model, new, self._folder), 1):
                    progress(done, len(new))
                    self._drawn[_key(each.result)] = None
                    if each.explanation is not None and self._embed:
                        self._drawn[_key(each.result)] = png_bytes(each.explanation)
                    elif each.explanation is None and not self._quiet:
                        say(f"There is no picture of {visible(each.result.path)}: {each.reason}.")
        drawn = ((result.path, self._drawn.get(_key(result))) for result in chosen)
        return {path: picture for path, picture in drawn if picture is not None}


def _most_suspicious(results: Iterable[FileResult]) -> list[FileResult]:
    doubtful = [result for result in results if result.verdict not in (None, BONAFIDE) and result.llr is not None]
    return sorted(doubtful, key=lambda result: (result.verdict != SPOOF, result.llr))[:MOST]


def _key(result: FileResult) -> tuple[Path, str | None]:
    return result.path, result.sha256
