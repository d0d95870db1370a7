"""Net2WiderNet (Chen, Goodfellow and Shlens 2016, arXiv:1511.05641): a new unit is a copy of an old one."""

import torch
from torch import nn

from deepcheck.plasticity.inits import Context
from deepcheck.plasticity.units import UnitGroup, tensor_at

NOISE = 1e-3  # of the deviation of a tensor: twins that are exactly alike would learn alike for ever


@torch.no_grad()
def fill(model: nn.Module, group: UnitGroup, first_new: int, context: Context, noise: float = 0.0) -> None:
    """Copies old units drawn at random; whoever read the old one reads it and its copies in equal shares.

    Exact. With `noise` (a share of each tensor's deviation) the copies differ a little, and so does the output;
    dropout or the randomness of the reading weights' updates break the tie as well.
    """
    added = group.width - first_new
    origin = torch.randint(first_new, (added,), generator=context.generator)
    copies = 1 + torch.bincount(origin, minlength=first_new)
    share = 1 / torch.cat([copies, copies[origin]]).double()
    source = torch.cat([torch.arange(first_new), origin])
    # All incoming axes first: in a recurrent layer the reading axis crosses the same tensor, and must see the copies.
    for span in sorted(group.spans, key=lambda span: span.reads):
        tensor = tensor_at(model, span.tensor)
        view = span.split(tensor)
        wider = view.index_select(span.dim + 1, source.to(view.device))
        if span.reads:
            shape = [1] * view.dim()
            shape[span.dim + 1] = -1
            wider = wider * share.to(view.device, view.dtype).view(shape)
        elif noise:
            wobble = torch.randn(wider.shape, generator=context.generator, dtype=wider.dtype).to(wider.device)
            wobble.narrow(span.dim + 1, 0, first_new).zero_()
            wider = wider + noise * wider.std() * wobble
        view.copy_(wider)
