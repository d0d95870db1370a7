"""torch.compile, where it works."""

import logging
from collections.abc import Callable
from typing import Any

import torch

_log = logging.getLogger(__name__)

BACKEND = "inductor"


class Compiled:
    """A function by `torch.compile`, whose values it returns; from the first failure of the compiler on, the function.

    The modules that it calls stay what they are: their parameters and the names of these do not change.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._plain = function
        self._fast: Callable[..., Any] | None = torch.compile(function, backend=BACKEND)

    def __call__(self, *arguments: Any) -> Any:
        if self._fast is None:
            return self._plain(*arguments)
        from torch._dynamo.exc import TorchDynamoException

        try:
            return self._fast(*arguments)
        except TorchDynamoException as error:  # before anything was computed
            cause = getattr(error, "inner_exception", error)
            why = next(iter(str(cause).strip().splitlines()), type(cause).__name__)[:200].rstrip(".")
            _log.warning("torch.compile does not work here (%s): the training goes on without it.", why)
            self._fast = None
            return self._plain(*arguments)
