"""Which units go: who competes with whom, how many lose, and who they are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from deepcheck.errors import ConfigError, ModelError
from deepcheck.plasticity.criteria import CRITERIA
from deepcheck.plasticity.plan import ATTENTION, Change, parts_of, plan, plan_share
from deepcheck.plasticity.statistics import GroupStatistics, pooled
from deepcheck.plasticity.units import UnitGroup
from deepcheck.registry import did_you_mean
from deepcheck.seeding import seed_of

NEWEST = "newest"
_HEADS = ("heads",)
_HEADS_OR_DIMS = ("heads", "head-dims")


@dataclass(frozen=True)
class Ask:
    """How much is to go of the `part` of these `layers`: so many `neurons`, or the share `fraction` of its units."""

    layers: Sequence[int]
    part: str | None = None
    neurons: int | None = None
    fraction: float | None = None


@dataclass(frozen=True)
class Pool:
    """Groups whose units compete with each other, and how many of these go; each group keeps its best unit, unless its
    units are whole modules.

    Raises `ConfigError` for more than can go.
    """

    groups: tuple[UnitGroup, ...]
    units: int

    def __post_init__(self) -> None:
        width = sum(group.width for group in self.groups)
        most = width - sum(group.least for group in self.groups)
        if self.units > most:
            whose = self.groups[0].name if len(self.groups) == 1 else f"{len(self.groups)} groups"
            verb = "has" if len(self.groups) == 1 else "have"
            raise ConfigError(
                f"{self.units} units cannot be removed from {whose}, which {verb} {width}.",
                f"At most {most} can" + (": one of each group stays." if most < width else "."),
            )


@dataclass(frozen=True)
class Selection:
    """Of one group: its statistics, the (units,) `scores` that ranked it, and the indices of the units `removed`."""

    statistics: GroupStatistics
    scores: Tensor
    removed: Tensor

    @property
    def group(self) -> UnitGroup:
        """The group, as wide as before."""
        return self.statistics.group

    @property
    def kept(self) -> Tensor:
        """The indices of the units that stay."""
        stays = torch.ones(self.group.width, dtype=torch.bool)
        stays[self.removed] = False
        return stays.nonzero().flatten()

    @property
    def new(self) -> int:
        """How many of the removed units the last growth had added."""
        return int((self.statistics.added[self.removed] > 0).sum())


def pools_of(
    groups: Sequence[UnitGroup],
    ask: Ask,
    scope: str = "layer",
    grown_from: Mapping[str, int] | None = None,
    criterion: str = "gradient-entropy",
) -> list[Pool]:
    """Who competes with whom, and how many go.

    Scope `layer`: each layer loses what is asked for, of the first part unless one is named; `grown`: so does each
    group that the last growth widened (`grown_from` gives the widths before, by name); `all`: all units of all
    layers and parts are one pool, which loses it in all (`attention` then means heads). When nothing is said of how
    much, the scope `grown` and the criterion `newest` take from each widened group as much as it had gained. Raises
    `ConfigError` for an unknown scope, part or criterion, where how much is not clear, or where nothing would go.
    """
    if scope not in SCOPES:
        raise ConfigError(f'There is no scope "{scope}".', did_you_mean(scope, list(SCOPES)))
    CRITERIA.resolve(criterion)  # a name that does not exist is better known before the data are read
    if ask.part is not None and ask.part not in parts_of(groups):
        raise ConfigError(f'The model has no part "{ask.part}".', did_you_mean(ask.part, parts_of(groups)))
    gained = {group.name: group.width - (grown_from or {}).get(group.name, group.width) for group in groups}
    said = (ask.neurons is not None) + (ask.fraction is not None)
    if said == 1:
        pools = SCOPES[scope](groups, ask, gained)
    elif said == 0 and (scope == "grown" or criterion == NEWEST):
        pools = [Pool((group,), gained[group.name]) for group in _widened(groups, ask, gained)]
    else:
        raise ConfigError("How much to remove is not clear.", "Give either --neurons or --fraction.")
    pools = [pool for pool in pools if pool.units > 0]
    if not pools:
        raise ConfigError("No unit would be removed.", "Ask for more.")
    return pools


def select(
    statistics: Sequence[GroupStatistics], pools: Sequence[Pool], criterion: str, seed: int = 0
) -> list[Selection]:
    """Who goes, group by group in the order of the pools: those of each pool whom the criterion ranks lowest.

    Of units with the same score the older one stays (by `added`), then the one nearer to the input; each group keeps
    its best. The scores of `random` depend on `seed` and the pools alone. Raises `ModelError` for scores that are
    not finite.
    """
    score = CRITERIA.resolve(criterion)
    generator = torch.Generator().manual_seed(seed_of("prune", seed))
    known = {one.group.name: one for one in statistics}
    selections = []
    for pool in pools:
        members = [known[group.name] for group in pool.groups]
        widths = [len(member) for member in members]
        stay = [group.least for group in pool.groups]
        together = pooled(members)
        scores = score(together, generator)
        if not scores.isfinite().all():
            raise ModelError(f"Some scores by {criterion} are no finite numbers.", "Did the training diverge?")
        goes = _losers(scores, together.added, widths, stay, pool.units)
        for member, own, gone in zip(members, scores.split(widths), goes.split(widths), strict=True):
            selections.append(Selection(member, own, gone.nonzero().flatten()))
    return selections


def _losers(scores: Tensor, added: Tensor, widths: Sequence[int], stay: Sequence[int], count: int) -> Tensor:
    """(units,) whether each unit of a pool goes; of its groups, in turn, `widths` and how many of the best `stay`."""
    oldest = added.argsort(stable=True)
    order = oldest[scores[oldest].argsort(descending=True, stable=True)]
    owner = torch.arange(len(widths)).repeat_interleave(torch.tensor(widths))[order]
    may_go = torch.ones(len(scores), dtype=torch.bool)
    for group, best in enumerate(stay):
        may_go[(owner == group).nonzero()[:best]] = False
    goes = torch.zeros(len(scores), dtype=torch.bool)
    goes[order[may_go][-count:]] = True
    return goes


def _layer_by_layer(groups: Sequence[UnitGroup], ask: Ask, gained: Mapping[str, int]) -> list[Pool]:
    return [Pool((change.group,), change.units) for change in _changes(groups, ask)]


def _where_it_grew(groups: Sequence[UnitGroup], ask: Ask, gained: Mapping[str, int]) -> list[Pool]:
    widened = _widened(groups, ask, gained)
    layers = sorted({group.layer for group in widened})
    parts = [ask.part] if ask.part else dict.fromkeys(group.part for group in widened)
    changes = [change for part in parts for change in _changes(groups, replace(ask, layers=layers, part=part))]
    return [Pool((change.group,), change.units) for change in changes if change.group in widened]


def _all_together(groups: Sequence[UnitGroup], ask: Ask, gained: Mapping[str, int]) -> list[Pool]:
    chosen = _chosen(groups, ask, attention=_HEADS)
    if ask.neurons is not None:
        return [Pool(chosen, ask.neurons)]
    assert ask.fraction is not None
    return [Pool(chosen, round(ask.fraction * sum(group.width for group in chosen)))]


SCOPES: dict[str, Callable[[Sequence[UnitGroup], Ask, Mapping[str, int]], list[Pool]]] = {
    "layer": _layer_by_layer,
    "grown": _where_it_grew,
    "all": _all_together,
}


def _changes(groups: Sequence[UnitGroup], ask: Ask) -> list[Change]:
    if ask.neurons is not None:
        return plan(groups, ask.layers, ask.neurons, ask.part)
    assert ask.fraction is not None
    return plan_share(groups, ask.layers, ask.fraction, ask.part)


def _chosen(
    groups: Sequence[UnitGroup], ask: Ask, attention: tuple[str, ...], whole_modules: bool = False
) -> tuple[UnitGroup, ...]:
    """Without a part that is all, but `whole_modules`, which are no match for single units, only if they are meant."""
    parts = attention if ask.part == ATTENTION else (ask.part,)
    inside = [group for group in groups if group.layer in ask.layers and group.width]
    if ask.part is None:
        return tuple(group for group in inside if whole_modules or not group.stack)
    return tuple(group for group in inside if group.part in parts)


def _widened(groups: Sequence[UnitGroup], ask: Ask, gained: Mapping[str, int]) -> list[UnitGroup]:
    grown = [group for group in groups if gained[group.name] > 0]
    if not grown:
        raise ConfigError(
            "The model has not been grown, so none of its units are new.",
            "Grow it first (deepcheck grow), or say how much goes: --scope layer --neurons 128.",
        )
    chosen = [group for group in _chosen(groups, ask, _HEADS_OR_DIMS, whole_modules=True) if group in grown]
    if not chosen:
        widened = ", ".join(f"layer {group.layer} ({group.part})" for group in grown)
        raise ConfigError("The last growth widened none of these layers.", f"It widened {widened}.")
    return chosen
