"""Where to grow: which layer's new units would meet the strongest gradient."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from deepcheck.checkpoint import Checkpoint
from deepcheck.detectors.base import Detector
from deepcheck.engine.gradients import Probe
from deepcheck.errors import ConfigError, DataError
from deepcheck.plasticity.growth import group_named, grow
from deepcheck.plasticity.inits import Context
from deepcheck.plasticity.plan import Change, choose_layers, plan_growth
from deepcheck.plasticity.units import UnitGroup, outlets_of, tensor_at
from deepcheck.seeding import seed_of

AUTO = "auto"


@dataclass(frozen=True)
class Signal:
    """`strength` of the gradient, squared, for each parameter that growth would add to the `layer`."""

    layer: int
    part: str
    parameters: int
    strength: float


def layer_signals(
    parent: Checkpoint,
    neurons: int,
    part: str | None,
    probe: Callable[[Detector], Probe],
    seed: int = 0,
    share: float = 0.0,
) -> list[Signal]:
    """The signal of every layer, the strongest first, from one pass over data.

    All layers grow at once with silent units: as these change no output, the gradient of each layer's reading
    weights is what it would be if that layer alone had grown. Its squared norm is how fast the loss would fall
    in a first step of gradient descent, which is what GradMax (arXiv:2201.05125) maximises; it is given by parameter,
    as a wide layer has more of both. Raises `DataError` if nothing could be decoded.
    """
    detector = parent.build()
    groups = detector.groups()
    before = sum(parameter.numel() for parameter in detector.parameters())
    changes = plan_growth(groups, choose_layers("all", groups, part=part), neurons, part, share)
    costs = {}
    generator = torch.Generator().manual_seed(seed_of("grow", seed))
    for change in changes:
        grow(detector, [change], "zero", Context(generator))
        after = sum(parameter.numel() for parameter in detector.parameters())
        costs[change.group.name] = after - before
        before = after
    data = probe(detector)
    data.backward()
    if not data.seen:
        raise DataError("None of the recordings could be decoded, so nothing is known of any layer.")
    signals = [_signal(detector, change, costs[change.group.name], data.seen) for change in changes]
    return sorted(signals, key=lambda signal: -signal.strength)


def layers_named(
    text: str,
    groups: Sequence[UnitGroup],
    seed: int,
    signals: Callable[[], list[Signal]] | None = None,
    part: str | None = None,
) -> list[int]:
    """The layers of `choose_layers`; or, for `auto`, the one of the strongest of `signals`.

    `ConfigError` if there are none for want of data.
    """
    if text != AUTO:
        return choose_layers(text, groups, seed, part)
    if signals is None:
        raise ConfigError("--layer auto looks at the gradients on data.", "Give --data, or name a layer.")
    return [signals()[0].layer]


def _signal(detector: Detector, change: Change, parameters: int, batches: int) -> Signal:
    group = group_named(detector, change.group.name)
    square = 0.0
    for span in group.spans:
        gradient = tensor_at(detector, span.tensor).grad
        if span.reads and gradient is not None:
            new = span.split(gradient / batches).narrow(span.dim + 1, change.group.width, change.units)
            square += float(new.double().square().sum())
    for outlet in outlets_of(detector, group)[change.group.width :]:
        for parameter in outlet.parameters():
            if parameter.grad is not None:
                square += float((parameter.grad / batches).double().square().sum())
    return Signal(group.layer, group.part, parameters, square / parameters)
