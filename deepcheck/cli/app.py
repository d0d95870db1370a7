"""The Typer app, and the one place where errors become messages and exit codes.

Exit codes: 0 done; 1 error; 2 wrong usage; 3 done, but some files could not be scored; 4 `--fail-on` was met;
130 interrupted (Ctrl-C), 143 terminated (SIGTERM).
"""

from enum import IntEnum
from typing import Annotated, Any

import typer

from deepcheck import __version__
from deepcheck.cli.commands import LazyGroup
from deepcheck.cli.stopping import exit_code
from deepcheck.errors import DeepcheckError


class Exit(IntEnum):
    """What a shell script may rely on."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    SOME_NOT_SCORED = 3
    FAIL_ON = 4
    INTERRUPTED = 130
    TERMINATED = 143


class _Guarded(LazyGroup):
    """Turns whatever a command raises into a sentence on stderr and an exit code; `--debug` lets it through."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except DeepcheckError as error:
            if ctx.params.get("debug"):
                raise
            _complain(error.message, error.hint)
            raise typer.Exit(Exit.ERROR) from None
        except KeyboardInterrupt as stop:
            _complain("Interrupted.")
            raise typer.Exit(exit_code(stop)) from None
        except BrokenPipeError:
            # Whoever read our output has gone (`| head`): nothing more to say, not even at shutdown.
            from deepcheck.cli.console import drop_stdout

            drop_stdout()
            raise typer.Exit(Exit.DONE) from None
        except OSError as error:  # a full disk, a folder that must not be written to
            if ctx.params.get("debug"):
                raise
            _complain(f"{error.filename or 'The system'}: {error.strerror or error}.")
            raise typer.Exit(Exit.ERROR) from None


def _complain(message: str, hint: str = "") -> None:
    from deepcheck.cli.console import say

    say(f"Error: {message}", style="bold red")
    if hint:
        say(hint)


app = typer.Typer(
    cls=_Guarded,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 error, 2 usage, 3 some files could not be scored, 4 --fail-on was met, "
    "130 interrupted, 143 terminated.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"deepcheck {__version__}")
        raise typer.Exit


@app.callback()
def main(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Tell genuine speech from synthetic speech, offline.

    Start with: deepcheck scan ./recordings
    """
