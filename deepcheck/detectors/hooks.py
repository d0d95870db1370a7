"""Hooks for the length of a forward pass, in one thread: a scan computes with one detector in several at a time."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

Hook = Callable[..., Any]


@contextmanager
def hooked(hooks: Iterable[tuple[nn.Module, Hook]], before: bool = False) -> Iterator[None]:
    """Within, each module calls its hook where this thread has it run: with (module, inputs, output) behind it, or with
    (module, inputs) `before` it. What the hook returns takes the place of the output, or of the inputs."""
    mine = threading.get_ident()

    def of_this_thread(hook: Hook) -> Hook:
        return lambda *seen: hook(*seen) if threading.get_ident() == mine else None

    handles = []
    try:
        for module, hook in hooks:
            register = module.register_forward_pre_hook if before else module.register_forward_hook
            handles.append(register(of_this_thread(hook)))
        yield
    finally:
        for handle in handles:
            handle.remove()
