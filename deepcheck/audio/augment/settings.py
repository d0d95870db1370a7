"""Checks of an augmentation's settings, as they come from Python or YAML.

Each function looks at one field of a frozen dataclass, raises `ConfigError` unless it is acceptable, and
leaves it in one form, so that the rest of the class need not care how it was written.
"""

from collections.abc import Collection, Sequence

from deepcheck.errors import ConfigError
from deepcheck.registry import did_you_mean


def settle_range(owner: object, field: str, lowest: float, highest: float) -> None:
    """Makes `field` a pair (low, high) of floats within [lowest, highest]; one number means just that one."""
    value = getattr(owner, field)
    pair = [value, value] if _is_number(value) else value
    limits = f"two numbers from {lowest:g} to {highest:g}"
    if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2 or not all(map(_is_number, pair)):
        raise ConfigError(f"{field} is {value!r}, which is no range.", f"Give {limits}, the lower one first.")
    low, high = float(pair[0]), float(pair[1])
    if not lowest <= low <= high <= highest:
        raise ConfigError(f"{field} is {value!r}.", f"It takes {limits}, the lower one first.")
    object.__setattr__(owner, field, (low, high))


def settle_number(owner: object, field: str, lowest: float, highest: float) -> None:
    """Makes `field` a float within [lowest, highest]."""
    value = getattr(owner, field)
    if not _is_number(value) or not lowest <= value <= highest:
        raise ConfigError(f"{field} is {value!r}.", f"It takes a number from {lowest:g} to {highest:g}.")
    object.__setattr__(owner, field, float(value))


def settle_count(owner: object, field: str, lowest: int, highest: int) -> None:
    """Makes sure that `field` is a whole number within [lowest, highest]."""
    value = getattr(owner, field)
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise ConfigError(f"{field} is {value!r}.", f"It takes a whole number from {lowest} to {highest}.")


def settle_choices(owner: object, field: str, known: Collection[str], *, empty: bool = False) -> None:
    """Makes `field` a tuple of names out of `known`; one name alone may stand without a list."""
    value = getattr(owner, field)
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, Sequence) or (not names and not empty):
        raise ConfigError(f"{field} is {value!r}.", f"It takes a list of: {', '.join(known)}.")
    for name in names:
        if name not in list(known):  # a list: the name may be anything, even what has no hash
            raise ConfigError(f"{field} has no {name!r}.", did_you_mean(str(name), list(known)))
    object.__setattr__(owner, field, tuple(names))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
