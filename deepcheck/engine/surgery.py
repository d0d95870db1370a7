"""Growing and pruning a stored model: a checkpoint in, its child out, and a table of what changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import torch
from torch import Tensor

import deepcheck
from deepcheck.audio.decode import SAMPLE_RATE
from deepcheck.checkpoint import Checkpoint, describe_widths
from deepcheck.detectors.base import Detector, parameter_count
from deepcheck.engine.columns import without_room
from deepcheck.engine.reference import REFERENCE, is_reference
from deepcheck.errors import ConfigError, DataError
from deepcheck.plasticity.criteria import DATA_FREE, PAIRWISE
from deepcheck.plasticity.growth import group_named, grow, prune
from deepcheck.plasticity.inits import EXACT, Context
from deepcheck.plasticity.plan import Change
from deepcheck.plasticity.selection import Pool, Selection
from deepcheck.plasticity.statistics import Collector, GroupStatistics
from deepcheck.seeding import seed_of

SILENT = 1e-5  # a change of a logit that is rounding, not evidence


@dataclass(frozen=True)
class Row:
    """One changed group: its width before and after, and the parameters of the whole model that it gained."""

    layer: int
    part: str
    before: int
    after: int
    parameters: int


@dataclass(frozen=True)
class Surgery:
    """The child, what changed, by how much at most a logit changed on a probe of noise, and a `note` on what the child
    has lost beside."""

    child: Checkpoint
    rows: tuple[Row, ...]
    change: float
    note: str = ""


def grown(
    parent: Checkpoint, changes: Sequence[Change], *, name: str, init: str = "zero", seed: int = 0, probe: Any = None
) -> Surgery:
    """The model `parent` with the units of `changes` more; `probe` (a function detector -> Probe) feeds data inits.

    With an exact init the child scores as the parent does and keeps its calibration and thresholds; after a random
    one they would mean nothing and are dropped.
    """
    detector = parent.build()
    generator = torch.Generator().manual_seed(seed_of("grow", seed))
    before = _seen(detector)
    rows = _rows(detector, changes)
    data = probe(detector) if probe is not None else None
    grown_from = grow(detector, changes, init, Context(generator, data.backward if data else None))
    after = _seen(detector)
    stage = {"stage": "grow", "init": init, "seed": seed, "changes": _described(changes)}
    child = _child(parent, detector, name, stage, grown_from, init in EXACT)
    child, note = _with_evidence(child, parent, init in EXACT, before, after)
    return Surgery(child, rows, before.change(after), note)


def statistics_of(
    checkpoint: Checkpoint, pools: Sequence[Pool], criterion: str, probe: Any = None
) -> list[GroupStatistics]:
    """Statistics of the groups of `pools`, from one pass over the data of `probe` (a function detector -> Probe).

    Without a probe, what data tell is not known: `ConfigError` if the criterion looks at it. `DataError` if no
    recording could be decoded.
    """
    if probe is None and criterion not in DATA_FREE:
        raise ConfigError(
            f"The criterion {criterion} looks at data.", "Give --data, or take --criterion newest or magnitude."
        )
    detector = checkpoint.build()
    groups = [group_named(detector, group.name) for pool in pools for group in pool.groups]
    with Collector(detector, groups, pairs=criterion in PAIRWISE) as collector:
        if probe is not None:
            probe(detector).backward(after_batch=collector.update)
            if not collector.batches:
                raise DataError("None of the recordings could be decoded, so nothing is known of any unit.")
    return collector.result(checkpoint.card.grown_from)


def pruned(
    parent: Checkpoint,
    selections: Sequence[Selection],
    *,
    name: str,
    criterion: str = "gradient-entropy",
    scope: str = "layer",
    seed: int = 0,
) -> Surgery:
    """The model `parent` without the units that `selections` remove; one row for each selection.

    Where an output changes, calibration, thresholds and figures of the parent would be promises that nobody has
    checked: the child has none until it is trained. `criterion`, `scope` and `seed` are how the selections
    came about, for the history. `ConfigError` if nothing would go.
    """
    detector = parent.build()
    before = _seen(detector)
    keep = {one.group.name: one.kept for one in selections if len(one.removed)}
    if not keep:
        raise ConfigError("No unit would be removed.", "Ask for more.")
    rows = []
    for one in selections:
        had = parameter_count(detector)
        if one.group.name in keep:
            prune(detector, {one.group.name: one.kept})
        cost = parameter_count(detector) - had
        rows.append(Row(one.group.layer, one.group.part, one.group.width, len(one.kept), cost))
    after = _seen(detector)
    change = before.change(after)
    # Units of the last growth that survive count as new no longer than there are any.
    grown_from = {
        group: int((keep[group] < first).sum()) if group in keep else first
        for group, first in parent.card.grown_from.items()
    }
    widths = {group.name: group.width for group in detector.groups()}
    least = {group.name: group.least for group in detector.groups()}
    # With no old unit left there is nothing to hold or to go back to. What was in a block goes with it.
    grown_from = {
        group: first for group, first in grown_from.items() if group in widths and least[group] <= first < widths[group]
    }
    changes = [Change(one.group, -len(one.removed)) for one in selections if len(one.removed)]
    how = {"criterion": criterion, "scope": scope, "seed": seed}
    stage = {"stage": "prune", **how, "changes": _described(changes)}
    child = without_room(_child(parent, detector, name, stage, grown_from, change <= SILENT))
    child, note = _with_evidence(child, parent, change <= SILENT, before, after)
    return Surgery(child, tuple(rows), change, note)


def _child(
    parent: Checkpoint,
    detector: Detector,
    name: str,
    stage: Mapping[str, Any],
    grown_from: Mapping[str, int],
    keep_scores: bool,
) -> Checkpoint:
    card = replace(
        parent.card,
        name=name,
        widths=describe_widths(detector),
        parent=parent.card.name,
        grown_from=grown_from,
        history=(*parent.card.history, stage),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=deepcheck.__version__,
        parameters=parameter_count(detector),
    )
    if not keep_scores:
        card = replace(card, calibration=None, thresholds=None, rates={}, metrics={}, bands={})
    return Checkpoint(card, detector.state_dict())  # nobody else has this detector, so there is no need of a copy


def _with_evidence(
    child: Checkpoint, parent: Checkpoint, keep_scores: bool, before: "_Seen", after: "_Seen"
) -> tuple[Checkpoint, str]:
    """(the child with what was measured of its parent and still holds, a word on what does not)."""
    if not keep_scores:
        return child, ""  # without its calibration, which is said anyway, nobody will miss the rest
    evidence = dict(parent.evidence)
    note = ""
    if is_reference(evidence) and not before.embeds_alike(after):
        evidence = {name: part for name, part in evidence.items() if not name.startswith(REFERENCE)}
        note = "What is scored is no longer compared with the training data: the last layer reads other values now."
    return replace(child, evidence=evidence), note


def _rows(detector: Detector, changes: Sequence[Change]) -> tuple[Row, ...]:
    rows = []
    for change in changes:
        group = change.group
        # Each span of a tensor costs what crosses the new units; spans that cross each other share a corner.
        rows.append(Row(group.layer, group.part, group.width, group.width + change.units, _cost(detector, change)))
    return tuple(rows)


def _cost(detector: Detector, change: Change) -> int:
    group = change.group
    if group.stack is not None:
        return change.units * parameter_count(group.stack.make(torch.Generator()))
    cost = 0
    parameters = dict(detector.named_parameters())
    for tensor in {span.tensor for span in group.spans} & parameters.keys():
        size = parameters[tensor].numel()
        for span in group.spans:
            if span.tensor == tensor:
                size = size // group.width * (group.width + change.units)
        cost += size - parameters[tensor].numel()
    return cost


@dataclass(frozen=True)
class _Seen:
    """What a detector makes of a probe of noise; without an embedding that is None."""

    logits: Tensor
    embedding: Tensor | None

    def change(self, after: "_Seen") -> float:
        return float((after.logits - self.logits).abs().max())

    def embeds_alike(self, after: "_Seen") -> bool:
        mine, other = self.embedding, after.embedding
        if mine is None or other is None or mine.shape != other.shape:
            return False
        return bool((other - mine).abs().max() <= SILENT * max(1.0, float(mine.abs().max())))


def _seen(detector: Detector) -> _Seen:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, round(detector.window_s * SAMPLE_RATE), generator=generator)
    with torch.inference_mode():
        if not detector.has_embedding:
            return _Seen(detector.score(noise).double(), None)
        embedding = detector.embedded(detector.features(noise))
        return _Seen(detector.logit_of(embedding).double(), embedding.double())


def _described(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [{"group": c.group.name, "layer": c.group.layer, "part": c.group.part, "units": c.units} for c in changes]
