"""A learning rate of their own for new units, where old and new entries share a tensor and so an optimiser group."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from deepcheck.plasticity.units import tensor_at


class Pace:
    """Holds the old entries of tensors that growth touched to the common learning rate.

    The optimiser moves the whole tensor at `rate` times that rate; the step of the old entries is divided by `rate`
    again. With steps in proportion to the learning rate (SGD, AdamW: decay included) that is exact. Fresh units need
    it: with zero reading weights they start starved of gradient (arXiv:2605.15435).
    """

    def __init__(self, model: nn.Module, masks: Mapping[str, Tensor], rate: float) -> None:
        tensors = {tensor_at(model, name): mask for name, mask in masks.items()}
        self.old = {tensor: ~mask for tensor, mask in tensors.items() if isinstance(tensor, nn.Parameter)}
        self.rate = rate
        self._before: dict[Tensor, Tensor] = {}

    def attach(self, optimizer: torch.optim.Optimizer) -> None:
        """Act on every step of `optimizer`."""
        optimizer.register_step_pre_hook(lambda *_: self._remember())
        optimizer.register_step_post_hook(lambda *_: self._hold())

    def _remember(self) -> None:
        self._before = {tensor: tensor.detach()[old] for tensor, old in self.old.items()}

    @torch.no_grad()
    def _hold(self) -> None:
        for tensor, old in self.old.items():
            before = self._before[tensor]
            tensor[old] = before + (tensor[old] - before) / self.rate
