"""Net2WiderNet (Chen, Goodfellow and Shlens 2016, arXiv:1511.05641): a new unit is a copy of an old one."""

import torch
from torch import nn

from deepcheck.plasticity.inits import Context
from deepcheck.plasticity.units import UnitGroup, tensor_at


@torch.no_grad()
def fill(model: nn.Module, group: UnitGroup, first_new: int, context: Context) -> None:
    """Copies old units drawn at random; who read the old one reads it and its copies, in random shares that sum to 1.

    Exact. The paper takes equal shares and noise on the copies, which is not; with equal shares and no noise twins
    would have equal gradients and learn alike for ever.
    """
    added = group.width - first_new
    origin = torch.randint(first_new, (added,), generator=context.generator)
    source = torch.cat([torch.arange(first_new), origin])
    weight = 0.5 + torch.rand(group.width, generator=context.generator, dtype=torch.float64)
    total = torch.zeros(first_new, dtype=torch.float64).index_add_(0, source, weight)
    share = weight / total[source]
    # All incoming axes first: in a recurrent layer the reading axis crosses the same tensor, and must see the copies.
    for span in sorted(group.spans, key=lambda span: span.reads):
        tensor = tensor_at(model, span.tensor)
        view = span.split(tensor)
        wider = view.index_select(span.dim + 1, source.to(view.device))
        if span.reads:
            shape = [1] * view.dim()
            shape[span.dim + 1] = -1
            wider = wider * share.to(view.device, view.dtype).view(shape)
        view.copy_(wider)
