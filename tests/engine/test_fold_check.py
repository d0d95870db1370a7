"""Promised against actual, on scores that are at hand."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from deepcheck.card import Card, DetectorSpec
from deepcheck.config import CalibrationConfig
from deepcheck.data.utterance import Label, Utterance
from deepcheck.engine.calibrate import Scored
from deepcheck.engine.fold_check import FoldCheck, as_row, checks_of, cross_check
from deepcheck.metrics.calibration import fit_calibration, fit_thresholds
from deepcheck.metrics.detection import cllr, eer

LENIENT = CalibrationConfig(false_alarm=0.2, miss=0.3, confidence=0.9)


def fold(number, bonafide, spoof, sources=3):
    labels = [Label.BONAFIDE] * len(bonafide) + [Label.SPOOF] * len(spoof)
    utterances = tuple(
        Utterance(f"{number}-{i}", Path(f"{i}.wav"), label, source=f"site{number}-{i % sources}")
        for i, label in enumerate(labels)
    )
    scores = np.array([*bonafide, *spoof], float)
    return Scored(utterances, scores, np.full(len(scores), np.nan), tuple(scores[:, None]))


def drawn(number, shift=0.0, size=60):
    rng = np.random.default_rng(number)
    return fold(number, rng.normal(1 + shift, 1, size), rng.normal(-1 + shift, 1, size))


def test_each_fold_by_what_the_others_say():
    scored = [drawn(0), drawn(1), drawn(2, shift=-2.0)]
    checks, evaluations = cross_check(scored, LENIENT, "mine")
    assert [check.fold for check in checks] == [1, 2, 3]
    for number, own in enumerate(scored):
        others = [one.by_label() for one in scored if one is not own]
        bonafide, spoof = (np.concatenate(scores) for scores in zip(*others, strict=True))
        calibration = fit_calibration(bonafide, spoof)
        thresholds = fit_thresholds(
            calibration.llr(bonafide), calibration.llr(spoof), false_alarm=0.2, miss=0.3, confidence=0.9
        )
        genuine, synthetic = (calibration.llr(scores) for scores in own.by_label())
        check = checks[number]
        assert (check.bonafide, check.spoof) == (60, 60)
        assert (check.promised_false_alarm, check.promised_miss) == (0.2, 0.3)
        assert check.false_alarm == np.mean(genuine <= thresholds.spoof)
        assert check.caught == np.mean(synthetic <= thresholds.spoof)
        assert check.missed == np.mean((synthetic >= thresholds.bonafide) & (synthetic > thresholds.spoof))
        llrs = np.concatenate([genuine, synthetic])
        assert check.judged == pytest.approx(np.mean((llrs <= thresholds.spoof) | (llrs >= thresholds.bonafide)))
        assert check.cllr == pytest.approx(cllr(genuine, synthetic))
        assert check.eer == check.same_source_eer == eer(genuine, synthetic)[0]
        # What goes into the score file.
        assert evaluations[number].model == f"mine:fold-{number + 1}"
        np.testing.assert_allclose([trial.llr for trial in evaluations[number].trials], llrs)
    # The promise holds where the folds are alike but for the third, whose place shifts all scores.
    assert checks[2].false_alarm > 0.2
    assert checks[2].missed < checks[2].promised_miss


def test_a_promise_is_kept_where_the_folds_are_alike():
    config = CalibrationConfig(false_alarm=0.05, miss=0.1, confidence=0.9)  # of which the thresholds do not cross
    checks, _ = cross_check([drawn(number, size=2000) for number in range(4)], config, "mine")
    for check in checks:
        assert check.false_alarm == pytest.approx(0.05, abs=0.015)
        assert check.missed == pytest.approx(0.1, abs=0.02)


def test_the_same_source_is_that_of_sources_with_both_labels():
    one = fold(0, [3, 4, 5, 6], [0, 1])  # i % 3: sources 0 and 1 hold both, source 2 genuine alone
    checks, _ = cross_check([one, drawn(1), drawn(2)], LENIENT, "mine")
    assert checks[0].same_source_eer == 0
    apart = fold(0, [3, 4], [0, 1], sources=4)
    assert cross_check([apart, drawn(1)], LENIENT, "mine")[0][0].same_source_eer is None


def test_too_few_promise_nothing():
    checks, _ = cross_check([drawn(0, size=5), drawn(1, size=5)], CalibrationConfig(), "mine")
    for check in checks:
        assert check.promised_false_alarm is check.promised_miss is None
        assert 0 <= check.false_alarm <= 1


def test_folds_that_tell_nothing_apart_leave_the_eer():
    inverted = fold(1, [-1.0, -2.0, -3.0], [1.0, 2.0, 3.0])
    checks, evaluations = cross_check([drawn(0), inverted], LENIENT, "mine")
    assert checks[0].eer is not None
    assert checks[0].false_alarm is checks[0].cllr is None
    np.testing.assert_array_equal([trial.llr for trial in evaluations[0].trials], drawn(0).scores)
    assert checks[1].cllr > 1


def test_a_fold_of_which_one_label_cannot_be_decoded():
    checks, _ = cross_check([fold(0, [1.0, 2.0], []), drawn(1), drawn(2)], LENIENT, "mine")
    assert checks[0] == FoldCheck(1, 2, 0)
    assert checks[1].eer is not None


def test_a_card_tells_of_the_last_training():
    check = FoldCheck(1, 2, 3, eer=0.25)
    row = {"stage": "train", **as_row([check])}
    card = Card("x", DetectorSpec("resnet18"), history=(row, {"stage": "calibrate"}))
    assert checks_of(card) == (check,)
    assert checks_of(Card("x", card.spec, history=(row, {"stage": "train"}))) == ()
    for odd in (3, [3], [{"fold": 1}], [{**asdict(check), "eer": "low"}], [{**asdict(check), "more": 1}]):
        assert checks_of(Card("x", card.spec, history=({"stage": "train", "folds": odd},))) == ()
