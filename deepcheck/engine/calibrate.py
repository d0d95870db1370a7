"""What the development set is for, beside choosing the epoch: calibration, thresholds, and what they are worth."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepcheck.audio.conditions import Condition
from deepcheck.config import CalibrationConfig
from deepcheck.data.utterance import Label, Protocol, Utterance
from deepcheck.engine.dev_scores import DevScores
from deepcheck.engine.processes import ALONE, Processes
from deepcheck.engine.score import Scorer
from deepcheck.errors import DataError
from deepcheck.metrics.calibration import Calibration, Thresholds, fit_calibration, fit_thresholds
from deepcheck.metrics.detection import auc, cllr, eer
from deepcheck.metrics.intervals import tolerated_errors
from deepcheck.metrics.pooling import recording_llr

Scores = NDArray[np.float64]
OnError = Callable[[Path, str], None]


@dataclass(frozen=True)
class Fitted:
    """The parts of a card that come from the development set; `note` says what the data could not show."""

    calibration: Calibration | None
    thresholds: Thresholds | None
    rates: dict[str, float]
    metrics: dict[str, float]
    note: str
    bands: dict[str, Thresholds] = field(default_factory=dict)


@dataclass(frozen=True)
class Scored:
    """The recordings of a protocol that could be decoded, in its order, their mean scores, and their `distances` from
    what the detector was trained on (NaN without a reference); `windows` are the scores that the mean is of."""

    utterances: tuple[Utterance, ...]
    scores: Scores
    distances: Scores
    windows: tuple[Scores, ...] = ()

    @property
    def labels(self) -> NDArray[np.int64]:
        """(recordings,) of `Label`."""
        return np.array([utterance.label for utterance in self.utterances], np.int64)

    def by_label(self) -> tuple[Scores, Scores]:
        """(bona fide, spoof) scores."""
        labels = self.labels
        return self.scores[labels == Label.BONAFIDE], self.scores[labels == Label.SPOOF]

    def pooled(self, calibration: Calibration) -> "Scored":
        """The log-likelihood ratios that a scan would give the recordings, if the scores are logits."""
        llrs = [recording_llr(calibration.llr(windows)) for windows in self.windows]
        return replace(self, scores=np.array(llrs))

    def dev_scores(self) -> DevScores:
        """To be kept beside the weights, if the scores are logits of the development set."""
        return DevScores.of((utterance.id for utterance in self.utterances), self.labels, self.scores)

    @classmethod
    def joined(cls, parts: Sequence["Scored"]) -> "Scored":
        """The recordings of all parts, of which there is at least one, in their order."""
        return cls(
            tuple(utterance for part in parts for utterance in part.utterances),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.distances for part in parts]),
            tuple(windows for part in parts for windows in part.windows),
        )


class Judged(NamedTuple):
    """A scorer, and recordings that its detector was not trained on."""

    scorer: Scorer
    protocol: Protocol


def score(
    scorer: Scorer,
    protocol: Protocol,
    on_error: OnError | None = None,
    processes: Processes = ALONE,
    condition: Condition | None = None,
) -> Scored:
    """The recordings of a protocol, all with a label, through `condition` if there is one; `processes` share the work.

    Those that cannot be decoded are left out, and told to `on_error` with the reason.
    """
    utterances = protocol.utterances
    mine = utterances[processes.share(len(utterances))]
    own_means, own_distances = np.full(len(mine), np.nan), np.full(len(mine), np.nan)
    own_decoded = np.zeros(len(mine), bool)
    own_windows: list[Scores] = [np.empty(0)] * len(mine)
    own_errors: list[tuple[Path, str]] = []
    change = None if condition is None else (lambda index, waveform: condition(waveform, mine[index].id))
    for found in scorer.recordings([utterance.path for utterance in mine], change=change):
        if found.error is None:
            own_means[found.index], own_distances[found.index] = found.mean_llr(), found.distance()
            own_windows[found.index] = found.llrs()
            own_decoded[found.index] = True
        else:
            own_errors.append((found.path, found.error))
    gathered = processes.gather((own_means, own_distances, own_decoded, own_windows, own_errors))
    means, distances, decoded = (np.concatenate([part[i] for part in gathered]) for i in range(3))
    for path, reason in [error for part in gathered for error in part[4]]:
        if on_error is not None:
            on_error(path, reason)
    if not np.isfinite(means[decoded]).all():
        raise DataError("The detector gives scores that are no numbers: its training has diverged.", "Lower the lr.")
    whole = tuple(utterance for utterance, is_whole in zip(utterances, decoded, strict=True) if is_whole)
    windows = [one for part in gathered for one in part[3]]
    kept = tuple(one for one, is_whole in zip(windows, decoded, strict=True) if is_whole)
    return Scored(whole, means[decoded], distances[decoded], kept)


def score_by_label(
    scorer: Scorer, protocol: Protocol, on_error: OnError | None = None, processes: Processes = ALONE
) -> tuple[Scores, Scores]:
    """(bona fide, spoof) mean scores of the recordings, as `score` has them."""
    return score(scorer, protocol, on_error, processes).by_label()


def fit(bonafide: Scores, spoof: Scores, config: CalibrationConfig) -> Fitted:
    """Calibration and thresholds for the given logits; `DataError` if they do not tell the labels apart."""
    calibration = fit_calibration(bonafide, spoof)
    bonafide, spoof = calibration.llr(bonafide), calibration.llr(spoof)
    shown = shown_rates(len(bonafide), len(spoof), config)
    note = (
        f"{len(bonafide)} genuine and {len(spoof)} synthetic development recordings are too few to show error rates "
        f"of {config.false_alarm:.1%} and {config.miss:.1%}: where they are, the threshold lies beyond all of them."
    )
    return Fitted(
        calibration,
        thresholds_for(bonafide, spoof, config),
        {"confidence": config.confidence, "bonafide": len(bonafide), "spoof": len(spoof), **shown},
        {"dev_eer": eer(bonafide, spoof)[0], "dev_auc": auc(bonafide, spoof), "dev_cllr": cllr(bonafide, spoof)},
        "" if len(shown) == 2 else note,
    )


def fit_recordings(scored: Scored, config: CalibrationConfig) -> Fitted:
    """As `fit`, with thresholds on what a scan says of a recording, which in one of many windows is not their mean."""
    fitted = fit(*scored.by_label(), config)
    assert fitted.calibration is not None
    return replace(fitted, thresholds=thresholds_for(*scored.pooled(fitted.calibration).by_label(), config))


def swapped(bonafide: Scores, spoof: Scores) -> str:
    """A question, if the scores are clearly the wrong way round: their AUC lies below one half by more than three
    standard deviations of that of scores which know nothing (Mann and Whitney 1947)."""
    trials = len(bonafide), len(spoof)
    found, chance = auc(bonafide, spoof), math.sqrt((sum(trials) + 1) / (12 * trials[0] * trials[1]))
    if found >= 0.5 - 3 * chance:
        return ""
    return (
        f"The development scores are the wrong way round (AUC {found:.3f}): are the labels of one of the sets swapped?"
    )


def shown_rates(bonafide: int, spoof: int, config: CalibrationConfig) -> dict[str, float]:
    """Those of `false_alarm` and `miss` that so many recordings can show, by name."""
    rates = {"false_alarm": (config.false_alarm, bonafide), "miss": (config.miss, spoof)}
    return {
        name: rate
        for name, (rate, trials) in rates.items()
        if tolerated_errors(trials, rate, config.confidence) is not None
    }


def thresholds_for(bonafide: Scores, spoof: Scores, config: CalibrationConfig) -> Thresholds:
    """On log-likelihood ratios; where nothing can be shown, nothing that was seen gets the verdict."""
    shown = shown_rates(len(bonafide), len(spoof), config)
    thresholds = fit_thresholds(
        bonafide, spoof, false_alarm=config.false_alarm, miss=config.miss, confidence=config.confidence
    )
    if "false_alarm" not in shown:
        thresholds = replace(thresholds, spoof=float(np.nextafter(min(bonafide.min(), spoof.min()), -np.inf)))
    if "miss" not in shown:
        thresholds = replace(thresholds, bonafide=float(np.nextafter(max(bonafide.max(), spoof.max()), np.inf)))
    return thresholds
