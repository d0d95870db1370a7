"""Growing and pruning as one operation: re-indexing the units of a group."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from deepcheck.errors import ModelError

Fill = Literal["random", "zero", "one"]


@dataclass(frozen=True)
class Span:
    """One axis of one tensor that runs over the units of a group.

    The axis is laid out (blocks, width, size): `blocks` counts outer repeats (3 GRU gates, 4 LSTM gates,
    2 directions, n heads), `size` inner ones (head_dim per head, H*W behind a flatten). `fill` is what a new
    unit holds there; `reads` marks the weights through which the rest of the network reads the units: with
    random incoming and zero reading weights, growth changes no output.
    """

    tensor: str
    dim: int = 0
    blocks: int = 1
    size: int = 1
    fill: Fill = "random"
    reads: bool = False

    def split(self, tensor: Tensor) -> Tensor:
        """`tensor` with this axis viewed as three; units then lie on `dim + 1`."""
        return torch.unflatten(tensor, self.dim, (self.blocks, -1, self.size))


@dataclass(frozen=True)
class Outlet:
    """Where the activations of a group can be seen: an axis, laid out as in `Span`, of what enters `module`."""

    module: str
    axis: int
    blocks: int = 1
    size: int = 1


@dataclass(frozen=True)
class Stack:
    """Units that are whole modules, in the `nn.ModuleList` at `path`, at first none.

    `make` gives one more, drawn from a generator alone; `outlet` is the linear layer in it, with zero weights at first,
    through which the rest of the network hears it.
    """

    path: str
    make: Callable[[torch.Generator], nn.Module]
    outlet: str


@dataclass(frozen=True)
class UnitGroup:
    """Units that can only be added or removed together, and every tensor axis that they touch.

    `layer` counts from 1 in the order of the forward pass; `part` is the word for the kind of unit
    (`channels`, `units`, `heads`, `head-dims`, `ffn`, `block`, `column`); `outlet` is where their activations can be
    seen. `sizes` are module attributes that follow the width: (path, value per unit). Units that are whole modules have
    a `stack` in the place of spans and outlet.
    """

    name: str
    layer: int
    part: str
    width: int
    spans: tuple[Span, ...] = ()
    outlet: Outlet | None = None
    sizes: tuple[tuple[str, int], ...] = ()
    stack: Stack | None = None

    @property
    def least(self) -> int:
        """The fewest units that it can have."""
        return 0 if self.stack else 1

    @property
    def most(self) -> int:
        """The most units that it can have: people are sent files by strangers."""
        return 64 if self.stack else 1 << 20


class Plastic(nn.Module):
    """A model that can say what may grow or shrink; every detector is one."""

    def groups(self) -> list[UnitGroup]:
        """Its groups in the order of the forward pass, with the widths of now."""
        raise NotImplementedError


def resize(
    model: nn.Module,
    group: UnitGroup,
    keep: Tensor | None = None,
    add: int = 0,
    generator: torch.Generator | None = None,
) -> UnitGroup:
    """Keep the units `keep` (indices; all if None), append `add` new ones; returns the group as it is now.

    The model is changed in place: its tensors are replaced, so an optimiser made before must be made again. New
    weights are drawn from `generator` (on the CPU), by default from the global one.
    """
    keep = None if keep is None else keep.sort().values
    if group.stack is not None:
        _restack(model, group.stack, keep, add, generator)
    for span in group.spans:
        # Nothing here holds on to the old tensor, so that it is gone before the next one is made.
        set_tensor(model, span.tensor, _resized(tensor_at(model, span.tensor).detach(), span, keep, add, generator))
    return _set_sizes(model, group, (group.width if keep is None else len(keep)) + add)


def widths_of(groups: Iterable[UnitGroup]) -> dict[str, int]:
    """Name -> width, which with the spec is all that is needed to rebuild the shape of a model."""
    return {group.name: group.width for group in groups}


def set_widths(model: Plastic, widths: Mapping[str, int]) -> None:
    """Bring each group to its width in `widths`, in place; its parameters then hold anything (a load follows).

    Their order does not matter. Draws nothing from the global generator. Raises `ModelError` for a name that the model
    does not have or a width that its units cannot have.
    """
    generator = torch.Generator()
    waiting = dict(widths)
    while waiting:
        # Asked for each time anew: dimensions inside heads change how the heads are laid out, and the groups of whole
        # modules are there once these are.
        groups = {group.name: group for group in model.groups()}
        name = next((name for name in waiting if name in groups), next(iter(waiting)))
        width, group = waiting.pop(name), groups.get(name)
        if group is None or not group.least <= width <= group.most:
            raise ModelError(f'The model has no units "{name}" that could be {width} wide.')
        if width == group.width:
            continue
        keep, add = torch.arange(min(width, group.width)), max(0, width - group.width)
        if group.stack is not None:
            _restack(model, group.stack, keep, add, generator)
        for span in group.spans:
            old = tensor_at(model, span.tensor)
            if isinstance(old, nn.Parameter):
                set_tensor(model, span.tensor, old.new_empty(_shape(old, span, width)))
            else:  # a buffer may be none of those that a file carries
                set_tensor(model, span.tensor, _resized(old, span, keep, add, generator))
        _set_sizes(model, group, width)


def _restack(model: nn.Module, stack: Stack, keep: Tensor | None, add: int, generator: torch.Generator | None) -> None:
    old = list(model.get_submodule(stack.path).children())
    kept = old if keep is None else [old[int(unit)] for unit in keep]
    if add and generator is None:
        generator = torch.Generator().manual_seed(int(torch.randint(1 << 62, ())))
    fresh = [stack.make(generator) for _ in range(add)] if generator is not None else []
    parent, _, name = stack.path.rpartition(".")
    setattr(model.get_submodule(parent), name, nn.ModuleList([*kept, *fresh]))


def _resized(old: Tensor, span: Span, keep: Tensor | None, add: int, generator: torch.Generator | None) -> Tensor:
    # On three axes: across more, index_select goes element by element, up to 40 times as slowly.
    inner = span.size * math.prod(old.shape[span.dim + 1 :])
    units = old.reshape(math.prod(old.shape[: span.dim]) * span.blocks, -1, inner)
    kept = units if keep is None else units.index_select(1, keep.to(old.device))
    wider = torch.cat([kept, _fresh(kept, span, add, generator)], 1) if add else kept
    return wider.view(_shape(old, span, wider.shape[1]))


def _shape(old: Tensor, span: Span, width: int) -> tuple[int, ...]:
    return (*old.shape[: span.dim], span.blocks * width * span.size, *old.shape[span.dim + 1 :])


def _fresh(like: Tensor, span: Span, add: int, generator: torch.Generator | None) -> Tensor:
    shape = (like.shape[0], add, like.shape[2])
    if span.fill == "random":
        scale = like.std() if like.numel() > 1 else 1.0
        return torch.randn(shape, dtype=like.dtype, generator=generator).to(like.device).mul_(scale)
    return like.new_full(shape, float(span.fill == "one"))


def _set_sizes(model: nn.Module, group: UnitGroup, width: int) -> UnitGroup:
    for path, per_unit in group.sizes:
        module, _, attribute = path.rpartition(".")
        setattr(model.get_submodule(module), attribute, width * per_unit)
    for module_ in model.modules():
        if isinstance(module_, nn.RNNBase):
            module_.flatten_parameters()
    return replace(group, width=width)


def outlets_of(model: nn.Module, group: UnitGroup) -> list[nn.Module]:
    """Of units that are whole modules, the layer that each is heard through."""
    if group.stack is None:
        return []
    return [model.get_submodule(f"{group.stack.path}.{unit}.{group.stack.outlet}") for unit in range(group.width)]


def tensor_at(model: nn.Module, path: str) -> Tensor:
    """The parameter or buffer at a dotted path."""
    module, _, name = path.rpartition(".")
    value = getattr(model.get_submodule(module), name)
    assert isinstance(value, Tensor)
    return value


def set_tensor(model: nn.Module, path: str, value: Tensor) -> None:
    """Put `value` at a dotted path, as a parameter where there was one."""
    module, _, name = path.rpartition(".")
    owner = model.get_submodule(module)
    old = getattr(owner, name)
    setattr(
        owner,
        name,
        nn.Parameter(value, requires_grad=old.requires_grad) if isinstance(old, nn.Parameter) else value,
    )
