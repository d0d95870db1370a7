"""Random weights on both sides, as arXiv:2603.24343 does: not exact, the network jumps when it grows."""

import torch
from torch import nn

from deepcheck.plasticity.inits import Context
from deepcheck.plasticity.units import UnitGroup, tensor_at


@torch.no_grad()
def fill(model: nn.Module, group: UnitGroup, first_new: int, context: Context) -> None:
    """Gives the reading weights of the new units the deviation of the old ones."""
    for span in group.spans:
        if span.reads:
            view = span.split(tensor_at(model, span.tensor))
            old = view.narrow(span.dim + 1, 0, first_new)
            new = view.narrow(span.dim + 1, first_new, group.width - first_new)
            noise = torch.randn(new.shape, generator=context.generator, dtype=new.dtype)
            new.copy_(noise.to(new.device) * (old.std() if old.numel() > 1 else 0.0))
