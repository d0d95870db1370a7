"""What a training step minimises, by name; each loss in a file of its own.

A loss is a frozen dataclass whose fields are its settings; `objective.build_loss` makes one from a recipe. Of several
parts in which a batch passes through the network (`optimizer.accumulate`, torchrun) each is a batch of its own to it.
"""

from typing import ClassVar, Protocol

from torch import Tensor

from deepcheck.registry import Registry

LOSSES = Registry(
    "loss",
    {
        "bce": "deepcheck.engine.losses.bce:CrossEntropy",
        "couples": "deepcheck.engine.losses.couples:Couples",
        "worst-source": "deepcheck.engine.losses.worst_source:WorstSource",
        "even-sources": "deepcheck.engine.losses.even_sources:EvenSources",
        "contrastive": "deepcheck.engine.losses.contrastive:Contrastive",
    },
)


class Loss(Protocol):
    """What the classes behind `LOSSES` have in common; everything is float32 but for `sources`."""

    needs_embedding: ClassVar[bool]
    """Whether a detector without an embedding cannot be trained with it."""

    def __call__(self, logits: Tensor, embeddings: Tensor | None, targets: Tensor, sources: Tensor) -> Tensor:
        """One number for (batch,) logits of which higher = more bona fide.

        `embeddings` is (batch, values), what the last layer reads, or None of a detector without; `targets` (batch,),
        1 = bona fide and 0 = spoof, or as near to these as label smoothing leaves them; `sources` (batch,) int64, equal
        for clips of one source.
        """
        ...
