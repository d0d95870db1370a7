"""What a training step minimises, and its gradients: the network, the loss, the parts in which a batch passes."""

import inspect
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from deepcheck.audio.augment.chain import Chain
from deepcheck.config import TrainConfig
from deepcheck.data.loader import Batch
from deepcheck.detectors.base import Detector
from deepcheck.engine.compiled import Compiled
from deepcheck.engine.distil import Teacher
from deepcheck.engine.losses import LOSSES, Loss
from deepcheck.engine.processes import Processes, keep_apart
from deepcheck.errors import ConfigError
from deepcheck.registry import did_you_mean
from deepcheck.runtime import autocast


class Objective:
    """The loss of `config.loss`, mixed with what the teacher of `config.distil` says, if there is one.

    To be made of a detector that is where it will train, in the shape in which it will. In the place of waveforms
    comes what the first `done` parts of the detector give (none: waveforms).
    """

    def __init__(
        self,
        config: TrainConfig,
        detector: Detector,
        chain: Chain,
        done: int,
        dtype: torch.dtype,
        processes: Processes,
    ) -> None:
        self.config = config.optimizer
        self.loss = build_loss(config.loss)
        if self.loss.needs_embedding and not detector.has_embedding:
            raise ConfigError(
                f'The loss "{config.loss["name"]}" looks at embeddings, and the {detector.spec.name} has none.',
                "Take another loss, or another detector.",
            )
        self.device, self.dtype = processes.device, dtype
        self.teacher = (
            None if config.distil.teacher is None else Teacher(config.distil, self.device, dtype, detector, done)
        )
        self.network = processes.wrap(_Network(detector, chain, done, config.compile))

    def backward(self, batch: Batch, generator: torch.Generator) -> float:
        """Leaves the gradients of the mean loss of the batch, which passes in `accumulate` parts; returns that loss."""
        whole = [tensor.to(self.device) for tensor in (batch.waveforms, batch.labels, batch.sources)]
        clips = len(batch.labels)
        parts = max(1, min(self.config.accumulate, clips // 2))
        total = 0.0
        pieces = zip(*(tensor.tensor_split(parts) for tensor in whole), strict=True)
        for number, (sounds, labels, sources) in enumerate(pieces, start=1):
            # Only with the last part do gradients travel between processes: by then they are those of the whole batch.
            with keep_apart(self.network) if number < parts else nullcontext():
                loss = self._of(sounds, labels, sources, generator) * (len(labels) / clips)
                torch.autograd.backward(loss)
            total += float(loss.detach())
        return total

    def _of(self, sounds: Tensor, labels: Tensor, sources: Tensor, generator: torch.Generator) -> Tensor:
        smoothing = self.config.label_smoothing
        with autocast(self.device, self.dtype):
            logits, embeddings = self.network(sounds, generator)
        targets = labels * (1 - smoothing) + smoothing / 2
        logits = logits.float()  # whatever the network computed in: differences of scores are small beside the scores
        loss = self.loss(logits, None if embeddings is None else embeddings.float(), targets, sources)
        return loss if self.teacher is None else self.teacher.mixed_into(loss, logits, sounds)


class _Network(nn.Module):
    """What one training step computes, as one module, so that several processes can share the backward pass."""

    def __init__(self, detector: Detector, chain: Chain, done: int, compiled: bool) -> None:
        super().__init__()
        self.detector = detector
        self.chain = chain
        self.done = done
        # Not what makes and shakes features: compilers neither take complex numbers well nor what is random by hand.
        self._judged = Compiled(self._judge) if compiled else self._judge

    def forward(self, waveforms: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """((batch,) logit, (batch, values) embedding or None of a detector without)."""
        features = self.chain.features(waveforms if self.done else self.detector.features(waveforms), generator)
        logit, embedding = self._judged(features)
        return logit, embedding

    def _judge(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        if not self.detector.has_embedding:
            return self.detector.logit(features), None
        embedding = self.detector.resumed(features, self.done) if self.done else self.detector.embedded(features)
        return self.detector.logit_of(embedding), embedding


def build_loss(spec: Mapping[str, Any]) -> Loss:
    """The loss that a recipe names, e.g. `{"name": "couples", "weight": 0.5}`.

    `ConfigError` names the loss, or the setting of it, that cannot be had, and the nearest one that can.
    """
    settings = dict(spec)
    name = settings.pop("name", "bce")
    make = LOSSES.resolve(name)
    known = list(inspect.signature(make).parameters)
    for key in settings:
        if key not in known:
            raise ConfigError(f'The loss "{name}" has no setting "{key}".', did_you_mean(str(key), known))
    try:
        loss: Loss = make(**settings)
    except ConfigError as error:
        raise ConfigError(f'In the loss "{name}", {error.message}', error.hint) from None
    return loss
