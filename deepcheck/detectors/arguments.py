"""Whether the arguments of a detector are of the types that its constructor says, which a stranger may have written."""

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deepcheck.errors import ConfigError


def require_types(name: str, constructor: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """`ConfigError` for the first argument that is of another type than the annotation of `constructor` has it.

    An argument that has no annotation, or that is not known, is left to the call.
    """
    # Of a class its own, not that of what it is derived from: a table may name a function as well.
    made_by: Any = constructor.__init__ if isinstance(constructor, type) else constructor  # type: ignore[misc]
    hints = typing.get_type_hints(made_by)
    for argument, value in arguments.items():
        if argument in hints and not _fits(hints[argument], value):
            wanted = hints[argument]
            kind = wanted.__name__ if isinstance(wanted, type) else str(wanted).replace("collections.abc.", "")
            raise ConfigError(f'"{argument}" of the detector "{name}" should be of type {kind}, not {value!r:.100}.')


def _fits(hint: Any, value: Any) -> bool:
    origin = typing.get_origin(hint) or hint
    if origin in (types.UnionType, typing.Union):
        return any(_fits(option, value) for option in typing.get_args(hint))
    if origin is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if origin is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is Sequence:
        kinds = typing.get_args(hint)
        return isinstance(value, list | tuple) and all(_fits(kind, item) for kind in kinds for item in value)
    if origin is Mapping:
        return isinstance(value, Mapping)
    return not isinstance(origin, type) or isinstance(value, origin)
