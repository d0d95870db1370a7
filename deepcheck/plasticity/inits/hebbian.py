"""Hebbian growth: before any gradient, new units learn to answer to what the activations before them have in common."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepcheck.errors import ConfigError
from deepcheck.plasticity.inits import Context
from deepcheck.plasticity.units import Span, UnitGroup, tensor_at

RATE = 0.1  # how far a batch turns a unit towards what it answers to
ROUNDS = 2  # over the batches

_ANSWERS: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.Linear: lambda module, x, weight: F.linear(x, weight),
    nn.Conv1d: lambda module, x, weight: module._conv_forward(x, weight, None),
    nn.Conv2d: lambda module, x, weight: module._conv_forward(x, weight, None),
    nn.GRU: lambda module, x, weight: F.linear(x, weight),
    nn.LSTM: lambda module, x, weight: F.linear(x, weight),
}
"""What the units of a layer answer to its input, without bias; their axis is 1 in a convolution, the last elsewhere."""


def fill(model: nn.Module, group: UnitGroup, first_new: int, context: Context) -> None:
    """Incoming weights by Oja's rule (1982) under SoftHebb's competition (arXiv:2209.11883), reading ones zero.

    Exact. With u = w x of the centred input x, new unit k gets y_k u_k (x - u_k w_k), y being the softmax over the new
    units of u^2 in units of its mean: alone a unit becomes the first principal component, and together they share the
    input out among them. The rows end with the mean norm of the old ones. What is no weight of an input (the recurrent
    weights of a GRU, keys) stays as `resize` makes it. `ConfigError` without data.
    """
    if context.backward is None:
        raise ConfigError("The init hebbian needs data.", "Give --data, or take --init zero.")
    learners = [_Learner(model, span, first_new) for span in group.spans if _shapes(model, span)]
    hooks = [learner.module.register_forward_pre_hook(learner.hear) for learner in learners]
    try:
        for _ in range(ROUNDS):
            context.backward()
    finally:
        for hook in hooks:
            hook.remove()
    for learner in learners:
        learner.finish()
    for parameter in model.parameters():
        parameter.grad = None


def _shapes(model: nn.Module, span: Span) -> bool:
    module, _, name = span.tensor.rpartition(".")
    incoming = span.fill == "random" and not span.reads and span.dim == 0
    return (
        incoming and name.startswith("weight") and "_hh" not in name and type(model.get_submodule(module)) in _ANSWERS
    )


class _Learner:
    """The new rows of one tensor, as directions of norm 1, while data pass through its module."""

    def __init__(self, model: nn.Module, span: Span, first_new: int) -> None:
        self.module = model.get_submodule(span.tensor.rpartition(".")[0])
        self.answers = _ANSWERS[type(self.module)]
        self.axis = 1 if isinstance(self.module, nn.Conv1d | nn.Conv2d) else -1
        rows = span.split(tensor_at(model, span.tensor).detach())  # (blocks, units, size, ...), in the model's memory
        self.old, self.new = rows[:, :first_new], rows[:, first_new:]
        self.shape = self.new.shape[:3]
        self.weight = _unit(self.new.flatten(0, 2))

    @torch.enable_grad()
    def hear(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """One batch: the step is the gradient of the answers' energy, which is Oja's rule but for its decay."""
        weight = self.weight.clone().requires_grad_()
        answers = self.answers(module, inputs[0].detach(), weight).movedim(self.axis, -1)
        answers = answers.flatten(0, -2)
        answers = answers - answers.mean(0)
        energy = answers.square()
        # The competition is among the new units of each block, and of each place in a head.
        rivals = (energy / energy.mean(0).mean().clamp_min(1e-30)).unflatten(-1, self.shape)
        share = rivals.softmax(2).detach().flatten(1)
        (gradient,) = torch.autograd.grad((share * energy).mean(0).sum() / 2, weight)
        # The decay of Oja's rule holds the norm at 1; so does this, at any rate.
        self.weight = _unit(self.weight + RATE * _unit(gradient))

    def finish(self) -> None:
        norm = self.old.flatten(3).norm(dim=3).mean()
        self.new.copy_((self.weight * norm).unflatten(0, self.shape))


def _unit(rows: Tensor) -> Tensor:
    norm = rows.flatten(1).norm(dim=1).clamp_min(1e-30)
    return rows / norm.reshape(-1, *[1] * (rows.dim() - 1))
