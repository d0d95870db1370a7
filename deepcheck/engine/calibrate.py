"""What the development set is for, beside choosing the epoch: calibration, thresholds, and what they are worth."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepcheck.config import CalibrationConfig
from deepcheck.data.utterance import Label, Protocol
from deepcheck.engine.processes import ALONE, Processes
from deepcheck.engine.score import Scorer
from deepcheck.errors import DataError
from deepcheck.metrics.calibration import Calibration, Thresholds, fit_calibration, fit_thresholds
from deepcheck.metrics.detection import auc, cllr, eer
from deepcheck.metrics.intervals import tolerated_errors

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """The parts of a card that come from the development set; `note` says what the data could not show."""

    calibration: Calibration | None
    thresholds: Thresholds | None
    rates: dict[str, float]
    metrics: dict[str, float]
    note: str


def score_by_label(
    scorer: Scorer,
    protocol: Protocol,
    on_error: Callable[[Path, str], None] | None = None,
    processes: Processes = ALONE,
) -> tuple[Scores, Scores]:
    """(bona fide, spoof) mean scores of the recordings, in the order of the protocol; `processes` share the work.

    Those that cannot be decoded are left out, and told to `on_error` with the reason.
    """
    utterances = protocol.utterances
    mine = utterances[processes.share(len(utterances))]
    own_means = np.full(len(mine), np.nan)
    own_decoded = np.zeros(len(mine), bool)
    own_errors: list[tuple[Path, str]] = []
    for scores in scorer.recordings([utterance.path for utterance in mine]):
        if scores.error is None:
            own_means[scores.index] = scores.mean_llr()
            own_decoded[scores.index] = True
        else:
            own_errors.append((scores.path, scores.error))
    gathered = processes.gather((own_means, own_decoded, own_errors))
    means, decoded = (np.concatenate([part[i] for part in gathered]) for i in (0, 1))
    for path, reason in [error for part in gathered for error in part[2]]:
        if on_error is not None:
            on_error(path, reason)
    labels = np.array([utterance.label for utterance in utterances])
    if not np.isfinite(means[decoded]).all():
        raise DataError("The detector gives scores that are no numbers: its training has diverged.", "Lower the lr.")
    return means[decoded & (labels == Label.BONAFIDE)], means[decoded & (labels == Label.SPOOF)]


def fit(bonafide: Scores, spoof: Scores, config: CalibrationConfig) -> Fitted:
    """Calibration and thresholds for the given logits; `DataError` if they do not tell the labels apart."""
    calibration = fit_calibration(bonafide, spoof)
    bonafide, spoof = calibration.llr(bonafide), calibration.llr(spoof)
    rates = {"false_alarm": (config.false_alarm, len(bonafide)), "miss": (config.miss, len(spoof))}
    shown = {
        name: rate
        for name, (rate, trials) in rates.items()
        if tolerated_errors(trials, rate, config.confidence) is not None
    }
    thresholds = fit_thresholds(
        bonafide, spoof, false_alarm=config.false_alarm, miss=config.miss, confidence=config.confidence
    )
    # Where nothing can be shown, nothing that was seen gets the verdict.
    if "false_alarm" not in shown:
        thresholds = replace(thresholds, spoof=float(np.nextafter(min(bonafide.min(), spoof.min()), -np.inf)))
    if "miss" not in shown:
        thresholds = replace(thresholds, bonafide=float(np.nextafter(max(bonafide.max(), spoof.max()), np.inf)))
    note = (
        f"{len(bonafide)} genuine and {len(spoof)} synthetic development recordings are too few to show error rates "
        f"of {config.false_alarm:.1%} and {config.miss:.1%}: where they are, the threshold lies beyond all of them."
    )
    return Fitted(
        calibration,
        thresholds,
        {"confidence": config.confidence, "bonafide": len(bonafide), "spoof": len(spoof), **shown},
        {"dev_eer": eer(bonafide, spoof)[0], "dev_auc": auc(bonafide, spoof), "dev_cllr": cllr(bonafide, spoof)},
        "" if len(shown) == len(rates) else note,
    )
