"""Learning from a model as well as from labels (Hinton et al. 2015, arXiv:1503.02531)."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from deepcheck import store
from deepcheck.checkpoint import load_checkpoint
from deepcheck.config import DistilConfig, FoldsConfig
from deepcheck.detectors.base import Detector
from deepcheck.errors import ConfigError
from deepcheck.runtime import autocast, move

FOLD = "{fold}"
"""What in the name of a teacher stands for the number of the fold, from 1, that neither it nor its pupil has heard."""


class Teacher:
    """The saved model `config.teacher`, which stays as it is: in eval mode, on `device`, in autocast to `dtype`.

    It hears the stretch that the pupil hears, after the waveform augmentations and without those of features, however
    long its own windows are. Where it is calibrated its log-likelihood ratios count, else its logits, which a training
    on as many clips of each label means as such. In the place of waveforms comes what the first `done` parts of
    the pupil give (none: waveforms); `ConfigError` if its own are others.
    """

    def __init__(
        self, config: DistilConfig, device: torch.device, dtype: torch.dtype, pupil: Detector, done: int
    ) -> None:
        assert config.teacher is not None
        checkpoint = load_checkpoint(store.resolve(config.teacher).path)
        self.config = config
        self.device, self.dtype = device, dtype
        known = checkpoint.card.calibration
        self.scale, self.offset = (known.scale, known.offset) if known else (1.0, 0.0)
        self.detector = checkpoint.build()
        self.done = done
        if done and not _same_parts(self.detector, pupil, done):
            raise ConfigError(
                f'The teacher "{checkpoint.card.name}" cannot read what is kept of the recordings.',
                "Set data.variants=0, or take a teacher with the same pretrained layers in front.",
            )
        move(self.detector, device)

    def llr(self, sounds: Tensor) -> Tensor:
        """(batch, samples), or what the first parts give -> (batch,) float32, higher = more bona fide."""
        with torch.inference_mode(), autocast(self.device, self.dtype):
            if self.done:
                logits = self.detector.logit_of(self.detector.resumed(sounds, self.done))
            else:
                logits = self.detector.score(sounds)
        # Outside of inference mode, so that a backward pass may read it.
        return self.scale * logits.float() + self.offset

    def mixed_into(self, loss: Tensor, logits: Tensor, sounds: Tensor) -> Tensor:
        """(1 - w) * `loss` + w * T^2 * the cross-entropy of `logits` / T with the teacher's probabilities at `llr` / T.

        w and T are the weight and the temperature. At a high T it is differences of logits that count, whatever their
        size; T^2 keeps the gradients as large as they were (section 2 of the paper).
        """
        weight, temperature = self.config.weight, self.config.temperature
        wanted = torch.sigmoid(self.llr(sounds) / temperature)
        imitation = temperature**2 * F.binary_cross_entropy_with_logits(logits / temperature, wanted)
        return (1 - weight) * loss + weight * imitation


def check_teachers(config: DistilConfig, folds: FoldsConfig) -> None:
    """`ConfigError` unless each training over folds has a teacher of its own; `ModelError` if one is not there."""
    if config.teacher is None:
        return
    if FOLD not in config.teacher:
        raise ConfigError(
            f"The teacher {config.teacher} may have heard the recordings that the folds are tested on.",
            f"Give one for each fold, such as runs/NAME/fold-{FOLD}.safetensors.",
        )
    if folds.final == "train" and config.teacher_final is None:
        raise ConfigError(
            "The last training, on everything, has no teacher.", "Set distil.teacher_final, or folds.final=mean."
        )
    for number in range(1, folds.count + 1):
        store.resolve(of_fold(config, number).teacher)
    if folds.final == "train":
        store.resolve(config.teacher_final)


def of_fold(config: DistilConfig, number: int | None) -> DistilConfig:
    """That of the training without fold `number` (from 1); of the last one, on everything, for None."""
    if config.teacher is None:
        return config
    own = config.teacher_final if number is None else config.teacher.replace(FOLD, str(number))
    return replace(config, teacher=own, teacher_final=None)


def _same_parts(one: Detector, other: Detector, done: int) -> bool:
    ours, theirs = ([p for part in detector.parts()[:done] for p in part.parameters] for detector in (one, other))
    alike = one.spec.name == other.spec.name and len(ours) == len(theirs)
    return alike and all(torch.equal(a.cpu(), b.cpu()) for a, b in zip(ours, theirs, strict=True))
