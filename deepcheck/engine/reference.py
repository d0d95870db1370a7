"""What a detector was trained on, as it sees it: how far does a recording lie from that?

The Mahalanobis distance of the embedding (Lee et al., "A simple unified framework for detecting out-of-distribution
samples", 2018, arXiv:1807.03888, with one mean for both labels) says where scores are guesses: a detector has a
logit for everything.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepcheck.errors import ModelError

Floats = NDArray[np.float64]

AXES = 128
"""Directions of the embedding that have a variance of their own; all others share one."""
FARTHEST = 0.01  # of the development recordings: where they begin, the distance is 1
_MOST_VALUES = 1 << 14
_LARGE = 3000  # values, from which on it is quicker to look for the largest variances alone
_ROUNDS = 8
UNFAMILIAR = "unfamiliar"
"""The band of recordings that lie far from what the model was trained on."""
REFERENCE = "reference."
"""What the names of its tensors among the evidence begin with."""
_NAMES = tuple(REFERENCE + part for part in ("mean", "axes", "variances", "scale"))


@dataclass(frozen=True)
class Reference:
    """Statistics of embeddings: `mean` (values,), orthonormal `axes` (k, values), and `variances` (k + 1,), those along
    the axes and last that of everything beside them. `scale` divides the distance."""

    mean: Floats
    axes: Floats
    variances: Floats
    scale: float = 1.0

    def distances(self, embeddings: Floats) -> Floats:
        """(batch, values) -> (batch,); `ModelError` if these are no embeddings of the detector it was made with."""
        if embeddings.shape[1:] != self.mean.shape:
            raise ModelError("The model's statistics of its training data are those of another network.")
        with np.errstate(over="ignore", invalid="ignore"):  # weights of a stranger may give values that are no numbers
            centred = embeddings - self.mean
            # By PyTorch, which in a scan takes the thread that asks. The threads of NumPy's product spin on when it is
            # done: with one product a window, a third of the cores went there.
            along = (torch.from_numpy(centred) @ torch.from_numpy(self.axes).T).numpy()
            beside = np.maximum(np.square(centred).sum(1) - np.square(along).sum(1), 0.0)
            squared = (np.square(along) / self.variances[:-1]).sum(1) + beside / self.variances[-1]
            distances: Floats = np.sqrt(squared) / self.scale
        return distances

    def scaled(self, distances: Floats) -> "Reference":
        """The same so that of recordings with these `distances` the share `FARTHEST` lies beyond 1."""
        beyond = float(np.quantile(distances, 1 - FARTHEST))
        return replace(self, scale=self.scale * beyond) if beyond > 0 and math.isfinite(beyond) else self

    @property
    def deviation(self) -> float:
        """Of a value of the embedding: the root of the mean of their variances."""
        kept, values = self.axes.shape
        return math.sqrt((self.variances[:-1].sum() + (values - kept) * self.variances[-1]) / values)

    def as_evidence(self) -> dict[str, Tensor]:
        """For `Checkpoint.evidence`."""
        parts = (self.mean, self.axes, self.variances, np.array([self.scale]))
        return {
            name: torch.from_numpy(np.ascontiguousarray(part, np.float32))
            for name, part in zip(_NAMES, parts, strict=True)
        }


def fit_reference(embeddings: Floats, axes: int = AXES) -> Reference | None:
    """Mean and covariance of (windows, values); None where they say nothing: below two windows, or all alike; and for
    more values than `reference_of` takes.

    The covariance is drawn to a multiple of the identity, by oracle approximating shrinkage (Chen, Wiesel, Eldar and
    Hero, "Shrinkage algorithms for MMSE covariance estimation", 2010, arXiv:0907.4698, equation 23), so that more
    values than windows do no harm. Its smallest variances, those beyond the `axes` largest, are replaced by their
    mean (Tipping and Bishop, "Probabilistic principal component analysis", 1999).
    """
    if embeddings.ndim != 2 or len(embeddings) < 2 or not np.isfinite(embeddings).all():
        return None
    windows, values = embeddings.shape
    if values > _MOST_VALUES:
        return None
    mean = embeddings.mean(0)
    centred = embeddings - mean
    # The products of windows have the same eigenvalues other than 0 as those of values, and may be far fewer.
    fewer = windows < values
    products = (centred @ centred.T if fewer else centred.T @ centred) / windows
    level = float(np.trace(products)) / values
    if not level > 0:
        return None
    shrinkage = _oas(products, windows, values)
    found, vectors = _largest(products, min(axes, len(products)))
    if fewer:
        there = found > 1e-9 * found[0]
        found, vectors = found[there], np.linalg.qr(centred.T @ vectors[:, there])[0]
    kept = len(found)
    variances = (1 - shrinkage) * np.maximum(found, 0.0) + shrinkage * level
    # The drawing together leaves the sum of all variances what it was.
    beside = (level * values - float(variances.sum())) / (values - kept) if kept < values else level
    variances = np.maximum(np.append(variances, beside), 1e-9 * level)
    return Reference(mean, np.ascontiguousarray(vectors.T), variances)


def _largest(products: Floats, count: int) -> tuple[Floats, Floats]:
    """The largest eigenvalues, falling, and their vectors as columns.

    Of a large matrix by subspace iteration from a random start, the same each time (Halko, Martinsson and Tropp,
    "Finding structure with randomness", 2011, arXiv:0909.4061, algorithm 4.4): all of them would take many minutes.
    """
    basis = np.eye(len(products))
    if len(products) > max(_LARGE, 2 * count):
        basis = np.random.default_rng(0).standard_normal((len(products), 2 * count))
        for _ in range(_ROUNDS):
            basis = np.linalg.qr(products @ basis)[0]
        products = basis.T @ products @ basis
    variances, vectors = np.linalg.eigh(products)
    return variances[::-1][:count], basis @ vectors[:, ::-1][:, :count]


def _oas(products: Floats, windows: int, values: int) -> float:
    """Of either matrix of products: their traces, and those of their squares, are the same."""
    square, trace = float(np.square(products).sum()), float(np.trace(products))
    above = (1 - 2 / values) * square + trace**2
    below = (windows + 1 - 2 / values) * (square - trace**2 / values)
    return 1.0 if below <= 0 else min(1.0, above / below)


def is_reference(evidence: Mapping[str, Tensor]) -> bool:
    """Whether there is a reference in the evidence of a model, sound or not."""
    return any(name.startswith(REFERENCE) for name in evidence)


def reference_of(evidence: Mapping[str, Tensor]) -> Reference | None:
    """The reference in the evidence of a model; None if there is none, `ModelError` if it makes no sense."""
    if not is_reference(evidence):
        return None
    parts = [evidence.get(name) for name in _NAMES]
    numbers = [part.double().numpy() for part in parts if part is not None and part.is_floating_point()]
    shapes = [part.shape for part in numbers]
    if len(shapes) == len(_NAMES) and len(shapes[0]) == 1 and len(shapes[1]) == 2:
        mean, axes, variances, scale = numbers
        k, values = axes.shape
        fits = len(mean) == values and variances.shape == (k + 1,) and scale.shape == (1,)
        finite = all(np.isfinite(part).all() for part in numbers)
        if fits and finite and 0 < k <= values <= _MOST_VALUES and (variances > 0).all() and scale[0] > 0:
            return Reference(mean, axes, variances, float(scale[0]))
    raise ModelError("The model's statistics of its training data make no sense.")
