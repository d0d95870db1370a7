"""Score files of the challenges: written for their scorers, and read to score what other systems said.

Higher = bona fide everywhere. Three layouts: `asvspoof2019` (utterance, attack or -, bonafide or spoof, score),
`asvspoof2021` (utterance, score), both without a header, and `asvspoof5` (filename, cm-score, with a header, tabs).
"""

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from deepcheck.data.protocols.recordings import stem
from deepcheck.data.utterance import Protocol, Utterance
from deepcheck.engine.evaluate import Evaluation, Trial, assembled, labelled
from deepcheck.engine.score_journal import Entry
from deepcheck.errors import ConfigError, DataError
from deepcheck.files import exact
from deepcheck.metrics.detection import eer
from deepcheck.registry import did_you_mean

_COLUMNS = ("model", "id", "path", "label", "attack", "source", "duration_s", "llr")
_IDS, _SCORES = ("id", "filename", "utterance", "utt", "file"), ("llr", "cm-score", "cm_score", "score")


def score_file(evaluations: Iterable[Evaluation], layout: str = "csv") -> str:
    """The scores of all trials as a document; raises as `require_layout` does."""
    evaluations = list(evaluations)
    require_layout(layout, len(evaluations), (trial.utterance for e in evaluations for trial in e.trials))
    if layout == "csv":
        return _csv(evaluations)
    return "".join(f"{line}\n" for line in _CHALLENGES[layout](evaluations[0].trials))


def require_layout(layout: str, systems: int = 1, utterances: Iterable[Utterance] = ()) -> None:
    """`ConfigError` for an unknown layout, and for one of a challenge if it cannot hold this.

    Those hold the scores of one system, and have blanks between columns, so that an id must have none.
    """
    if layout not in LAYOUTS:
        raise ConfigError(f'There is no score layout "{layout}".', did_you_mean(layout, list(LAYOUTS)))
    if layout == "csv":
        return
    if systems != 1:
        raise ConfigError(
            f"A score file in the layout {layout} holds the scores of one model, not {systems}.",
            "Evaluate one, or take the layout csv.",
        )
    for utterance in utterances:
        if len(utterance.id.split()) != 1:
            raise ConfigError(
                f'The layout {layout} has no place for the blank in "{utterance.id}".', "Take the layout csv."
            )


def read_scores(path: Path, protocol: Protocol, name: str) -> Evaluation:
    """The evaluation of the scores in a file that any system wrote, under `name`; without thresholds.

    The layout is recognised: a header with some of the usual names, else the utterance first and its score last.
    Neither the ending of a recording nor, where names are unique without, its folder matters. `DataError` if a line
    has no score, an utterance of the protocol is missing, or one comes twice with different scores.
    """
    utterances = labelled(protocol)
    scores: dict[str, float] = {}
    for number, (utterance, text) in enumerate(_rows(path), start=1):
        score = _number(text)
        if score is None:
            raise DataError(f'{path}, trial {number}: "{text}" is no score.', "Is the layout right?")
        if scores.setdefault(stem(utterance), score) != score:
            raise DataError(
                f'{path} scores "{utterance}" twice, and not alike.', "A file holds the scores of one system."
            )
    bare = {name.rpartition("/")[2]: score for name, score in scores.items()}
    if len(bare) == len(scores):
        scores |= {name: score for name, score in bare.items() if name not in scores}
    missing = [u.id for u in utterances if stem(u.id) not in scores]
    if missing:
        raise DataError(
            f"{path} has no score for {len(missing)} of {len(utterances)} trials, such as {missing[0]}.",
            "Score all of them, or name the right --subset.",
        )
    entries = (Entry(index, scores[stem(u.id)], float("nan")) for index, u in enumerate(utterances))
    return assembled(name, protocol, entries)


def threshold_at_eer(path: Path) -> float:
    """The threshold at the EER of one model, whose labelled scores `path` holds in the layout csv, else `DataError`."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        known = {word: [float(row["llr"]) for row in rows if row["label"] == word] for word in ("bonafide", "spoof")}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"The scores {path} cannot be read: {getattr(error, 'strerror', error)}.") from None
    except (KeyError, TypeError, ValueError):
        known = {}
    if not all(known.values()) or not known:
        raise DataError(f"{path} holds no labelled scores.", "Write them with: deepcheck eval --scores FILE.")
    if len({row.get("model") for row in rows}) > 1:
        raise DataError(f"{path} holds the scores of several models.", "Write those of one, and carry its threshold.")
    return eer(np.array(known["bonafide"]), np.array(known["spoof"]))[1]


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            commas = "," in next((line for line in file if line.strip()), "")
            file.seek(0)
            rows = csv.reader(file) if commas else map(str.split, file)
            yield from _pairs(path, (row for cells in rows if any(row := [cell.strip() for cell in cells])))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"The score file {path} cannot be read: {getattr(error, 'strerror', error)}.") from None


def _pairs(path: Path, rows: Iterator[list[str]]) -> Iterator[tuple[str, str]]:
    """(utterance, score) of each row but a header, one at a time: a file of a challenge holds 700,000."""
    head = next(rows, None)
    if head is None:
        raise DataError(f"The score file {path} is empty.")
    lower = [word.lower() for word in head]
    where_id = next((lower.index(word) for word in _IDS if word in lower), None)
    where_score = next((lower.index(word) for word in _SCORES if word in lower), None)
    if where_id is None or where_score is None:
        where_id, where_score, rows = 0, len(head) - 1, chain([head], rows)
    for row in rows:
        if len(row) <= max(where_id, where_score, 1):
            raise DataError(f'{path}: "{" ".join(row)}" is no trial with a score.', "Is the layout right?")
        yield row[where_id], row[where_score]


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _csv(evaluations: Iterable[Evaluation]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for evaluation in evaluations:
        for trial in evaluation.trials:
            u = trial.utterance
            assert u.label is not None
            row = [u.id, exact(u.path), u.label.name.lower(), u.attack, u.source, f"{trial.duration_s:.3f}"]
            writer.writerow([evaluation.model, *row, f"{trial.llr:.6f}"])
    return text.getvalue()


def _asvspoof2019(trials: Iterable[Trial]) -> Iterator[str]:
    for trial in trials:
        u = trial.utterance
        assert u.label is not None
        attack = "_".join((u.attack or "-").split())
        yield f"{u.id} {attack} {u.label.name.lower()} {trial.llr:.6f}"


def _asvspoof2021(trials: Iterable[Trial]) -> Iterator[str]:
    for trial in trials:
        yield f"{trial.utterance.id} {trial.llr:.6f}"


def _asvspoof5(trials: Iterable[Trial]) -> Iterator[str]:
    yield "filename\tcm-score"
    for trial in trials:
        yield f"{trial.utterance.id}\t{trial.llr:.6f}"


_CHALLENGES: dict[str, Callable[[Iterable[Trial]], Iterator[str]]] = {
    "asvspoof2019": _asvspoof2019,
    "asvspoof2021": _asvspoof2021,
    "asvspoof5": _asvspoof5,
}
LAYOUTS = ("csv", *_CHALLENGES)
