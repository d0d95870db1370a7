"""Where a model is known to be weaker: its thresholds under each condition that a recording may have been through.

The inconclusive band of a recording is as wide as the widest of the conditions that it shows signs of
(`metrics.calibration.widest`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from deepcheck.audio.conditions import Condition, parse_conditions
from deepcheck.config import CalibrationConfig
from deepcheck.data.utterance import Label, Utterance
from deepcheck.engine.calibrate import Judged, Scored, Scores, score, shown_rates, thresholds_for
from deepcheck.engine.processes import ALONE, Processes
from deepcheck.engine.reference import UNFAMILIAR
from deepcheck.errors import ConfigError
from deepcheck.metrics.calibration import NO_VERDICT, Calibration, Thresholds
from deepcheck.metrics.detection import eer
from deepcheck.seeding import seed_of

FAR = 0.2  # the share of the development recordings, in all conditions, that stands for these


@dataclass(frozen=True)
class Bands:
    """Thresholds and EER by name of the condition; `note` says what could not be had."""

    thresholds: dict[str, Thresholds]
    eers: dict[str, float]
    note: str = ""


def chosen_conditions(config: CalibrationConfig) -> tuple[list[Condition], str]:
    """Those of `config.conditions`, and a word on any of the usual ones that this machine cannot make.

    `ConfigError` for one that does not exist.
    """
    usual = CalibrationConfig().conditions
    conditions: list[Condition] = []
    left_out = []
    for name in config.conditions:
        try:
            conditions += [one for one in parse_conditions(name) if one.name != "clean"]
        except ConfigError:
            if name not in usual:
                raise
            left_out.append(name)
    return conditions, f"This machine has no encoder for: {', '.join(left_out)}." if left_out else ""


def measure(
    judged: Sequence[Judged],
    clean: Scored,
    calibration: Calibration,
    config: CalibrationConfig,
    processes: Processes = ALONE,
    progress: Callable[[str], None] | None = None,
) -> Bands:
    """Thresholds on the recordings that are `judged`, together, under each of the conditions of `config`; `clean` are
    their logits as they are.

    The scorers give logits. Where they have a reference, there is also the band `unfamiliar`. Where the recordings are
    too few to show either rate there are no bands: nothing would be known of them. `progress(condition)` is called
    before each.
    """
    conditions, note = chosen_conditions(config)
    bonafide, spoof = (len(scores) for scores in clean.by_label())
    familiar = judged[0].scorer.reference is not None
    if not shown_rates(bonafide, spoof, config) or not (conditions or familiar):
        return Bands({}, {}, note)
    sample = {utterance.id for utterance in subsample(clean.utterances, config.condition_recordings)}
    parts = [Judged(one.scorer, one.protocol.where(lambda u: u.id in sample)) for one in judged]
    bands, every = Bands({}, {}, note), [clean.pooled(calibration)]
    failed: list[str] = []

    def leave_out(path: Path, reason: str) -> None:
        failed.append(reason)

    for condition in conditions if len(sample) > 1 else ():
        if progress is not None:
            progress(condition.name)
        each = [score(*part, leave_out, processes, condition) for part in parts]
        found = Scored.joined(each).pooled(calibration)
        genuine, synthetic = found.by_label()
        if not (len(genuine) and len(synthetic)):
            reason = failed[-1] if failed else "one label is missing"
            note = f'No recording could be put through the condition "{condition.name}" ({reason}).'
            bands = replace(bands, note=f"{bands.note} {note}".strip())
            continue
        bands.thresholds[condition.name] = thresholds_for(genuine, synthetic, config)
        bands.eers[condition.name] = eer(genuine, synthetic)[0]
        every.append(found)
    if familiar:
        bands.thresholds[UNFAMILIAR] = unfamiliar(every, config)
    return bands


def subsample(utterances: Sequence[Utterance], most: int) -> list[Utterance]:
    """At most `most`, half of each label as far as there are so many; which ones depends on their ids alone."""
    drawn = sorted(utterances, key=lambda utterance: seed_of("subsample", utterance.id))
    by_label = [[utterance for utterance in drawn if utterance.label is label] for label in Label]
    fewer, more = sorted(by_label, key=len)
    half = min(len(fewer), most // 2)
    chosen = {u.id for u in [*fewer[:half], *more[: most - half]]}
    return [u for u in utterances if u.id in chosen]


def unfamiliar(every: Sequence[Scored], config: CalibrationConfig) -> Thresholds:
    """Thresholds for what lies far from the training data: those of the farthest fifth of `every`, which are log-
    likelihood ratios of the same development set in several conditions.

    Each recording counts once, however many of its versions lie there, with the score that is worst for its label: they
    do not bear witness for each other. `NO_VERDICT` where that leaves too few to show the rates of `config`.
    """
    distances = np.concatenate([one.distances for one in every])
    far = float(np.quantile(distances, 1 - FAR))
    worst: dict[str, tuple[Label, float]] = {}
    for one in every:
        for utterance, llr, distance in zip(one.utterances, one.scores, one.distances, strict=True):
            if distance < far or utterance.label is None:
                continue
            pick = min if utterance.label is Label.BONAFIDE else max
            known = worst.get(utterance.id)
            worst[utterance.id] = (utterance.label, float(llr if known is None else pick(known[1], llr)))
    bonafide, spoof = (_of(worst, label) for label in (Label.BONAFIDE, Label.SPOOF))
    if len(shown_rates(len(bonafide), len(spoof), config)) < 2:
        return NO_VERDICT
    return thresholds_for(bonafide, spoof, config)


def _of(worst: dict[str, tuple[Label, float]], label: Label) -> Scores:
    return np.array([llr for own, llr in worst.values() if own is label])
