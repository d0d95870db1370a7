"""What makes a training worth nothing before it begins: a test on what was learnt, and labels that contradict."""

from collections.abc import Sequence
from dataclasses import dataclass

from deepcheck.data.content import twins
from deepcheck.data.folds import Fold
from deepcheck.data.utterance import Protocol, Utterance
from deepcheck.errors import DataError

Pairs = tuple[tuple[Utterance, Utterance], ...]

_HINT = "Remove one of each pair; deepcheck train --check lists them."


@dataclass(frozen=True)
class Leaks:
    """Pairs of recordings with the same content: `overlaps` (learnt from, tested on), and `contradictions` (bona fide,
    spoof), wherever they are; `repeats` is how many more there are twice. `learnt` and `tested` are names of both
    sets."""

    overlaps: Pairs
    contradictions: Pairs
    repeats: int
    learnt: str = "the training set"
    tested: str = "the development set"

    def refuse(self) -> None:
        """`DataError` if there is an overlap or a contradiction."""
        for reason in self.reasons():
            raise DataError(reason, _HINT)

    def reasons(self) -> list[str]:
        """A sentence for each kind of pair that there is."""
        found = []
        if self.contradictions:
            one, other = self.contradictions[0]
            found.append(
                f"{_count(len(self.contradictions), 'recording')} bear both labels: {one.path} is bona fide, and "
                f"{other.path}, with the same content, spoof. Are labels swapped?"
            )
        if self.overlaps:
            one, other = self.overlaps[0]
            found.append(
                f"{_count(len(self.overlaps), 'recording')} of {self.tested} are in {self.learnt} as well, "
                f"by content: {other.path}, for example, is {one.path}."
            )
        return found


def leaks(train_set: Protocol, dev_set: Protocol | None = None) -> Leaks:
    """Those of the two sets, or of one alone, by the content of their files."""
    everything = [*train_set.utterances, *(dev_set.utterances if dev_set is not None else ())]
    border = len(train_set)
    sets = [(set(range(border)), set(range(border, len(everything))))]
    return Leaks(*_pairs(everything, sets))


def leaks_across(everything: Protocol, folds: Sequence[Fold]) -> Leaks:
    """Those of a training over `folds` of `everything`: an overlap is a recording on which the model of a fold is
    tested, and one of the same content from which that model has learnt."""
    index = {utterance.id: i for i, utterance in enumerate(everything.utterances)}
    sets = [({index[u.id] for u in f.train.utterances}, {index[u.id] for u in f.test.utterances}) for f in folds]
    return Leaks(*_pairs(everything.utterances, sets), "the training part of a fold", "its test part")


def _pairs(everything: Sequence[Utterance], sets: Sequence[tuple[set[int], set[int]]]) -> tuple[Pairs, Pairs, int]:
    """Overlaps, contradictions and repeats; `sets` are those of indices to learn from, each with one to test on."""
    overlaps, contradictions, repeats = [], [], 0
    for group in twins(everything):
        crossing = [
            (next(i for i in group if i in learnt), j)
            for learnt, tested in sets
            for j in group
            if j in tested and not learnt.isdisjoint(group)
        ]
        overlaps += [(everything[i], everything[j]) for i, j in crossing]
        repeats += max(0, len(group) - 1 - len(crossing))
        by_label = {everything[i].label: everything[i] for i in group}
        if len(by_label) > 1:
            spoof, bonafide = (by_label[label] for label in sorted(label for label in by_label if label is not None))
            contradictions.append((bonafide, spoof))
    return tuple(overlaps), tuple(contradictions), repeats


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
