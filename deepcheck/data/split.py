"""Keeping whole sources aside, so that a development score is not learnt by heart."""

from collections import defaultdict
from dataclasses import replace

from deepcheck.data.utterance import Label, Protocol
from deepcheck.errors import DataError
from deepcheck.seeding import seed_of


def hold_out(protocol: Protocol, share: float, by: str = "source", seed: int = 0) -> tuple[Protocol, Protocol]:
    """(rest, held out): at least `share` of each label is held out, in whole groups of the same `by`.

    Groups that would make up more than a tenth of the held-out part of a label come last: a few large sources would
    decide what is best for all the others.

    `by` is a field or tag (source, speaker, attack, language ...); a recording without one is a group of its
    own. Copies of a genuine recording (`pair`) go wherever that recording goes, for they would give it away.
    Which groups are taken depends on their names and `seed` alone. Raises `DataError` if nothing is left.
    """
    of_id = {u.id: u.get(by) or f"\0{u.id}" for u in protocol.utterances}
    groups = defaultdict(list)
    for utterance in protocol.utterances:
        pair = utterance.pair if utterance.pair in of_id else None
        groups[of_id[pair or utterance.id]].append(utterance)
    wanted = {label: share * count for label, count in protocol.counts().items() if label is not None}
    taken: dict[Label, int] = dict.fromkeys(wanted, 0)
    held: set[str] = set()

    def order(name: str) -> tuple[bool, int]:
        dominates = any(10 * sum(u.label is label for u in groups[name]) > wanted[label] for label in wanted)
        return dominates, seed_of("hold out", seed, name)

    for name in sorted(groups, key=order):
        counts = {label: sum(u.label is label for u in groups[name]) for label in wanted}
        # A group that brings only what there is enough of already would cost training data for nothing.
        if any(counts[label] and taken[label] < wanted[label] for label in wanted):
            held.add(name)
            taken = {label: taken[label] + counts[label] for label in wanted}
    inside = {u.id for name in held for u in groups[name]}
    rest, out = protocol.where(lambda u: u.id not in inside), protocol.where(lambda u: u.id in inside)
    out = replace(out, subset=f"{share:.0%} held out by {by}")
    for part in (rest, out):
        if len(part.counts().keys() - {None}) < 2:
            raise DataError(
                f"{share:.0%} of {protocol.describe()} cannot be held out by {by}: one part would lack a label.",
                "Name a development set of its own under data.dev, or another data.holdout_by.",
            )
    return rest, out


def without_copies(protocol: Protocol) -> Protocol:
    """All but the spoofs that were made of a genuine recording of the corpus (`pair`)."""
    return protocol.where(lambda utterance: utterance.label is not Label.SPOOF or not utterance.pair)
