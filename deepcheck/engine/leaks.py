"""What makes a training worth nothing before it begins: a test on what was learnt, and labels that contradict."""

from dataclasses import dataclass

from deepcheck.data.content import twins
from deepcheck.data.utterance import Protocol, Utterance
from deepcheck.errors import DataError

_HINT = "Remove one of each pair; deepcheck train --check lists them."


@dataclass(frozen=True)
class Leaks:
    """Pairs of recordings with the same content: `overlaps` (in the training set, in the development set), and
    `contradictions` (bona fide, spoof), wherever they are; `repeats` is how many more there are twice in one set."""

    overlaps: tuple[tuple[Utterance, Utterance], ...]
    contradictions: tuple[tuple[Utterance, Utterance], ...]
    repeats: int

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
                f"{_count(len(self.overlaps), 'recording')} of the development set are in the training set as well, "
                f"by content: {other.path}, for example, is {one.path}."
            )
        return found


def leaks(train_set: Protocol, dev_set: Protocol | None = None) -> Leaks:
    """Those of the two sets, or of one alone, by the content of their files."""
    train = train_set.utterances
    everything = [*train, *(dev_set.utterances if dev_set is not None else ())]
    overlaps, contradictions, repeats = [], [], 0
    for group in twins(everything):
        inside = [everything[i] for i in group if i < len(train)]
        outside = [everything[i] for i in group if i >= len(train)]
        overlaps += [(inside[0], other) for other in outside] if inside else []
        repeats += max(0, len(inside) - 1) + max(0, len(outside) - 1)
        by_label = {everything[i].label: everything[i] for i in group}
        if len(by_label) > 1:
            spoof, bonafide = (by_label[label] for label in sorted(label for label in by_label if label is not None))
            contradictions.append((bonafide, spoof))
    return Leaks(tuple(overlaps), tuple(contradictions), repeats)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
