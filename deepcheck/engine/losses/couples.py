"""Binary cross-entropy, and a ranking within each source: there the place cannot be the answer, for it cancels."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from deepcheck.audio.augment.settings import settle_number


@dataclass(frozen=True)
class Couples:
    """bce + `weight` * the mean of softplus(`margin` - (s_bonafide - s_spoof)) over all couples of one source.

    The logistic loss on pairs of RankNet (Burges et al. 2005, "Learning to Rank using Gradient Descent"),
    where a couple is a genuine clip and a spoof in the batch that come from the same source; without one it is bce.
    `sampling.paired` says how many there are at least. A constant on all scores of a source changes nothing of it.
    """

    weight: float = 0.5
    margin: float = 0.0
    needs_embedding: ClassVar[bool] = False

    def __post_init__(self) -> None:
        settle_number(self, "weight", 0.0, 1000.0)
        settle_number(self, "margin", 0.0, 1000.0)

    def __call__(self, logits: Tensor, embeddings: Tensor | None, targets: Tensor, sources: Tensor) -> Tensor:
        """As `losses.Loss`."""
        genuine = targets > 0.5
        couple = genuine.unsqueeze(1) & ~genuine & (sources.unsqueeze(1) == sources)  # (batch, batch)
        penalties = F.softplus(self.margin - (logits.unsqueeze(1) - logits))
        ranking = (penalties * couple).sum() / couple.sum().clamp(min=1)
        return F.binary_cross_entropy_with_logits(logits, targets) + self.weight * ranking
