"""Binary cross-entropy: every clip by itself, all alike."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class CrossEntropy:
    """The mean over the clips of -log of the probability that the logit gives to the label."""

    needs_embedding: ClassVar[bool] = False

    def __call__(self, logits: Tensor, embeddings: Tensor | None, targets: Tensor, sources: Tensor) -> Tensor:
        """As `losses.Loss`."""
        return F.binary_cross_entropy_with_logits(logits, targets)
