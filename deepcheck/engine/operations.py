"""Growing and pruning in the words of the command line: `deepcheck.grow` and `deepcheck.prune`, and the stages."""

from pathlib import Path

from deepcheck import store
from deepcheck.checkpoint import Checkpoint, load_checkpoint
from deepcheck.data.utterance import Protocol
from deepcheck.detectors.base import Detector
from deepcheck.engine.columns import with_room
from deepcheck.engine.gradients import Probe
from deepcheck.engine.layer_signal import layer_signals, layers_named
from deepcheck.engine.surgery import Surgery, grown, pruned, statistics_of
from deepcheck.engine.target_speed import reach_speed
from deepcheck.plasticity.criteria import DATA_FREE
from deepcheck.plasticity.plan import choose_layers, plan_growth
from deepcheck.plasticity.selection import Ask, pools_of, select


def grow(
    model: str | Path | Checkpoint | None = None,
    *,
    neurons: int = 0,
    layer: str = "all",
    part: str | None = None,
    share: float = 0.0,
    init: str = "zero",
    trials: Protocol | None = None,
    recordings: int = 512,
    seed: int = 0,
    name: str = "grown",
) -> Surgery:
    """The model (by name or file; the current one by default) with `neurons` more in each layer, as `child`.

    Instead of neurons, `share` is that of the units of a layer. `layer` is `3`, `1,3,5`, `2-4`, `all`, `random`, or
    `auto`, which like the inits `gradmax` and `hebbian` looks at `recordings` of `trials`. Nothing is stored: give
    the child to `deepcheck.save`. Raises `ConfigError` for what the model does not have.
    """
    parent = with_room(_checkpoint(model), part)
    probe = None if trials is None else lambda detector: _probe(detector, trials, recordings, seed)
    groups = parent.build().groups()
    signals = None if probe is None else lambda: layer_signals(parent, neurons, part, probe, seed, share)
    changes = plan_growth(groups, layers_named(layer, groups, seed, signals, part), neurons, part, share)
    return grown(parent, changes, name=name, init=init, seed=seed, probe=probe)


def prune(
    model: str | Path | Checkpoint | None = None,
    *,
    neurons: int | None = None,
    fraction: float | None = None,
    target_speed: float | None = None,
    layer: str = "all",
    part: str | None = None,
    criterion: str = "gradient-entropy",
    scope: str = "layer",
    trials: Protocol | None = None,
    recordings: int = 512,
    seed: int = 0,
    name: str = "pruned",
) -> Surgery:
    """The model without the units that the criterion ranks lowest on `recordings` of `trials`, as `child`.

    See `deepcheck.plasticity.selection.pools_of` for what the scope and the numbers mean; with `target_speed` in their
    place goes what it takes to be so many times as fast (`engine.target_speed`). Nothing is stored: give the child to
    `deepcheck.save`. Raises `ConfigError` for what the model does not have, or where trials are missing.
    """
    parent = _checkpoint(model)
    groups = parent.build().groups()
    ask = Ask(choose_layers(layer, groups, seed, part), part, neurons, fraction)
    looks = trials is not None and criterion not in DATA_FREE
    probe = (lambda detector: _probe(detector, trials, recordings, seed)) if looks else None
    if target_speed is not None:
        reached = reach_speed(parent, target_speed, ask, scope=scope, criterion=criterion, probe=probe, seed=seed)
        selections = [*reached.selections]
    else:
        pools = pools_of(groups, ask, scope, parent.card.grown_from, criterion)
        selections = select(statistics_of(parent, pools, criterion, probe), pools, criterion, seed)
    return pruned(parent, selections, name=name, criterion=criterion, scope=scope, seed=seed)


def _probe(detector: Detector, trials: Protocol | None, recordings: int, seed: int) -> Probe:
    assert trials is not None
    return Probe(detector, trials, recordings=recordings, seed=seed)


def _checkpoint(model: str | Path | Checkpoint | None) -> Checkpoint:
    if isinstance(model, Checkpoint):
        return model
    entry = store.resolve(None if model is None else str(model))
    return load_checkpoint(entry.path).named(entry.name)
