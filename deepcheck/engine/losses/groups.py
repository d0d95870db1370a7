"""What losses share that look at groups of clips."""

import torch
import torch.nn.functional as F
from torch import Tensor


def mean_losses(logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:
    """(groups,) mean binary cross-entropy of each group that is in the batch, of (batch,) numbers that say which."""
    losses = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    # (groups, batch), not a scatter: on a GPU that would add in another order each time.
    member = groups.unique().unsqueeze(1) == groups
    return torch.where(member, losses, 0.0).sum(1) / member.sum(1)
