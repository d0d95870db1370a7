"""Do promises hold elsewhere? Each fold is judged by the calibration and the thresholds that the others gave."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from deepcheck.card import Card
from deepcheck.config import CalibrationConfig
from deepcheck.data.utterance import Utterance
from deepcheck.engine.calibrate import Fitted, Scored, Scores, fit_recordings
from deepcheck.engine.evaluate import Evaluation, Trial
from deepcheck.errors import DataError
from deepcheck.metrics.calibration import Calibration
from deepcheck.metrics.detection import cllr, eer

_FOLDS = "folds"
_STAGES = ("train", "fuse")  # after which a model is what its folds were checked for


@dataclass(frozen=True)
class FoldCheck:
    """One fold: its recordings, and what came of the promises of the other folds. Rates are fractions.

    `promised_false_alarm` and `promised_miss` are what the thresholds were fitted for, None where the other folds have
    too few recordings to show it. `false_alarm` is the share of genuine recordings called spoof, `missed` of spoofs
    called bona fide, `caught` of spoofs called spoof, `judged` of all recordings that got a verdict. `same_source_eer`
    is that of the sources that hold both labels. None is what could not be had: all but the EERs, where the other folds
    do not tell the labels apart.
    """

    fold: int
    bonafide: int
    spoof: int
    promised_false_alarm: float | None = None
    false_alarm: float | None = None
    promised_miss: float | None = None
    missed: float | None = None
    caught: float | None = None
    judged: float | None = None
    cllr: float | None = None
    eer: float | None = None
    same_source_eer: float | None = None


def cross_check(
    scored: Sequence[Scored], config: CalibrationConfig, name: str
) -> tuple[tuple[FoldCheck, ...], tuple[Evaluation, ...]]:
    """(the check of each fold, its recordings with the log-likelihood ratios that the other folds' calibration gives).

    `scored` are the logits of each fold by a detector that has heard none of it. Verdicts are those of a scan without
    notes, on windows pooled as it does; Cllr, EERs and the ratios are of means, as in an evaluation. Where the other
    folds give no calibration the ratios are logits.
    """
    found = []
    for number, own in enumerate(scored):
        others = Scored.joined([*scored[:number], *scored[number + 1 :]])
        try:
            fitted = fit_recordings(others, config)
        except DataError:
            fitted = Fitted(None, None, {}, {}, "")
        llrs = (fitted.calibration or Calibration(1.0, 0.0)).llr(own.scores)
        trials = _trials(own.utterances, llrs)
        evaluation = Evaluation(f"{name}:fold-{number + 1}", f"fold {number + 1}", fitted.thresholds, trials, ())
        found.append((_check(number + 1, own, evaluation, fitted), evaluation))
    checks, evaluations = zip(*found, strict=True)
    return checks, evaluations


def _check(fold: int, own: Scored, evaluation: Evaluation, fitted: Fitted) -> FoldCheck:
    bonafide, spoof = evaluation.scores()
    check = FoldCheck(fold, len(bonafide), len(spoof))
    if not (len(bonafide) and len(spoof)):  # none of the others could be decoded
        return check
    same = evaluation.same_source
    check = replace(check, eer=eer(bonafide, spoof)[0], same_source_eer=same.eer if same else None)
    if fitted.calibration is None:
        return check
    pooled = _trials(own.utterances, own.pooled(fitted.calibration).scores)
    verdicts = replace(evaluation, trials=pooled).verdicts
    assert verdicts is not None
    rates = (verdicts.false_alarms, verdicts.cleared, verdicts.missed, verdicts.caught)
    return replace(
        check,
        promised_false_alarm=fitted.rates.get("false_alarm"),
        false_alarm=verdicts.false_alarms.value,
        promised_miss=fitted.rates.get("miss"),
        missed=verdicts.missed.value,
        caught=verdicts.caught.value,
        judged=sum(rate.count for rate in rates) / len(pooled),
        cllr=cllr(bonafide, spoof),
    )


def _trials(utterances: Iterable[Utterance], llrs: Scores) -> tuple[Trial, ...]:
    return tuple(Trial(u, float(llr), float("nan")) for u, llr in zip(utterances, llrs, strict=True))


def as_row(checks: Iterable[FoldCheck]) -> dict[str, Any]:
    """For a row of a card's history."""
    return {_FOLDS: [asdict(check) for check in checks]}


def checks_of(card: Card) -> tuple[FoldCheck, ...]:
    """Those of the last training of a model, if it was one over folds, or of the fusion of several; none if what stands
    there makes no sense."""
    rows = [row for row in card.history if row.get("stage") in _STAGES]
    told = rows[-1].get(_FOLDS) if rows else None
    if not isinstance(told, list) or not all(isinstance(one, Mapping) for one in told):
        return ()
    try:
        checks = tuple(FoldCheck(**one) for one in told)
    except TypeError:
        return ()
    numbers = [value for check in checks for value in asdict(check).values()]
    return checks if all(value is None or type(value) in (int, float) for value in numbers) else ()
