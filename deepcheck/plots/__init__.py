"""Pictures: plain numbers in, a file out. Here is what all plots share: formats, writing, and colours to tell apart."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepcheck.errors import ConfigError
from deepcheck.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of Okabe and Ito's palette, which holds for all common kinds of colour vision (jfly.uni-koeln.de/color).
BLUE, VERMILION = "#0072B2", "#D55E00"

# By suffix, what else to tell matplotlib: without a date the same numbers make the same file.
FORMATS: dict[str, dict[str, Any]] = {
    ".png": {"dpi": 150},
    ".svg": {"metadata": {"Date": None}},
    ".pdf": {"metadata": {"CreationDate": None}},
}


def check_format(path: Path) -> None:
    """`ConfigError` if the suffix of `path` is that of no format; to be asked before any long work."""
    if path.suffix.lower() not in FORMATS:
        names = ", ".join(FORMATS)
        raise ConfigError(f'A plot cannot be written to "{path}".', f"Let the name end with one of {names}.")


def save_figure(figure: "Figure", path: Path) -> None:
    """The figure as a file in the format of its suffix, whole or not at all."""
    import matplotlib

    check_format(path)
    suffix = path.suffix.lower()
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "deepcheck"}):  # else its ids are random
        figure.savefig(buffer, format=suffix[1:], **FORMATS[suffix])
    write_atomically(path, buffer.getvalue())
