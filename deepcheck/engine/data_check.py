"""A look at the data of a training before it begins: counts, overlaps, what cannot be read, shortcuts."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from deepcheck.config import TrainConfig
from deepcheck.data.folds import Fold, folds
from deepcheck.data.utterance import Label, Protocol, Utterance
from deepcheck.engine.audit import Audit, audit
from deepcheck.engine.leaks import Leaks, leaks, leaks_across
from deepcheck.engine.surfaces import Surfaces, gather
from deepcheck.engine.training_sets import few, read_all, split_sets
from deepcheck.errors import DataError

_KEYS = ("source", "attack")


@dataclass(frozen=True)
class Count:
    """How many recordings of each label there are in a `part` of the data, as far as their `key` (source, attack) has
    this `value`; both are empty for all of the part."""

    part: str
    key: str
    value: str
    bonafide: int
    spoof: int


@dataclass(frozen=True)
class Findings:
    """What one look at the data found. `refusals` are reasons for which a training on them ends with an error,
    `warnings` such as do not stop it; `audit` is None where there were too few recordings for one."""

    counts: tuple[Count, ...] = ()
    leaks: Leaks | None = None
    unreadable: tuple[tuple[Utterance, str], ...] = ()
    audit: Audit | None = None
    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def check_data(
    config: TrainConfig, *, jobs: int | None = None, progress: Callable[[int, int], None] | None = None
) -> Iterator[Findings]:
    """Everything that can be known of the data of `config` without training, what takes least time first: counts, then
    what there is twice, then what only decoding can tell, for which each recording is read once.

    What a training would refuse is a row of `refusals`. `progress(done, total)` is called after each recording that was
    decoded.
    """
    try:
        parts = _parts(config)
    except DataError as error:
        yield Findings(refusals=(str(error),))
        return
    whole = _joined(parts)
    cut: tuple[Fold, ...] = ()
    if config.folds.count:
        try:
            cut = folds(whole, config.folds.count, config.folds.by, config.seed)
            parts = [fold.test for fold in cut]
        except DataError as error:
            yield Findings(refusals=(str(error),))
    yield Findings(tuple(_counts(parts)), warnings=tuple(_few(parts[1:] if not config.folds.count else ())))
    found = leaks_across(whole, cut) if cut else leaks(*parts)
    yield Findings(leaks=found, refusals=tuple(found.reasons()), warnings=tuple(_repeated(found)))
    yield _heard(whole, parts, gather(whole, jobs=jobs, progress=progress))


def _heard(whole: Protocol, parts: Sequence[Protocol], surfaces: Surfaces) -> Findings:
    warnings, shortcuts = [], None
    if surfaces.skipped:
        warnings.append(f"{len(surfaces.skipped)} of {len(whole)} recordings cannot be read; they are left out.")
    try:
        shortcuts = audit(surfaces)
    except DataError as error:
        warnings.append(error.message)
    if shortcuts is not None and shortcuts.warning:
        warnings.append(shortcuts.warning)
    return Findings(
        unreadable=surfaces.skipped,
        audit=shortcuts,
        refusals=tuple(_unreadable_labels(parts, surfaces)),
        warnings=tuple(warnings),
    )


def _parts(config: TrainConfig) -> list[Protocol]:
    """The training and the development set; over folds all recordings together."""
    return [read_all(config)] if config.folds.count else list(split_sets(config))


def _joined(parts: Sequence[Protocol]) -> Protocol:
    return replace(parts[0], utterances=tuple(one for part in parts for one in part.utterances))


def _counts(parts: Sequence[Protocol]) -> list[Count]:
    rows = []
    for part in parts:
        name = part.subset or part.name
        for key in ("", *_KEYS):
            tallies = Counter((one.get(key) or "" if key else "", one.label) for one in part.utterances)
            values = sorted({value for value, _ in tallies if value or not key})
            rows += [Count(name, key, v, tallies[v, Label.BONAFIDE], tallies[v, Label.SPOOF]) for v in values]
    return rows


def _unreadable_labels(parts: Sequence[Protocol], surfaces: Surfaces) -> list[str]:
    readable = {utterance.path for utterance in surfaces.utterances}
    return [
        f"None of the {label.name.lower()} recordings of {part.describe()} can be read."
        for part in parts
        for label in Label
        if not any(one.label is label and one.path in readable for one in part.utterances)
    ]


def _few(parts: Sequence[Protocol]) -> list[str]:
    return [told for part in parts if (told := few(part))]


def _repeated(found: Leaks) -> list[str]:
    return [f"{found.repeats} recordings are there more than once, by content."] if found.repeats else []
