"""The table of a training over folds: what was promised for each by the others, and what came of it."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import NamedTuple

from deepcheck.cli.sheet import Sheet
from deepcheck.engine.fold_check import FoldCheck


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _bits(value: float) -> str:
    return f"{value:.3f}"


class _Column(NamedTuple):
    heading: str
    field: str
    text: Callable[[float], str] = _percent
    worst: Callable[[Sequence[float]], float] | None = max  # None: a promise, which is no result


_COLUMNS = (
    _Column("alarms promised", "promised_false_alarm", worst=None),
    _Column("alarms", "false_alarm"),
    _Column("misses promised", "promised_miss", worst=None),
    _Column("missed", "missed"),
    _Column("caught", "caught", worst=min),
    _Column("judged", "judged", worst=min),
    _Column("Cllr", "cllr", _bits),
    _Column("EER", "eer"),
    _Column("same source", "same_source_eer"),
)
_TITLE = (
    "Each fold by the calibration and thresholds of the others (alarms: genuine called spoof; missed: spoof called "
    "bona fide; caught: spoof called spoof; judged: not inconclusive; same source: EER, sources with both labels)"
)


def fold_sheet(checks: Sequence[FoldCheck]) -> Sheet:
    """One row a fold, then the mean and the worst of those folds of which a figure is known."""
    rows = [
        (
            str(one.fold),
            f"{one.bonafide} + {one.spoof}",
            *(_cell(column, getattr(one, column.field)) for column in _COLUMNS),
        )
        for one in checks
    ]
    known = [[value for one in checks if (value := getattr(one, column.field)) is not None] for column in _COLUMNS]
    results = [(column, values if column.worst else []) for column, values in zip(_COLUMNS, known, strict=True)]
    mean = [_cell(column, fmean(values) if values else None) for column, values in results]
    worst = [_cell(column, column.worst(values) if column.worst and values else None) for column, values in results]
    rows += [("mean", "", *mean), ("worst", "", *worst)]
    return Sheet(_TITLE, ("fold", "recordings", *(column.heading for column in _COLUMNS)), tuple(rows))


def _cell(column: _Column, value: float | None) -> str:
    return "" if value is None else column.text(value)
