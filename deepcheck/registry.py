"""Tables of what can be chosen by name: a name leads to `module:attribute`, imported only when used."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from deepcheck.errors import ConfigError


def did_you_mean(name: str, known: list[str]) -> str:
    """A hint for a name that is not in `known`: the nearest one, and all there are."""
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    lead = f'Did you mean "{near[0]}"? ' if near else ""
    return f"{lead}There are: {', '.join(known)}." if known else lead.strip()


class Registry:
    """Name -> object, resolved on first use so that a listing imports nothing.

    Third-party packages add rows through the entry-point group `deepcheck.<kind>`; a built-in row wins.
    """

    def __init__(self, kind: str, rows: Mapping[str, str]) -> None:
        self.kind = kind
        self._rows = dict(rows)

    def names(self) -> list[str]:
        """Every name, the built-in ones first, in the order of the table."""
        return list(self._rows) + sorted(set(self._plugins()) - set(self._rows))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self._rows or name in self._plugins()

    def resolve(self, name: str) -> Any:
        """The object behind `name`; `ConfigError` with the nearest name if there is none."""
        target = self._rows.get(name) or self._plugins().get(name)
        if target is None:
            raise ConfigError(f'There is no {self.kind} "{name}".', did_you_mean(str(name), self.names()))
        module, _, attribute = target.partition(":")
        return getattr(import_module(module), attribute)

    def _plugins(self) -> dict[str, str]:
        group = f"deepcheck.{self.kind.replace(' ', '_')}"
        return {point.name: point.value for point in entry_points(group=group)}
