"""What attacks come to: a table, and the same for machines."""

import math
from collections.abc import Sequence
from typing import Any

from deepcheck.cli.evaluation import percent
from deepcheck.cli.sheet import Sheet
from deepcheck.engine.attacked import Attacked
from deepcheck.engine.evaluate import Rate
from deepcheck.files import exact

_COLUMNS = (
    "model",
    "attack",
    "EER before",
    "EER after",
    "spoof becomes bona fide",
    "flagged spoof escapes",
    "genuine becomes spoof",
    "median SNR",
)


def attack_sheet(found: Sequence[Attacked]) -> Sheet:
    """One row a model and attack, with 95 % intervals in brackets."""
    rows = []
    for one in found:
        clean, attacked = one.eers
        snr = one.snr_db
        rows.append(
            (
                one.model,
                one.attack,
                percent(clean.value, clean.interval),
                percent(attacked.value, attacked.interval),
                _rate(one.cleared),
                _rate(one.escaped),
                _rate(one.accused),
                "nothing moved" if snr is None else f"{snr[0]:.1f} dB [{snr[1].low:.1f}, {snr[1].high:.1f}]",
            )
        )
    return Sheet(f"Attacked: {found[0].protocol}", _COLUMNS, tuple(rows), left=2)


def attacks_document(found: Sequence[Attacked]) -> list[dict[str, Any]]:
    """A mapping a model and attack: the figures of the table, and both scores of every trial."""
    return [_document(one) for one in found]


def _document(one: Attacked) -> dict[str, Any]:
    clean, attacked = one.eers
    snr = one.snr_db
    return {
        "model": one.model,
        "protocol": one.protocol,
        "attack": one.attack,
        "thresholds": vars(one.thresholds),
        "eer_before": clean.value,
        "eer_before_interval": vars(clean.interval),
        "eer_after": attacked.value,
        "eer_after_interval": vars(attacked.interval),
        "spoof_becomes_bonafide": _plain(one.cleared),
        "flagged_spoof_escapes": _plain(one.escaped),
        "genuine_becomes_spoof": _plain(one.accused),
        "median_snr_db": None if snr is None else snr[0],
        "median_snr_db_interval": None if snr is None else vars(snr[1]),
        "trials": [
            {
                "path": exact(trial.utterance.path),
                "label": trial.utterance.label.name.lower() if trial.utterance.label is not None else None,
                "llr_before": trial.clean,
                "llr_after": trial.attacked,
                "snr_db": trial.snr_db if math.isfinite(trial.snr_db) else None,
            }
            for trial in one.trials
        ],
        "skipped": [{"path": exact(utterance.path), "reason": reason} for utterance, reason in one.skipped],
    }


def _rate(rate: Rate | None) -> str:
    return "none was" if rate is None else f"{percent(rate.value, rate.interval)} ({rate.count} of {rate.total})"


def _plain(rate: Rate | None) -> dict[str, Any] | None:
    return None if rate is None else {**vars(rate), "value": rate.value, **vars(rate.interval)}
