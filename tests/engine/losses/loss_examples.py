"""Small batches for losses, and what a loss adds to the plain cross-entropy."""

import math

import torch

from deepcheck.engine.losses.bce import CrossEntropy

LN3 = math.log(3.0)  # a logit whose cross-entropy is log(4/3) where it is right, and log(4) where it is not


def batch(logits, labels, sources):
    """(logits, targets, sources) as a loss takes them."""
    return torch.tensor(logits), torch.tensor([float(x) for x in labels]), torch.tensor(sources)


def added(loss, logits, targets, sources, embeddings=None):
    """What the loss is beyond the cross-entropy."""
    plain = CrossEntropy()(logits, embeddings, targets, sources)
    return float((loss(logits, embeddings, targets, sources) - plain).detach())
