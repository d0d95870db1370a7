"""YAML from anywhere: plain data of a bounded size, or a sentence that says what is wrong with it."""

from collections.abc import Hashable
from itertools import accumulate
from typing import Any

import yaml

from deepcheck.errors import ConfigError

_MOST_CHARACTERS = 1 << 16
_MOST_VALUES = 20_000
_DEEPEST = 40
_MOST_OPEN = 100  # brackets: for each character the parser looks through all that are open


class _Loader(yaml.SafeLoader):
    """As `yaml.SafeLoader`, but what is set twice is an error: of two values the first would be lost unseen."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """The mapping, with none of its keys given twice but by a merge (`<<`)."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise yaml.constructor.ConstructorError(None, None, f'"{twice}" is set twice', node.start_mark)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str, what: str) -> Any:
    """Plain dicts, lists and scalars; None for nothing at all.

    `ConfigError` that names `what` for what is no YAML, and for more than settings can need: a text of more than 65,536
    characters, nesting of more than 40 levels, and aliases that stand for more than 20,000 values when they are
    written out, as of the "billion laughs", or for themselves.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ConfigError(f"{what} is too long for settings: {len(text):,} characters.")
    if _open(text) > _MOST_OPEN:
        raise ConfigError(f"{what} is nested too deeply for settings.")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        # Before anything is made of it: merges (`<<`) multiply as well as aliases.
        if node is not None and _size(node, {}, 0) > _MOST_VALUES:
            raise ConfigError(f"{what} stands for more than {_MOST_VALUES:,} values.", "Aliases in it multiply.")
        return None if node is None else loader.construct_document(node)
    except RecursionError:
        raise ConfigError(f"{what} is nested too deeply for settings.") from None
    except (yaml.YAMLError, ValueError, OverflowError, LookupError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(f"{what} is not valid YAML: {reason}") from None


def _open(text: str) -> int:
    """The most brackets that are open at a time, in texts and comments as well."""
    steps = ((character in "[{") - (character in "]}") for character in text)
    return max(accumulate(steps, initial=0))


def _size(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """How many values the node stands for with each alias written out; each node is looked at once."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if depth > _DEEPEST:  # what holds itself gets here as well
        raise RecursionError
    if id(node) not in known:
        mapping = isinstance(node, yaml.MappingNode)
        inside = [part for pair in node.value for part in pair] if mapping else node.value
        known[id(node)] = 1 + sum(_size(part, known, depth + 1) for part in inside)
    return known[id(node)]
