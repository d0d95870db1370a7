"""Binary cross-entropy, and embeddings that lie together by label across sources."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from deepcheck.audio.augment.settings import settle_number


@dataclass(frozen=True)
class Contrastive:
    """bce + `weight` * the supervised contrastive loss on what the last layer reads, scaled to length 1.

    Khosla et al. 2020 (arXiv:2004.11362, equation 2): for each clip the mean, over those that it should lie beside, of
    -log of their share in the sum of exp(cosine / `temperature`). Here these are the clips of its label from other
    sources, and beside them the sum holds those of the other label, of which the ones from its own source count
    `own_source` times, since they differ from it by nothing but the label. Clips of its label and its source are left
    out: to gather them would teach the source. So are clips that no other source answers. There is no projection
    between: what the head reads is meant to be in order.
    """

    weight: float = 0.5
    temperature: float = 0.1
    own_source: float = 1.0
    needs_embedding: ClassVar[bool] = True

    def __post_init__(self) -> None:
        settle_number(self, "weight", 0.0, 1000.0)
        settle_number(self, "temperature", 0.01, 100.0)
        settle_number(self, "own_source", 1.0, 1000.0)

    def __call__(self, logits: Tensor, embeddings: Tensor | None, targets: Tensor, sources: Tensor) -> Tensor:
        """As `losses.Loss`."""
        assert embeddings is not None
        unit = F.normalize(embeddings, dim=1)
        genuine = targets > 0.5
        same_label = genuine.unsqueeze(1) == genuine  # (batch, batch), as all that follows
        same_source = sources.unsqueeze(1) == sources
        wanted = same_label & ~same_source
        likeness = unit @ unit.T / self.temperature
        emphasised = likeness + math.log(self.own_source) * (~same_label & same_source)
        answered = wanted.any(1)  # a row without entries has no logarithm
        total = emphasised.masked_fill(same_label & same_source, -math.inf)[answered].logsumexp(1, keepdim=True)
        wanted = wanted[answered]
        costs = torch.where(wanted, total - likeness[answered], 0.0).sum(1) / wanted.sum(1)
        gathering = costs.sum() / max(1, len(costs))
        return F.binary_cross_entropy_with_logits(logits, targets) + self.weight * gathering
