"""What a command line asks for, in units of a model: which groups change, and by how many units."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepcheck.errors import ConfigError
from deepcheck.plasticity.units import UnitGroup
from deepcheck.registry import did_you_mean

ATTENTION = "attention"
_HEADS, _HEAD_DIMS = "heads", "head-dims"


@dataclass(frozen=True)
class Change:
    """`units` more units in a group (fewer, if negative)."""

    group: UnitGroup
    units: int


def parts_of(groups: Sequence[UnitGroup]) -> list[str]:
    """The words for what can change in a model; `attention` stands for heads or dimensions inside them."""
    parts = list(dict.fromkeys(group.part for group in groups))
    return [ATTENTION, *parts] if _HEADS in parts else parts


def choose_layers(text: str, groups: Sequence[UnitGroup], seed: int = 0, part: str | None = None) -> list[int]:
    """The layers that `text` names: `3`, `1,3,5`, `2-4`, `all`, or `random` (one, drawn with `seed`).

    Of a `part` that not every layer has, `all` and `random` mean the layers that have it. Layers count from 1
    in the order of the forward pass. `ConfigError` for one that the model does not have.
    """
    known = sorted({group.layer for group in groups})
    if not known:
        raise ConfigError("No layer of this model can grow or shrink.", "Those of the project's own detectors can.")
    if text in ("all", "random"):
        having = [layer for layer in known if part in (None, *parts_of([g for g in groups if g.layer == layer]))]
        having = having or known
        return having if text == "all" else [int(np.random.default_rng(seed).choice(having))]
    chosen: list[int] = []
    for piece in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", piece)
        if match is None:
            raise ConfigError(f'"{text}" names no layers.', "Write 3, 1,3,5, 2-4, all or random.")
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last:
            raise ConfigError(f'"{piece.strip()}" names no layers.', f"Write {last}-{first}.")
        chosen += range(first, min(last, max(first, known[-1] + 1)) + 1)  # one too many is enough to refuse
    for layer in chosen:
        if layer not in known:
            raise ConfigError(f"The model has no layer {layer}.", f"Its layers are {known[0]} to {known[-1]}.")
    if not chosen:
        raise ConfigError(f'"{text}" names no layers.', "Write 3, 1,3,5, 2-4, all or random.")
    return list(dict.fromkeys(chosen))


def plan(groups: Sequence[UnitGroup], layers: Sequence[int], neurons: int, part: str | None = None) -> list[Change]:
    """One change for each layer: `neurons` more units of `part` (by default the first that the layer has).

    With `attention`, neurons are rows of q, k and v: whole heads where their number divides by the size of a head,
    else dimensions in every head where it divides by their number. `ConfigError` for an unknown part, a layer without
    it, or a number that fits neither, with the nearest ones that do.
    """
    if neurons < 1:
        raise ConfigError(f"The number of neurons is {neurons}.", "Give at least 1.")
    _require_part(groups, part)
    changes = []
    for layer in layers:
        inside = {group.part: group for group in groups if group.layer == layer}
        parts = parts_of([*inside.values()])
        chosen = part or parts[0]
        if chosen not in parts:
            raise ConfigError(f"Layer {layer} has no {chosen}.", f"It has {', '.join(parts)}.")
        if chosen == ATTENTION:
            changes.append(_attention(inside[_HEADS], inside[_HEAD_DIMS], neurons))
        else:
            changes.append(Change(inside[chosen], neurons))
    return changes


def plan_share(
    groups: Sequence[UnitGroup], layers: Sequence[int], share: float, part: str | None = None
) -> list[Change]:
    """One change for each layer that has it: `share` of the units of `part` (by default the first of the layer) more,
    rounded; with `attention`, of its heads."""
    _require_part(groups, part)
    first = {layer: parts_of([group for group in groups if group.layer == layer])[0] for layer in layers}
    kinds = {layer: _HEADS if (part or own) == ATTENTION else part or own for layer, own in first.items()}
    chosen = [group for group in groups if group.part == kinds.get(group.layer)]
    return [Change(group, round(share * group.width)) for group in chosen]


def plan_growth(
    groups: Sequence[UnitGroup], layers: Sequence[int], neurons: int, part: str | None = None, share: float = 0.0
) -> list[Change]:
    """As `plan`; or, if there is a `share`, as `plan_share`, but at least one unit a layer."""
    if not share:
        return plan(groups, layers, neurons, part)
    return [Change(change.group, max(1, change.units)) for change in plan_share(groups, layers, share, part)]


def _require_part(groups: Sequence[UnitGroup], part: str | None) -> None:
    parts = parts_of(groups)
    if part is not None and part not in parts:
        raise ConfigError(f'The model has no part "{part}".', did_you_mean(part, parts))


def _attention(heads: UnitGroup, dims: UnitGroup, neurons: int) -> Change:
    head_size, head_count = dims.width, heads.width
    if neurons % head_size == 0:
        return Change(heads, neurons // head_size)
    if neurons % head_count == 0:
        return Change(dims, neurons // head_count)
    # Two multiples above: below the smaller step there is none but 0.
    valid = {step * (neurons // step + more) for step in (head_size, head_count) for more in (0, 1, 2)} - {0}
    nearest = sorted(valid, key=lambda number: (abs(number - neurons), number))[:2]
    raise ConfigError(
        f"{neurons} neurons divide neither into heads of {head_size} nor among {head_count} heads.",
        f"The nearest numbers that do are {' and '.join(map(str, sorted(nearest)))}.",
    )
