"""Training only what growth added: every old entry stays what it was, bit for bit."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from deepcheck.plasticity.units import UnitGroup, tensor_at

_NORMS = nn.modules.batchnorm._NormBase  # all that keep running statistics


def new_entries(model: nn.Module, groups: Iterable[UnitGroup], grown_from: Mapping[str, int]) -> dict[str, Tensor]:
    """For each tensor that growth touched, where it is new: an entry is new if any of its axes is in a new unit.

    `grown_from` gives the width of each group before it grew; groups that are not named there are old.
    """
    masks: dict[str, Tensor] = {}
    for group in groups:
        first = grown_from.get(group.name, group.width)
        if first >= group.width:
            continue
        if group.stack is not None:
            for unit in range(first, group.width):
                path = f"{group.stack.path}.{unit}"
                own = model.get_submodule(path).state_dict()
                masks |= {
                    f"{path}.{name}": torch.ones_like(tensor, dtype=torch.bool)
                    for name, tensor in own.items()
                    if tensor.is_floating_point()
                }
        for span in group.spans:
            mask = masks.setdefault(span.tensor, torch.zeros_like(tensor_at(model, span.tensor), dtype=torch.bool))
            view = span.split(mask)
            view.narrow(span.dim + 1, first, group.width - first).fill_(True)
    return masks


class Freeze:
    """Holds all old entries of `model` while an optimiser trains the new ones.

    Gradients of old entries are zeroed as they accumulate, so before any clipping; after every step old
    entries are put back from a copy, because weight decay and momentum move what has no gradient (AdamW by
    2e-4, Adam with L2 by 9e-2 in a hundred steps). Running statistics of normalisations are held alike, and
    normalisations without new channels stay in eval mode.
    """

    def __init__(self, model: nn.Module, masks: Mapping[str, Tensor]) -> None:
        self.model = model
        self.new = {tensor_at(model, name): mask for name, mask in masks.items()}
        self.saved = {tensor: tensor.detach().clone() for tensor in self.new}
        self._was_trainable = {parameter: parameter.requires_grad for parameter in model.parameters()}
        self._handles = []
        for parameter in model.parameters():
            parameter.requires_grad_(parameter in self.new)
        for parameter in self.parameters():
            self._handles.append(parameter.register_post_accumulate_grad_hook(self._mask_gradient))
        norms = [m for m in model.modules() if isinstance(m, _NORMS) and m.running_mean is not None]
        self._still = [norm for norm in norms if norm.running_mean not in self.new]
        # A count of batches is one number for old and new channels: it is old.
        counters = [norm.num_batches_tracked for norm in norms if norm.running_mean in self.new]
        self.saved |= {counter: counter.clone() for counter in counters if counter is not None}

    def parameters(self) -> list[nn.Parameter]:
        """What the optimiser gets: the parameters that hold new entries."""
        return [tensor for tensor in self.new if isinstance(tensor, nn.Parameter)]

    def attach(self, optimizer: torch.optim.Optimizer) -> None:
        """Have old entries put back after every step of `optimizer`."""
        self._handles.append(optimizer.register_step_post_hook(lambda *_: self.restore()))

    def mask_gradients(self) -> None:
        """Zero the gradients of old entries once more: those that came from other processes have met no hook."""
        for parameter in self.parameters():
            if parameter.grad is not None:
                parameter.grad.masked_fill_(~self.new[parameter], 0)

    def train_mode(self) -> None:
        """`model.train()`, but for the normalisations that did not grow."""
        self.model.train()
        for module in self._still:
            module.eval()

    @torch.no_grad()
    def restore(self) -> None:
        """Put old entries back; also to be called before the model is read, for running statistics."""
        for tensor, old in self.saved.items():
            tensor.copy_(torch.where(self.new[tensor], tensor, old) if tensor in self.new else old)

    def release(self) -> None:
        """Let everything be trained again."""
        self.restore()
        for handle in self._handles:
            handle.remove()
        for parameter, trainable in self._was_trainable.items():
            parameter.requires_grad_(trainable)

    def _mask_gradient(self, parameter: Tensor) -> None:  # torch refuses a hook that returns something
        assert parameter.grad is not None  # not by multiplying: infinity times 0 is no number
        parameter.grad.masked_fill_(~self.new[parameter], 0)


def learning(model: nn.Module, freeze: Freeze | None = None) -> int:
    """How many numbers of the model a training changes: entries of parameters, those that `freeze` holds left out."""
    new = freeze.new if freeze is not None else {}
    return sum(
        int(new[parameter].sum()) if parameter in new else parameter.numel()
        for parameter in model.parameters()
        if parameter.requires_grad
    )
