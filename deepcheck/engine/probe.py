"""A linear probe: the head alone, on an encoder of which nothing learns, where it minimises a convex loss.

On frozen representations a logistic regression carries over to other corpora better than networks trained end to end
(Pascu et al. 2023, arXiv:2309.05384), and its minimum is found in seconds.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from deepcheck.config import TrainConfig
from deepcheck.data.loader import source_numbers
from deepcheck.data.utterance import Label, Utterance
from deepcheck.data.variants import Variants
from deepcheck.detectors.base import Detector
from deepcheck.engine.events import Skipped
from deepcheck.engine.lora import HEAD
from deepcheck.errors import AudioError, ConfigError, DataError

HEAD_NORM = "head_norm"
"""What detectors call a BatchNorm in front of it, if they have one."""
_FEWEST = 5  # recordings of one label, below which the place of a source is not known
_STEPS = 100  # of L-BFGS: many more than it takes
_LEAST_DEVIATION = 1e-4  # a value that is always the same says nothing


def require_still(detector: Detector, variants: Variants | None, config: TrainConfig) -> None:
    """`ConfigError` unless the recordings are kept as all that the head reads, and a probe can minimise the loss."""
    if config.loss["name"] != "bce" or config.distil.teacher is not None:
        raise ConfigError(
            "A probe minimises a cross-entropy of its own, without another loss and without a teacher.",
            "Leave out loss and distil, or take mode unfrozen with detector.learns=0.",
        )
    if variants is None:
        raise ConfigError("A probe reads what is kept of the recordings.", "Set data.variants, such as to 1.")
    if variants.carrier.parts == 0 or variants.carrier.step or not isinstance(getattr(detector, HEAD, None), nn.Linear):
        raise ConfigError(
            f"Of this {detector.spec.name} more than the head learns, so it is no probe.",
            "Take a detector with a still encoder, such as distilled with detector.learns=0.",
        )


def fit_head(
    detector: Detector, variants: Variants, utterances: Sequence[Utterance], config: TrainConfig
) -> tuple[float, int, list[Skipped]]:
    """Give the head of `detector`, in place, its best weights; (mean loss, clips, what could not be decoded).

    Minimised over weights w of values brought to mean 0 and deviation 1 is the cross-entropy, as many bona fide as
    spoof, sources in proportion to size ** `sampling.source_power`, plus

        l2 * (|w|^2 + evenness * the variance over sources of the mean logit of each label),

    with `l2` and `evenness` of `config.probe`: two places shall not differ in what is said of their genuine recordings.
    That is the within-class covariance normalisation of speaker verification (Hatch et al. 2006) as a penalty. Versions
    0 to `data.variants` of each recording count alike.
    """
    kept, skipped = [], []
    versions = range(variants.count + 1)
    for utterance in utterances:
        try:
            values = torch.stack([variants.get(utterance, version) for version in versions])
            kept.append((utterance, values.float()))
        except AudioError as error:
            skipped.append(Skipped(str(utterance.path), error.message))
    known = [utterance for utterance, _ in kept]
    weights = torch.from_numpy(_weights(known, config.sampling.source_power)).float()
    if not kept or not all((weights[_are(known, label)] > 0).any() for label in Label):
        raise DataError("Of one label no training recording could be decoded.", "Both are needed.")
    values = torch.stack([values for _, values in kept])  # (recordings, versions, values)
    mean, deviation = values.mean((0, 1)), values.std((0, 1), correction=0).clamp_min(_LEAST_DEVIATION)
    values = (values - mean) / deviation
    places = _places(values.mean(1), known)
    labels = _are(known, Label.BONAFIDE).float()
    smoothing = config.optimizer.label_smoothing
    targets = (labels * (1 - smoothing) + smoothing / 2)[:, None].expand(values.shape[:2])
    w, b = torch.zeros(values.shape[2], requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([w, b], max_iter=_STEPS, tolerance_change=1e-7, line_search_fn="strong_wolfe")

    def entropy() -> Tensor:
        losses = F.binary_cross_entropy_with_logits(values @ w + b, targets, reduction="none")
        return (weights @ losses).mean()

    def closure() -> Tensor:
        optimizer.zero_grad()
        probe = config.probe
        loss = entropy() + probe.l2 * (w.square().sum() + probe.evenness * (places @ w).square().sum())
        torch.autograd.backward(loss)
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        _install(detector, w, float(b), mean, deviation)
        return float(entropy()), len(kept), skipped


def _install(detector: Detector, w: Tensor, b: float, mean: Tensor, deviation: Tensor) -> None:
    """Into the head; what stands in front of it, or else the head itself, brings values to mean 0 and deviation 1."""
    head, norm = getattr(detector, HEAD), getattr(detector, HEAD_NORM, None)
    if norm is None:
        w, b = w / deviation, b - float(w @ (mean / deviation))
    else:
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(deviation.square() - norm.eps)
    head.weight.copy_(w[None])
    head.bias.fill_(b)


def _are(utterances: Sequence[Utterance], label: Label) -> Tensor:
    return torch.tensor([utterance.label is label for utterance in utterances])


def _weights(utterances: Sequence[Utterance], power: float) -> NDArray[np.float64]:
    """(recordings,), of each label one half; in it each source as much as its size ** `power`."""
    found = np.zeros(len(utterances))
    sources = np.array(source_numbers(utterances))
    for label in Label:
        own = np.flatnonzero([utterance.label is label for utterance in utterances])
        sizes = np.bincount(sources[own], minlength=1)
        found[own] = sizes[sources[own]] ** (power - 1.0)
        found[own] /= max(2 * found[own].sum(), 1e-12)
    return found


def _places(values: Tensor, utterances: Sequence[Utterance]) -> Tensor:
    """(sources and labels, values): how far their mean lies from the mean of all sources of the label, divided by the
    root of how many there are, so that the squares of its products with w add up to variances."""
    sources = torch.tensor(source_numbers(utterances))
    found = []
    for label in Label:
        own = _are(utterances, label)
        numbers, counts = sources[own].unique(return_counts=True)
        means = [values[own & (sources == number)].mean(0) for number in numbers[counts >= _FEWEST]]
        if means:
            stacked = torch.stack(means)
            found.append((stacked - stacked.mean(0)) / len(means) ** 0.5)
    return torch.cat(found) if found else values.new_zeros(1, values.shape[1])
