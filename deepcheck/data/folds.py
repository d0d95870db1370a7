"""Dividing recordings into folds so that each is judged by what was learnt from other sources and other systems."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from deepcheck.data.utterance import Label, Protocol, Utterance
from deepcheck.errors import DataError
from deepcheck.seeding import seed_of


@dataclass(frozen=True)
class Fold:
    """What to learn from, and what to test that on: they share no group and no system."""

    train: Protocol
    test: Protocol


def folds(protocol: Protocol, count: int, by: str = "source", seed: int = 0) -> tuple[Fold, ...]:
    """`count` folds in whole groups of the same `by`; each genuine recording is in exactly one test part.

    `by` is a field or tag, as for `split.hold_out`; a recording without one is a group of its own. A copy, which is a
    spoof that has a `pair`, serves training alone, where the genuine recording that it was made from is not tested. To
    train on are all groups that are not tested, less the spoofs of a system that is among the tested ones.

    Both labels, and the groups that hold both, are spread over the test parts as evenly as whole groups allow; which
    go where depends on their names and `seed` alone. `DataError` if a part would lack a label.
    """
    if count < 2:
        raise DataError(f"{protocol.describe()} cannot be divided into {count} folds.", "Give at least 2.")
    protocol = protocol.where(lambda utterance: utterance.label is not None)
    own = {utterance.id: utterance.get(by) or f"\0{utterance.id}" for utterance in protocol.utterances}
    original = {u.id: u.pair for u in protocol.utterances if u.label is Label.SPOOF and u.pair}
    group = {id_: own.get(original.get(id_, id_), name) for id_, name in own.items()}
    tested = [utterance for utterance in protocol.utterances if utterance.id not in original]
    place = _spread(tested, group, count, seed)
    found = []
    for number in range(count):
        inside = [u for u in tested if place[group[u.id]] == number]
        systems = {u.attack for u in inside if u.label is Label.SPOOF and u.attack}
        outside = [
            u
            for u in protocol.utterances
            if place.get(group[u.id]) != number and (u.label is Label.BONAFIDE or u.attack not in systems)
        ]
        name = f"fold {number + 1} of {count} by {by}"
        train = replace(protocol, subset=f"all but {name}", utterances=tuple(outside))
        test = replace(protocol, subset=name, utterances=tuple(inside))
        for part, use in ((train, "train"), (test, "test")):
            _require_both(part, f"{protocol.describe()} cannot be divided into {count} folds by {by}", use)
        found.append(Fold(train, test))
    return tuple(found)


def _spread(tested: Sequence[Utterance], group: Mapping[str, str], count: int, seed: int) -> dict[str, int]:
    """The number of its fold for each group of the tested: those with both labels first, the largest first, each to the
    fold where it adds least to the sum of squared shares."""
    tallies = {label: Counter(group[u.id] for u in tested if u.label is label) for label in Label}
    names = {group[u.id] for u in tested}
    both = Counter(name for name in names if all(tally[name] for tally in tallies.values()))
    quantities = [*tallies.values(), both]
    totals = [max(1, tally.total()) for tally in quantities]
    shares = {
        name: [tally[name] / total for tally, total in zip(quantities, totals, strict=True)] for name in sorted(names)
    }
    filled = [[0.0] * len(quantities) for _ in range(count)]
    place = {}
    for name in sorted(names, key=lambda name: (-both[name], -max(shares[name][:-1]), seed_of("folds", seed, name))):
        rise = [sum(more * (more + 2 * held) for more, held in zip(shares[name], fold, strict=True)) for fold in filled]
        place[name] = rise.index(min(rise))
        filled[place[name]] = [more + held for more, held in zip(shares[name], filled[place[name]], strict=True)]
    return place


def _require_both(part: Protocol, what: str, use: str) -> None:
    for label in Label:
        if not part.counts()[label]:
            raise DataError(
                f"{what}: of {part.subset} no {label.name.lower()} recording would be left to {use} on.",
                "Take fewer folds, or another folds.by.",
            )
