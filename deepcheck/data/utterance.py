"""What a labelled recording is."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path

from deepcheck.errors import DataError


class Label(IntEnum):
    """The only place where the convention lives: higher = more bona fide."""

    SPOOF = 0
    BONAFIDE = 1


_WORDS = {
    **dict.fromkeys(("bonafide", "bona-fide", "bona_fide", "bona fide", "genuine", "real", "human"), Label.BONAFIDE),
    **dict.fromkeys(("spoof", "spoofed", "fake", "synthetic", "deepfake"), Label.SPOOF),
}


def parse_label(word: str) -> Label:
    """The label that a word of any corpus stands for (bonafide, genuine, real ... | spoof, fake ...).

    Digits are refused: half of the field writes 1 for bona fide, the other half for spoof.
    """
    label = _WORDS.get(word.strip().lower())
    if label is None:
        raise DataError(f'"{word}" is not a label.', "Write bonafide or spoof.")
    return label


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording of a protocol.

    `attack` is the system that made a spoof, `source` the collection that it came in (a site, a package, a
    channel), `pair` the id of the genuine recording that a spoof was made from, `tags` any further columns.
    """

    id: str
    path: Path
    label: Label | None = None
    attack: str | None = None
    speaker: str | None = None
    source: str | None = None
    pair: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def get(self, key: str) -> str | None:
        """The value of a field or tag by name, for tables per attack, source, language and so on."""
        if key in {"attack", "speaker", "source", "pair"}:
            value: str | None = getattr(self, key)
            return value
        return self.tags.get(key)


@dataclass(frozen=True)
class Protocol:
    """A list of utterances with a name, as a reader of `deepcheck.data.protocols` returns it.

    `note` is what somebody who misses something in it should know, such as where its labels are.
    """

    name: str
    subset: str | None
    utterances: tuple[Utterance, ...]
    note: str = ""

    def __len__(self) -> int:
        return len(self.utterances)

    def counts(self) -> Counter[Label | None]:
        """How many utterances of each label."""
        return Counter(utterance.label for utterance in self.utterances)

    def where(self, condition: Callable[[Utterance], bool]) -> "Protocol":
        """The utterances for which `condition` holds."""
        return replace(self, utterances=tuple(u for u in self.utterances if condition(u)))

    def require_both_labels(self) -> None:
        """`DataError` unless there is bona fide as well as spoof."""
        counts = self.counts()
        for label in Label:
            if not counts[label]:
                raise DataError(
                    f"{self.describe()} holds no {label.name.lower()} recording.",
                    "Training and evaluation need both labels.",
                )

    def describe(self) -> str:
        """Name, subset, counts and note in a line."""
        counts = self.counts()
        subset = f" ({self.subset})" if self.subset else ""
        text = f"{self.name}{subset}: {counts[Label.BONAFIDE]} bona fide, {counts[Label.SPOOF]} spoof"
        text += f", {counts[None]} without a label" if counts[None] else ""
        return text + (f" ({self.note})" if self.note else "")
