"""The loss of the sources that fare worst counts most."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from deepcheck.audio.augment.settings import settle_number
from deepcheck.engine.losses.groups import mean_losses


@dataclass(frozen=True)
class WorstSource:
    """log(mean(exp(`sharpness` * R))) / `sharpness` over the mean cross-entropy R of each source and label in a batch.

    The tilted empirical risk over groups of Li et al. 2021 (arXiv:2007.01162): from their mean, at a
    sharpness of 0, to that of the worst, at infinity; in the gradient the groups weigh as softmax(`sharpness` * R).
    Genuine and spoofed clips of a source are two groups, or one would hide behind the other.

    What group DRO (Sagawa et al. 2020, arXiv:1911.08731) is after, but without weights that are kept from step to step:
    a batch is enough, so nothing of it need be saved. In turn a group weighs by the few clips of it that were drawn.
    """

    sharpness: float = 1.0
    needs_embedding: ClassVar[bool] = False

    def __post_init__(self) -> None:
        settle_number(self, "sharpness", 0.01, 100.0)  # nearer to 0 float32 would lose the difference of two logarithms

    def __call__(self, logits: Tensor, embeddings: Tensor | None, targets: Tensor, sources: Tensor) -> Tensor:
        """As `losses.Loss`."""
        risks = mean_losses(logits, targets, 2 * sources + (targets > 0.5))
        return (torch.logsumexp(self.sharpness * risks, 0) - math.log(len(risks))) / self.sharpness
