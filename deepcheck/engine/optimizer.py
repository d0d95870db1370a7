"""What moves the weights: AdamW with its parameter groups, the learning rate over time, the mean of the weights."""

import math
from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn

from deepcheck.config import OptimizerConfig
from deepcheck.detectors.base import Detector
from deepcheck.errors import ConfigError
from deepcheck.plasticity.pace import Pace


def make_optimizer(
    detector: Detector, config: OptimizerConfig, new: Mapping[str, Tensor] | None = None
) -> torch.optim.Optimizer:
    """AdamW over what may be trained; parameters that growth touched form groups of their own.

    `new` says by path which of their entries are new: these learn `config.new_rate` times as fast as all others, the
    head `config.head_rate` times. Matrices are decayed, gains and biases not: decay on those moves a normalisation,
    not a complexity. Each group has `rate`, the factor on the learning rate.
    """
    touched = set(new or ())
    groups: dict[tuple[float, bool, bool], list[nn.Parameter]] = {}
    for name, parameter in detector.named_parameters():
        if parameter.requires_grad:
            grown = name in touched
            rate = config.new_rate if grown else config.head_rate if name.startswith("head.") else 1.0
            groups.setdefault((rate, grown, parameter.dim() > 1), []).append(parameter)
    optimizer = torch.optim.AdamW(
        [
            {
                "params": parameters,
                "weight_decay": config.weight_decay if decayed else 0.0,
                "rate": rate,
            }
            for (rate, _, decayed), parameters in sorted(groups.items(), key=lambda item: item[0])
        ],
        lr=config.lr,
    )
    if new and config.new_rate != 1.0:
        Pace(detector, new, config.new_rate).attach(optimizer)
    return optimizer


def set_learning_rate(optimizer: torch.optim.Optimizer, config: OptimizerConfig, step: int, total: int) -> None:
    """Give every group its learning rate at `step` of `total`."""
    factor = schedule(config, step, total)
    for group in optimizer.param_groups:
        group["lr"] = config.lr * factor * group["rate"]


def schedule(config: OptimizerConfig, step: int, total: int) -> float:
    """The factor on the learning rate at `step` of `total`: linear warm-up, then cosine to 0 or constant."""
    if config.schedule not in _SCHEDULES:
        raise ConfigError(f'There is no schedule "{config.schedule}".', f"Choose one of: {', '.join(_SCHEDULES)}.")
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    return _SCHEDULES[config.schedule]((step - config.warmup_steps) / max(1, total - config.warmup_steps))


_SCHEDULES = {
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * min(done, 1.0))),
    "constant": lambda done: 1.0,
}


class RunningMean:
    """A copy of a detector whose weights and running statistics follow it slowly (Polyak averaging).

    With decay 0 there is no copy: `model` is the detector itself.
    """

    def __init__(self, detector: Detector, decay: float) -> None:
        self.detector = detector
        self.decay = decay
        self.model: Detector = deepcopy(detector) if decay else detector

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` (from 0); the first steps count more, for the start is worth nothing."""
        if self.model is self.detector:
            return
        pull = 1 - min(self.decay, (1 + step) / (10 + step))
        now = self.detector.state_dict()
        for name, mean in self.model.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(now[name], pull)
            else:
                mean.copy_(now[name])
