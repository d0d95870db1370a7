"""Handing over the reports of a scan."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from deepcheck.cli.console import deliver, err, say
from deepcheck.cli.scan_inputs import Inputs
from deepcheck.cli.scan_outputs import Target
from deepcheck.cli.scan_pictures import Pictures
from deepcheck.reports import Style
from deepcheck.reports.write import render, write
from deepcheck.scanner.result import Report

_WITH_PICTURES = "html"


def shows_pictures(target: Target) -> bool:
    """Whether this report has pictures of what the detector looked at."""
    return target.format == _WITH_PICTURES


@dataclass(frozen=True)
class Delivery:
    """How this scan hands its reports over; to be called with a report and where it goes."""

    inputs: Inputs
    pictures: Pictures
    style: Style
    quiet: bool = False

    def __call__(self, report: Report, wanted: Sequence[Target]) -> None:
        """Writes the report everywhere, to files first, each whole or not at all, and draws the pictures.

        What was found comes first, for pictures take long and may fail or be interrupted: then the reports are there
        without them, and what stopped them is raised at the end.
        """
        said, style = self.inputs.as_named(report), self.style
        self._write(said, [target for target in wanted if not shows_pictures(target)], style)
        problem: BaseException | None = None
        try:
            drawn = self.pictures.of(report)
            style = replace(style, pictures={self.inputs.named(path): data for path, data in drawn.items()})
        except (Exception, KeyboardInterrupt) as error:
            problem = error
        self._write(said, [target for target in wanted if shows_pictures(target)], style)
        if problem is not None:
            raise problem

    def _write(self, report: Report, wanted: Sequence[Target], style: Style) -> None:
        for target in sorted(wanted, key=lambda target: target.path is None):
            if target.path is not None:
                write(report, target.format, target.path, style)
                if not self.quiet:
                    say(f"Written to {target.path}")
                continue
            live = sys.stdout.isatty()
            look = replace(style, width=err().width, color=err().color_system is not None) if live else style
            deliver(render(report, target.format, look), None)
