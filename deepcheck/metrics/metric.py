"""A metric: its names, its unit, and what it is of some trials."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from deepcheck.errors import ConfigError
from deepcheck.metrics.arguments import Scores, finite
from deepcheck.metrics.intervals import Interval
from deepcheck.metrics.tally import Tally, Values, tally


@dataclass(frozen=True)
class Metric:
    """A figure of merit: `name` in files, `title` on screen, `of` what it is of a tally (one value a resample).

    `unit` is "%" for fractions that are shown in percent, "bit", or "". `needs_llr` says that the scores must be
    natural-log likelihood ratios. `thresholds` are the fixed ones that it asks about, and `classes` those whose scores
    it takes, the one to be accepted first. A metric with neither of the first two changes under no rising map of the
    scores.
    """

    name: str
    title: str
    of: Callable[[Tally], Values]
    unit: str = ""
    lower_is_better: bool = True
    needs_llr: bool = False
    thresholds: tuple[float, ...] = ()
    classes: tuple[str, ...] = ("bona fide", "spoof")

    def __call__(self, *scores: Scores) -> float:
        """The value for one array of scores a class; `DataError` for empty or non-finite ones."""
        return float(self.of(tally(*checked(self, scores))))

    def text(self, value: float, interval: Interval | None = None) -> str:
        """The value as people read it, with its interval in brackets: "4.31 % [4.02, 4.60]"."""
        scale, digits = (100, 2) if self.unit == "%" else (1, 4)
        text = f"{scale * value:.{digits}f} {self.unit}".rstrip()
        if interval is None:
            return text
        return f"{text} [{scale * interval.low:.{digits}f}, {scale * interval.high:.{digits}f}]"


def checked(metric: Metric, scores: Iterable[Scores]) -> tuple[Scores, ...]:
    """The scores as float64 arrays, one for each class of the metric; `ConfigError` if their number differs."""
    scores = tuple(scores)
    if len(scores) != len(metric.classes):
        raise ConfigError(
            f"{metric.title} takes {len(metric.classes)} lists of scores, not {len(scores)}.",
            f"Give those of {', '.join(metric.classes)}.",
        )
    return tuple(map(finite, metric.classes, scores))
