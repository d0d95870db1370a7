"""Reports into files, in the format that their name or the user says."""

from dataclasses import replace
from pathlib import Path

from deepcheck.errors import DeepcheckError
from deepcheck.files import write_atomically
from deepcheck.reports import FORMATS, REPORTS, Format, Style
from deepcheck.reports.folder import put, require_folder
from deepcheck.scanner.result import Report


def write(report: Report, format: str, output: Path, style: Style | None = None) -> list[Path]:  # noqa: A002
    """Write the report to the file `output`, whole or not at all, or for a format that makes a document for each
    recording into the folder `output` (`folder.put`); the paths written.

    Raises `ConfigError` for a format that there is not, `DeepcheckError` if a folder is where a file should be or the
    other way round, `OSError` if it cannot be written.
    """
    require_place(format, output)
    document, style = REPORTS.resolve(format), style or Style()
    if _of(format).per_recording:
        texts = (document(replace(report, results=(result,)), style) for result in report)
        return put(output, _of(format).endings[0], [result.path for result in report], texts)
    write_atomically(output, document(report, style).encode("utf-8", "backslashreplace"))
    return [output]


def render(report: Report, format: str, style: Style | None = None) -> str:  # noqa: A002
    """The report as one text, for stdout.

    Raises `ConfigError` for a format that there is not, `DeepcheckError` for one that makes a document for each
    recording, unless there is but one.
    """
    document = REPORTS.resolve(format)
    if _of(format).per_recording and len(report) != 1:
        raise DeepcheckError(
            f'The format "{format}" makes a file for each recording.', "Name a folder for them with --output."
        )
    text: str = document(report, style or Style())
    return text


def require_place(format: str, output: Path) -> None:  # noqa: A002
    """`DeepcheckError` if what is at `output` cannot take this format: to be asked before hours of scanning."""
    REPORTS.resolve(format)
    if _of(format).per_recording:
        require_folder(output)
    elif output.is_dir():
        raise DeepcheckError(
            f"{output} is a folder; the report is one file.", f'Name a file, for instance in "{output}".'
        )


def format_of(output: Path) -> str:
    """The format that the ending of `output` says, whatever the case of its letters; `table` if there is no ending.

    Raises `DeepcheckError` for an ending that no format has.
    """
    name = output.name.casefold()
    by_ending = {ending.casefold(): format_ for format_, row in FORMATS.items() for ending in row.endings}
    for ending in sorted(filter(None, by_ending), key=len, reverse=True):
        if name.endswith(ending) and name != ending:
            return by_ending[ending]
    if not output.suffix:
        return by_ending[""]
    known = [row.endings[0] for row in FORMATS.values() if row.endings]
    raise DeepcheckError(
        f'The ending of "{output.name}" names no report format.',
        f"Use {', '.join(known)}, or say --format {' | '.join(REPORTS)}.",
    )


def _of(format_: str) -> Format:
    # One from another package is a document for all.
    return FORMATS.get(format_, Format(format_))
