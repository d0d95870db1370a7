"""What goes to the terminal: results to stdout, everything else to stderr."""

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from deepcheck.files import write_atomically


@cache
def err() -> Console:
    """The console of messages and progress."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(message: str, style: str = "") -> None:
    """A message on stderr; the text is taken as it is, without markup, control characters written out."""
    plain = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in message)
    err().print(Text(plain, style=style))


class _Stdout(Console):
    def on_broken_pipe(self) -> None:
        """Leaves it to the command line, where `| head` is no error; rich would end the process with 1."""
        raise BrokenPipeError


def show(renderable: Any) -> None:
    """A table or the like on stdout, as wide as the terminal, 120 columns in a pipe."""
    _Stdout(highlight=False, width=None if sys.stdout.isatty() else 120).print(renderable)


def drop_stdout() -> None:
    """For when nobody reads it any more: what is still to be said there goes nowhere, at the very end as well."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def deliver(text: str, output: Path | None) -> None:
    """A finished document to `output`, whole or not at all, or to stdout."""
    if output is not None:
        write_atomically(output, text.encode("utf-8", "backslashreplace"))
        say(f"Written to {output}")
        return
    # As bytes: the terminal's encoding must not decide whether a file name can be reported.
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()
