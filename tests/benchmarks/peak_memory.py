"""How much memory a piece of work needs at its height, beyond what was held before it.

Summed from what the allocator itself reports to torch.profiler: that counts what operators allocate inside themselves
and what is freed meanwhile, and is the same on every machine, which the resident size of a process is not. (Some builds
of PyTorch say on stderr when the profiler starts and stops.)
"""

from collections.abc import Callable
from itertools import accumulate

from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

_MARK = "work to be measured"


def peak_extra_bytes(model: nn.Module, work: Callable[[], object]) -> int:
    """Bytes of tensors on the CPU at the height of `work()`, less those before; `model` is what it works on."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data = tensor.data.clone()  # the end of a block is reported if its beginning was seen
        with record_function(_MARK):
            work()
    assert profiler.profiler is not None
    events = sorted(profiler.profiler.kineto_results.events(), key=lambda event: event.start_ns())
    begin = next(event.start_ns() for event in events if event.name() == _MARK)
    changes = (event.nbytes() for event in events if event.name() == "[memory]" and event.start_ns() >= begin)
    return max(accumulate(changes, initial=0))
