"""From a detector's logit to a statement: likelihood ratio, probability, verdict."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import overload

import numpy as np

from deepcheck.errors import DataError
from deepcheck.metrics.arguments import Scores, both_classes, require_fraction
from deepcheck.metrics.intervals import tolerated_errors
from deepcheck.metrics.regression import logistic


@dataclass(frozen=True)
class Calibration:
    """The affine map from logits to natural-log likelihood ratios; `scale` is positive."""

    scale: float
    offset: float

    def llr(self, logits: Scores) -> Scores:
        """Natural-log likelihood ratios of bona fide against spoof, in the shape of `logits`."""
        return self.scale * np.asarray(logits, dtype=np.float64) + self.offset


def fit_calibration(bonafide: Scores, spoof: Scores) -> Calibration:
    """The calibration under which the given logits cost the fewest bits (`detection.cllr`).

    Logistic regression (Platt 1999) in which each class weighs one half however many trials it has, so that
    the log-odds it gives are log-likelihood ratios (Brümmer and du Preez 2006). A small ridge keeps the map
    finite where the classes do not overlap, and lets it claim the more, the more trials there are.

    `DataError` for empty or non-finite logits, and if genuine recordings do not score higher than spoofs:
    the fitted scale has the sign of the difference of the means.
    """
    bonafide, spoof = both_classes(bonafide, spoof)
    centre = (bonafide.mean() + spoof.mean()) / 2
    spread = math.sqrt((((bonafide - centre) ** 2).mean() + ((spoof - centre) ** 2).mean()) / 2)
    if bonafide.mean() - spoof.mean() <= 1e-9 * spread:
        raise DataError(
            "The detector cannot be calibrated: on these recordings it is no better than chance, or inverted "
            f"(mean score of bona fide {bonafide.mean():.4g}, of spoof {spoof.mean():.4g}).",
            "Check that the labels are not swapped and that the detector was trained.",
        )
    # A row times the weights is a trial's evidence for its own class, hence the minus for spoofs.
    rows = np.concatenate(
        [
            np.stack([(bonafide - centre) / spread, np.ones_like(bonafide)], axis=1),
            -np.stack([(spoof - centre) / spread, np.ones_like(spoof)], axis=1),
        ]
    )
    importance = np.repeat([0.5 / bonafide.size, 0.5 / spoof.size], [bonafide.size, spoof.size])
    slope, intercept = logistic(rows, importance, ridge=0.01 / min(bonafide.size, spoof.size))
    return Calibration(float(slope / spread), float(intercept - slope * centre / spread))


@overload
def probability_of_spoof(llr: float, prior_spoof: float = 0.5) -> float: ...
@overload
def probability_of_spoof(llr: Scores, prior_spoof: float = 0.5) -> Scores: ...
def probability_of_spoof(llr: float | Scores, prior_spoof: float = 0.5) -> float | Scores:
    """The posterior probability of spoof, 0 to 1, by Bayes' rule; exact in the tails, for any finite `llr`.

    `llr` is one natural-log likelihood ratio or an array of them. `ConfigError` for a prior outside (0, 1).
    """
    require_fraction("The prior probability of spoof", prior_spoof)
    log_odds = np.asarray(llr, dtype=np.float64) + math.log1p(-prior_spoof) - math.log(prior_spoof)
    probability = np.exp(-np.logaddexp(0, log_odds))
    return probability if probability.ndim else float(probability)


@dataclass(frozen=True)
class Thresholds:
    """Log-likelihood ratios at or below `spoof` mean spoof, at or above `bonafide` bona fide."""

    spoof: float
    bonafide: float

    def verdict(self, llr: float) -> str:
        """One of "spoof", "bona fide" and, between the two, "inconclusive"; where they meet, "spoof"."""
        if llr <= self.spoof:
            return "spoof"
        return "bona fide" if llr >= self.bonafide else "inconclusive"


NO_VERDICT = Thresholds(-1e6, 1e6)
"""Between these everything is inconclusive: no score gets there."""


def fit_thresholds(
    bonafide: Scores,
    spoof: Scores,
    *,
    false_alarm: float = 0.01,
    miss: float = 0.05,
    confidence: float = 0.95,
) -> Thresholds:
    """Thresholds on log-likelihood ratios that keep both kinds of wrong verdict rare, with confidence.

    `spoof` is the highest threshold of which the given scores show, with `confidence`, that at most
    `false_alarm` of all genuine recordings are called spoof; `bonafide` the lowest one of which they show
    that at most `miss` of all spoofs are called bona fide. "All" means those from where the given ones come:
    other sources, or several recordings of one speaker, are not covered. If the two cross, both become
    the value between them that is nearest to 0, which only makes errors rarer.

    The threshold lies just beyond the (k+1)-th most extreme score, k = `tolerated_errors` (Wilks 1941; Tong,
    Feng and Li, "Neyman-Pearson classification algorithms", 2018, proposition 1). With too few scores
    for any k it lies just beyond the most extreme one, and the bound is *not* shown: ask `tolerated_errors`.

    `DataError` for empty or non-finite scores, `ConfigError` for a rate outside (0, 1).
    """
    bonafide, spoof = both_classes(bonafide, spoof)
    called_spoof = _just_below(bonafide, tolerated_errors(bonafide.size, false_alarm, confidence))
    called_bonafide = -_just_below(-spoof, tolerated_errors(spoof.size, miss, confidence))
    if called_spoof > called_bonafide:
        called_spoof = called_bonafide = min(max(0.0, called_bonafide), called_spoof)
    return Thresholds(called_spoof, called_bonafide)


def _just_below(scores: Scores, errors: int | None) -> float:
    """The highest threshold that has at most `errors` of the scores at or below it."""
    return float(np.nextafter(np.sort(scores)[errors or 0], -np.inf))


def widest(own: Thresholds, bands: Iterable[Thresholds]) -> Thresholds:
    """The thresholds of a model, where they are narrower those of `bands`: no band gives a verdict that another
    forbids."""
    every = [own, *bands]
    return Thresholds(min(one.spoof for one in every), max(one.bonafide for one in every))
