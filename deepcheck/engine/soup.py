"""One model from several: the mean of their weights."""

from collections.abc import Sequence

import torch
from torch import Tensor

from deepcheck.checkpoint import Checkpoint
from deepcheck.errors import ModelError


def mean_of(models: Sequence[Checkpoint]) -> dict[str, Tensor]:
    """The mean of the tensors of all models, at least one, by name; whole numbers are those of the first.

    The uniform soup of Wortsman et al., "Model soups", 2022, arXiv:2203.05482. It takes models that were fine-tuned
    from the same pretrained weights; those that learnt from nothing lie apart, and their mean is worth nothing.
    `ModelError` where the models are not of one shape.
    """
    first = models[0].tensors
    shapes = [{name: tensor.shape for name, tensor in model.tensors.items()} for model in models]
    if any(own != shapes[0] for own in shapes):
        raise ModelError("Models of different shapes have no mean.", "Train them from the same start.")
    return {
        name: _mean([model.tensors[name] for model in models]) if tensor.is_floating_point() else tensor.clone()
        for name, tensor in first.items()
    }


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    total = torch.zeros_like(tensors[0], dtype=torch.float64)
    for tensor in tensors:
        total += tensor
    return (total / len(tensors)).to(tensors[0].dtype)
