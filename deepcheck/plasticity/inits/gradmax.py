"""GradMax (Evci et al. 2022, arXiv:2201.05125): new units start silent, where their gradient is largest."""

import torch
from torch import Tensor, nn

from deepcheck.errors import ConfigError
from deepcheck.plasticity.inits import Context
from deepcheck.plasticity.units import Span, UnitGroup, tensor_at

ROUNDS = 3  # of the power iteration
TINY = 1e-30  # lost in any sum, but above the kink of a ReLU, whose gradient at 0 is 0 in PyTorch


def fill(model: nn.Module, group: UnitGroup, first_new: int, context: Context) -> None:
    """Zero incoming weights, and the reading weights that give these the largest gradient of the loss on the data.

    Exact: a unit without input is silent; its bias is a hair above 0, or behind a ReLU it would be dead. With
    M = E[delta x^T], the best reading weights of k units are its first k left singular vectors (equation 9). M is
    never formed: with nothing coming in, the gradient of the incoming weights is R^T M for reading weights R; with
    nothing read, that of the reading weights is M W^T for incoming weights W; the two in turn are a power iteration
    for the whole subspace. The vectors get the mean norm of the old units' reading weights. `ConfigError` without
    data.
    """
    if context.backward is None:
        raise ConfigError("The init gradmax needs data.", "Give --data, or take --init zero.")
    new = slice(first_new, group.width)
    incoming = [span for span in group.spans if not span.reads and span.fill == "random"]
    reading = [span for span in group.spans if span.reads]
    norm = _rows(model, reading, slice(0, first_new)).norm(dim=1).mean()
    for span in incoming:
        _new_entries(model, span, new).zero_()
    for span in group.spans:
        if span.fill == "zero" and not span.reads and isinstance(tensor_at(model, span.tensor), nn.Parameter):
            _new_entries(model, span, new).fill_(TINY)
    directions = _rows(model, reading, new)
    directions = torch.randn(directions.shape, generator=context.generator, dtype=torch.float64)
    for _ in range(ROUNDS):
        _write(model, reading, new, _orthonormal(directions) * norm)
        _write(model, incoming, new, torch.zeros_like(_rows(model, incoming, new)))
        context.backward()
        inward = _rows(model, incoming, new, gradient=True)
        if not inward.any():
            break  # no signal reaches the new units, so no direction is better than another
        _write(model, reading, new, torch.zeros_like(directions))
        _write(model, incoming, new, _orthonormal(inward) * norm)
        context.backward()
        directions = _rows(model, reading, new, gradient=True)
    _write(model, incoming, new, torch.zeros_like(_rows(model, incoming, new)))
    _write(model, reading, new, _orthonormal(directions) * norm)
    for parameter in model.parameters():
        parameter.grad = None


def _new_entries(model: nn.Module, span: Span, units: slice) -> Tensor:
    view = span.split(tensor_at(model, span.tensor).detach())
    return view.narrow(span.dim + 1, units.start, units.stop - units.start)


def _rows(model: nn.Module, spans: list[Span], units: slice, gradient: bool = False) -> Tensor:
    """(units, all entries of the spans) in double precision, of the values or of their gradients."""
    rows = []
    for span in spans:
        tensor = tensor_at(model, span.tensor)
        value = tensor.grad if gradient else tensor.detach()
        value = torch.zeros_like(tensor) if value is None else value
        part = span.split(value).narrow(span.dim + 1, units.start, units.stop - units.start)
        rows.append(part.movedim(span.dim + 1, 0).flatten(1).double().cpu())
    return torch.cat(rows, 1)


def _write(model: nn.Module, spans: list[Span], units: slice, rows: Tensor) -> None:
    start = 0
    for span in spans:
        view = _new_entries(model, span, units)
        turned = view.movedim(span.dim + 1, 0)
        size = turned[0].numel()
        turned.copy_(rows[:, start : start + size].reshape(turned.shape).to(view.device, view.dtype))
        start += size


def _orthonormal(rows: Tensor) -> Tensor:
    """Rows spanning the same space, orthonormal as far as there are that many dimensions, of norm 1 beyond that."""
    q, _ = torch.linalg.qr(rows.T)
    basis = q.T
    if len(basis) < len(rows):
        extra = rows[len(basis) :]
        basis = torch.cat([basis, extra / extra.norm(dim=1, keepdim=True).clamp_min(1e-12)])
    return basis
