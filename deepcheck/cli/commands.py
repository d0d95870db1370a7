"""The table of commands; the module of one is imported when that command runs, not to list it."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

# Name -> where it is, and the first line of its help.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "scan": ("deepcheck.cli.scan:command", "Score recordings: a verdict each, with the evidence it rests on."),
    "verify": ("deepcheck.cli.verify:command", "Confirm a report: hash its files again, score a sample of them again."),
    "train": ("deepcheck.cli.train:command", "Train a detector, calibrate it on data kept aside, and store it."),
    "eval": ("deepcheck.cli.evaluate:command", "Evaluate models: error rates in all, per system and per source."),
    "grow": ("deepcheck.cli.grow:command", "Add neurons to layers of a trained detector; its outputs stay the same."),
    "prune": (
        "deepcheck.cli.prune:command",
        "Remove neurons, those first that matter least to the loss and say least.",
    ),
    "models": (
        "deepcheck.cli.models:app",
        "List models, look at one, choose the current one, calibrate one, fuse several.",
    ),
}


class _Commands(Mapping[str, Any]):
    """Name -> command; made on use, as that takes importing it."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _made(name, COMMANDS[name][0])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _made(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command(name)(found)
        found = alone
    command = typer.main.get_command(found)
    command.name = name
    return command


class LazyGroup(TyperGroup):
    """A group of `COMMANDS`; of those that are only listed, no more is known than the table says."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands()  # type: ignore[assignment]

    def list_commands(self, _: Any) -> list[str]:
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, _: Any, name: str) -> Any:
        """What the help shows of it; `resolve_command` gives the command itself."""
        return TyperCommand(name, help=COMMANDS[name][1]) if name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """(name, command, the arguments behind it), as the base class."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, self.commands[name] if name is not None else None, rest
