"""Binary cross-entropy, and how unevenly it is spread over the sources."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from deepcheck.audio.augment.settings import settle_number
from deepcheck.engine.losses.groups import mean_losses


@dataclass(frozen=True)
class EvenSources:
    """bce + `weight` * the variance of the mean cross-entropies of the sources in the batch.

    V-REx (Krueger et al. 2021, arXiv:2003.00688) with sources for its environments: what lowers the loss of
    some sources at the cost of others is penalised, as a cue that holds in a few places does.
    """

    weight: float = 1.0
    needs_embedding: ClassVar[bool] = False

    def __post_init__(self) -> None:
        settle_number(self, "weight", 0.0, 1e6)

    def __call__(self, logits: Tensor, embeddings: Tensor | None, targets: Tensor, sources: Tensor) -> Tensor:
        """As `losses.Loss`."""
        spread = mean_losses(logits, targets, sources).var(correction=0)
        return F.binary_cross_entropy_with_logits(logits, targets) + self.weight * spread
