"""A table as data, to be drawn on a terminal or written as LaTeX."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich import box
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

_ORDINARY = 30
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\n": " ",
    }
)


@dataclass(frozen=True)
class Sheet:
    """Rows of text under `columns`; the first `left` of these hold words, the others numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1

    def drawn(self) -> Table:
        """The table for a terminal; text from files stays text, control characters written out."""
        title = Text(printable(self.title))
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, title=title, title_justify="left")
        longest = max((len(line) for row in self.rows for line in row[0].split("\n")), default=0)
        for number, name in enumerate(self.columns):
            justify: JustifyMethod = "left" if number < self.left else "right"
            # Where there is not room for all, numbers fold before names of ordinary length do.
            whole = number == 0 and longest <= _ORDINARY
            table.add_column(Text(printable(name)), justify=justify, overflow="fold", no_wrap=whole)
        for row in self.rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        return table

    def latex(self) -> str:
        """A `table` with a `tabular` in the style of booktabs."""
        layout = "l" * self.left + "r" * (len(self.columns) - self.left)
        lines = [_line(self.columns), r"\midrule", *map(_line, self.rows)]
        return "\n".join(
            [
                r"\begin{table}",
                rf"\caption{{{_escaped(self.title)}}}",
                rf"\begin{{tabular}}{{{layout}}}",
                r"\toprule",
                *lines,
                r"\bottomrule",
                r"\end{tabular}",
                r"\end{table}",
                "",
            ]
        )


def latex(sheets: Iterable[Sheet]) -> str:
    """All tables, to be read in by a document that uses booktabs."""
    return "% needs \\usepackage{booktabs}\n" + "\n".join(sheet.latex() for sheet in sheets)


def _line(cells: Iterable[str]) -> str:
    line = " & ".join(map(_escaped, cells)) + r" \\"
    # After the end of the row before, either would be an argument of it.
    return f"{{}}{line}" if line.startswith(("[", "*")) else line


def _escaped(text: str) -> str:
    return printable(text).translate(_LATEX)


def printable(text: str) -> str:
    """The text with control characters (terminal escapes, text direction marks) written out; new lines stay."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
