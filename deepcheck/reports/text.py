"""Strings that are safe to print: file names may hold anything."""

from pathlib import Path

from deepcheck.files import exact


def visible(path: Path) -> str:
    """The path with control characters (new lines, terminal escapes, text direction marks) written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in exact(path))


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
