"""How much a detector may take up while it is built from a description that a stranger may have written."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from deepcheck.errors import ModelError

NUMBERS = 1 << 26
"""Numbers that any description may ask for: 256 MB, of which what nobody writes to takes no memory."""
TENSORS = 1 << 12
_TIMES = 16  # as many as the file holds: a model may have been pruned to a sixteenth of its spec
_BY_SIZE = frozenset({"empty", "zeros", "ones", "rand", "randn", "new_empty", "new_zeros", "new_ones"})
_BY_FIRST = frozenset({"full", "new_full", "eye"})
_BY_COUNT = frozenset({"arange", "linspace", "logspace", "range", "hann_window", "hamming_window"})


class Allowance(TorchFunctionMode):
    """A `with` block in which tensors are made: `ModelError` before one of more than `numbers` numbers is allocated,
    and once all that were made there are more than that, or more than `tensors`.

    The sizes of what is made from a shape are known before anything is allocated; of anything else, made from tensors
    that were allowed, afterwards.
    """

    def __init__(self, numbers: int = NUMBERS, tensors: int = TENSORS) -> None:
        super().__init__()
        self.numbers, self.tensors = numbers, tensors

    @classmethod
    def beside(cls, tensors: Mapping[str, Tensor]) -> "Allowance":
        """For the model whose tensors these are."""
        numbers = sum(tensor.numel() for tensor in tensors.values())
        return cls(max(NUMBERS, _TIMES * numbers), max(TENSORS, _TIMES * len(tensors)))

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        made = _wanted(getattr(func, "__name__", ""), args, kwargs)
        if made is not None:
            self.numbers -= made
            self.tensors -= 1
        if self.numbers < 0 or self.tensors < 0:
            raise ModelError("Its description asks for a network far larger than its weights.", "Do not use it.")
        result = func(*args, **kwargs)
        if made is None and isinstance(result, Tensor) and result.numel() > self.numbers:
            raise ModelError("Its description asks for a tensor far larger than its weights.", "Do not use it.")
        return result


def _wanted(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
    """How many numbers the call of a function that makes a tensor from a shape asks for; None if it is no such."""
    given = [value for value in args if not isinstance(value, Tensor)]
    if name in _BY_SIZE:
        return math.prod(_whole(kwargs.get("size", given)))
    if name in _BY_FIRST:
        shape = kwargs.get("size", given[0] if given else 0)
        return math.prod(_whole(given if name == "eye" else shape)) ** (2 if name == "eye" and len(given) == 1 else 1)
    if name in _BY_COUNT:
        named = [value for key, value in kwargs.items() if key in ("steps", "end", "window_length")]
        return max((abs(value) for value in _whole([*given, *named])), default=0)
    return None


def _whole(value: Any) -> list[int]:
    """The whole numbers in nested lists and tuples, as they come; booleans are none."""
    if isinstance(value, list | tuple):
        return [number for item in value for number in _whole(item)]
    return [value] if isinstance(value, int) and not isinstance(value, bool) else []
