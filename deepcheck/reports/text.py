"""Strings that are safe to print: file names may hold anything."""

from pathlib import Path

from deepcheck.files import exact

# What a spreadsheet may take for the beginning of a formula (OWASP, "CSV Injection"), full-width signs included.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def plain(text: str) -> str:
    """The text with control characters (new lines, terminal escapes, text direction marks) written out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def visible(path: Path) -> str:
    """The path with control characters written out."""
    return plain(exact(path))


def path_cell(path: str) -> str:
    """The path for a cell of a spreadsheet, which runs what starts like a formula; `./` before it is the same file."""
    return f"./{path}" if path.startswith(_FORMULA) else path


def cell(text: str) -> str:
    """Any other text for a cell of a spreadsheet; an apostrophe before what starts like a formula makes it text."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def seconds(value: float | None) -> str:
    """A length or position: 4.2 s as `4.2`, from a minute on `1:04.2`, from an hour on `1:01:04`."""
    if value is None:
        return ""
    # Round first: 59.96 s is a minute.
    tenths = round(value * 10)
    if tenths < 600:
        return f"{tenths / 10:.1f}"
    minutes, rest = divmod(tenths, 600)
    if minutes < 60:
        return f"{minutes}:{rest / 10:04.1f}"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest // 10:02d}"
