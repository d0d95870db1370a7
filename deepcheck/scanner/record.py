"""Results as plain data that JSON can carry, and back, without loss: for the journal and for reports."""

import math
import sys
import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from deepcheck.scanner.address import located
from deepcheck.scanner.result import Basis, FileResult

Record = dict[str, Any]
T = TypeVar("T")

_NO_NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def exact_number(value: float) -> float | str:
    """The number itself, or `nan`, `inf` or `-inf` as text, since JSON has no such numbers."""
    return value if math.isfinite(value) else repr(value)


def to_record(value: FileResult | Basis, number: Callable[[float], Any] = exact_number) -> Record:
    """Dictionaries, lists, strings, numbers, booleans and None, nothing else; the keys are those of the classes.

    Floating-point numbers go through `number`; with the default `from_record` gives the same result again, and so
    it does after `json.dumps` and `json.loads`. A path is its string, in which bytes that are no text stand as lone
    surrogates (as `os.fsdecode` has it): JSON in ASCII carries them, UTF-8 does not.
    """
    record: Record = _plain(value, number)
    return record


def from_record(record: Any) -> FileResult:
    """What `to_record` was given; `ValueError` that names the place for anything that it would not have made."""
    return _read(FileResult, record, "result")


def basis_from_record(record: Any) -> Basis:
    """As `from_record`, for what the verdicts of a scan rest on."""
    return _read(Basis, record, "basis")


def _plain(value: Any, number: Callable[[float], Any]) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name), number) for field in fields(value)}
    if isinstance(value, Enum):  # before str, which many of them are
        return value.value
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return number(float(value))
    if isinstance(value, tuple):
        return [_plain(item, number) for item in value]
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no part of a record")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(kind: type[T], value: Any, place: str) -> T:
    """`value` as the annotation `kind` wants it."""
    if is_dataclass(kind):
        return kind(**_fields(kind, value, place))
    result: T = _READERS.get(get_origin(kind) or kind, _choice)(kind, value, place)
    return result


def _fields(kind: Any, value: Any, place: str) -> Record:
    hints = _hints(kind)
    _require(isinstance(value, dict), place, "an object", value)
    if value.keys() != hints.keys():
        odd = ", ".join(sorted(map(str, value.keys() ^ hints.keys())))
        raise ValueError(f"{place}: {odd[:60]} is missing or unknown")
    return {name: _read(hint, value[name], f"{place}.{name}") for name, hint in hints.items()}


def _text(_: Any, value: Any, place: str) -> str:
    _require(isinstance(value, str), place, "a text", value)
    return str(value)


def _path(_: Any, value: Any, place: str) -> Path:
    return located(_text(str, value, place))


def _whole_number(_: Any, value: Any, place: str) -> int:
    _require(isinstance(value, int) and not isinstance(value, bool), place, "a whole number", value)
    return int(value)


def _truth(_: Any, value: Any, place: str) -> bool:
    _require(isinstance(value, bool), place, "true or false", value)
    return bool(value)


def _number(_: Any, value: Any, place: str) -> float:
    if isinstance(value, str) and value in _NO_NUMBERS:
        return _NO_NUMBERS[value]
    valid = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    _require(valid, place, "a number", value)
    return float(value)


def _nothing(_: Any, value: Any, place: str) -> None:
    _require(value is None, place, "null", value)


def _optional(kind: Any, value: Any, place: str) -> Any:
    [inner] = [part for part in get_args(kind) if part is not type(None)]
    return None if value is None else _read(inner, value, place)


def _tuple(kind: Any, value: Any, place: str) -> tuple[Any, ...]:
    parts = get_args(kind)
    _require(isinstance(value, list), place, "a list", value)
    if len(parts) == 2 and parts[1] is Ellipsis:
        parts = (parts[0],) * len(value)
    _require(len(parts) == len(value), place, f"a list of {len(parts)}", value)
    return tuple(_read(part, item, f"{place}[{i}]") for i, (part, item) in enumerate(zip(parts, value, strict=True)))


def _choice(kind: Any, value: Any, place: str) -> Any:
    if not (isinstance(kind, type) and issubclass(kind, Enum)):
        raise TypeError(f"{place}: there is no way to read {kind}")
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{place} is {str(value)[:60]!r}, which is no {kind.__name__}") from None


# By what stands in the annotation of a field.
_READERS: dict[Any, Callable[[Any, Any, str], Any]] = {
    str: _text,
    Path: _path,
    int: _whole_number,
    bool: _truth,
    float: _number,
    type(None): _nothing,
    types.UnionType: _optional,
    Union: _optional,
    tuple: _tuple,
}


def _require(valid: bool, place: str, wanted: str, value: Any) -> None:
    if not valid:
        raise ValueError(f"{place} is {str(value)[:60]!r}, not {wanted}")
