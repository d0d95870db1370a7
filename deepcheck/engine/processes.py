"""Training by several processes at once, as `torchrun` starts them: who am I, and what do the others know?

Without torchrun there is one process, and everything here costs nothing.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from deepcheck.errors import ConfigError

Item = TypeVar("Item")


def is_main() -> bool:
    """Whether this process is the one that writes files and speaks."""
    return int(os.environ.get("RANK", "0")) == 0


@dataclass(frozen=True)
class Processes:
    """`rank` of `count`; each works on `device`."""

    rank: int
    count: int
    device: torch.device

    def share(self, items: int) -> slice:
        """The part of a list of `items` that is this process's own, when all parts are as equal as can be."""
        return slice(self.rank * items // self.count, (self.rank + 1) * items // self.count)

    def wrap(self, module: nn.Module) -> nn.Module:
        """A module whose backward pass leaves the mean of the gradients of all processes. To be made anew after
        each surgery, as it holds on to the tensors that it was made with."""
        if self.count == 1:
            return module
        return nn.parallel.DistributedDataParallel(
            module, device_ids=[self.device] if self.device.type == "cuda" else None
        )

    def total(self, *numbers: float) -> list[float]:
        """The sum of each number over all processes."""
        if self.count == 1:
            return list(numbers)
        values = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.all_reduce(values)
        return values.tolist()

    def gather(self, item: Item) -> list[Item]:
        """What each process has brought, in the order of rank."""
        if self.count == 1:
            return [item]
        items: list[Any] = [None] * self.count
        dist.all_gather_object(items, item)
        return items

    @torch.no_grad()
    def agree(self, tensors: Iterator[Tensor]) -> None:
        """Overwrite `tensors` by those of the first process: running statistics differ by what each has seen."""
        if self.count > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def wait(self) -> None:
        """Go on when all are here."""
        if self.count > 1:
            dist.barrier()


def keep_apart(wrapped: nn.Module) -> AbstractContextManager[None]:
    """While this lasts, gradients of a module from `wrap` gather in each process for itself."""
    return wrapped.no_sync() if isinstance(wrapped, nn.parallel.DistributedDataParallel) else nullcontext()


ALONE = Processes(0, 1, torch.device("cpu"))


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """The processes of this training, each with a GPU of its own where `device` is one; leaves them at the end."""
    count, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if count == 1 or dist.is_initialized():
        yield Processes(rank, count, _own(device, count))
        return
    own = _own(device, count)
    if own.type == "cuda":
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if own.type == "cuda" else "gloo", rank=rank, world_size=count)
    try:
        yield Processes(rank, count, own)
    finally:
        dist.destroy_process_group()


def _own(device: torch.device, count: int) -> torch.device:
    if device.type != "cuda" or count == 1:
        return device
    index, here = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if index >= here:
        raise ConfigError(
            f"torchrun started more processes than there are GPUs ({here}).", f"Give it --nproc-per-node {here}."
        )
    return torch.device("cuda", index)
