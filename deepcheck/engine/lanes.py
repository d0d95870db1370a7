"""Batches side by side on the cores of a CPU, each computed by one thread.

One batch after another, each split over all cores, would leave most of them waiting: between the layers, while the
surroundings of the network run, and whenever a core is busy with something else.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Self, TypeVar

import torch

Tag = TypeVar("Tag")
Result = TypeVar("Result")


def lanes_for(device: torch.device) -> int:
    """As many as PyTorch takes cores; a GPU has its own ways."""
    return torch.get_num_threads() if device.type == "cpu" else 1


class Lanes(Generic[Tag, Result]):
    """`count` lanes for use in a `with` block; a single one is the thread of the caller.

    While there are several, PyTorch takes one core an operation in the whole process, and as many as before afterwards.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._under_way: deque[tuple[Tag, Future[Result]]] = deque()
        self._before = torch.get_num_threads()
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        if self._count > 1:
            torch.set_num_threads(1)
            # Of each thread anew: what OpenMP and MKL take is a matter of the thread that asks.
            self._pool = ThreadPoolExecutor(self._count, "deepcheck-lane", torch.set_num_threads, (1,))
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            torch.set_num_threads(self._before)

    def give(self, tag: Tag, work: Callable[[], Result]) -> Iterator[tuple[Tag, Result]]:
        """Begins `work`; what is finished, in the order of the giving, waited for where one more than lanes is under
        way. To be read to its end. An error of a work is raised in its place."""
        if self._pool is None:
            yield tag, work()
            return
        self._under_way.append((tag, self._pool.submit(work)))
        while self._under_way and (len(self._under_way) > self._count + 1 or self._under_way[0][1].done()):
            yield self._taken()

    def rest(self) -> Iterator[tuple[Tag, Result]]:
        """What is still under way, waited for."""
        while self._under_way:
            yield self._taken()

    def _taken(self) -> tuple[Tag, Result]:
        tag, future = self._under_way.popleft()
        return tag, future.result()
