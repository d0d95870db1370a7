"""Systems on the same trials, whose scores were made up."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deepcheck.data.utterance import Label, Utterance
from deepcheck.engine.comparison import Spread, against, over_seeds
from deepcheck.engine.evaluate import Evaluation, Trial
from deepcheck.errors import DataError
from deepcheck.metrics.table import METRICS

GENUINE, SPOOF = Label.BONAFIDE, Label.SPOOF


def evaluation(name, *llrs, labels=(GENUINE,) * 4 + (SPOOF,) * 4):
    utterances = [Utterance(f"u{i}", Path(f"u{i}.wav"), label) for i, label in enumerate(labels)]
    trials = tuple(Trial(u, float(llr), 2.0) for u, llr in zip(utterances, llrs, strict=True))
    return Evaluation(name, "toy", None, trials, ())


def drawn(name, distance, seed, size=300, shared=None):
    """An evaluation of so many trials of each label, whose noise is `shared` in part."""
    draw = np.random.default_rng(seed)
    noise = draw.standard_normal(2 * size) if shared is None else shared + 0.3 * draw.standard_normal(2 * size)
    labels = (GENUINE,) * size + (SPOOF,) * size
    means = np.repeat([distance / 2, -distance / 2], size)
    return evaluation(name, *(means + noise), labels=labels)


def test_both_values_and_their_difference_by_hand():
    poor = evaluation("poor", 3, 2, 0, -1, 1, -2, -3, -4)  # one of four is wrong on each side
    good = evaluation("good", 3, 2, 1, 1, -1, -2, -3, -4)
    found = against(poor, good)
    assert list(found) == list(METRICS)
    assert (found["eer"].first, found["eer"].second, found["eer"].difference) == (0.25, 0.0, -0.25)
    assert (found["auc"].first, found["auc"].second) == (14 / 16, 1.0)
    back = against(good, poor)
    assert back["eer"].difference == 0.25
    assert back["cllr"].difference == -found["cllr"].difference


def test_a_system_against_itself():
    one = drawn("one", 1.0, seed=0)
    for comparison in against(one, replace(one, model="again")).values():
        assert comparison.difference == comparison.interval.low == comparison.interval.high == 0.0
        assert comparison.p == 1.0


def test_trials_are_matched_by_name_not_by_place():
    first, second = drawn("first", 1.0, seed=0), drawn("second", 1.5, seed=1)
    order = np.random.default_rng(2).permutation(600)
    turned = replace(second, trials=tuple(second.trials[i] for i in order))
    straight, shuffled = against(first, second), against(first, turned)
    for name in METRICS:
        assert shuffled[name].first == pytest.approx(straight[name].first)
        assert shuffled[name].second == pytest.approx(straight[name].second)
        # Other resamples, but of the same pairs.
        assert shuffled[name].interval.low == pytest.approx(straight[name].interval.low, abs=0.02)
        assert shuffled[name].interval.high == pytest.approx(straight[name].interval.high, abs=0.02)


def test_pairs_tell_more_than_two_intervals():
    shared = np.random.default_rng(3).standard_normal(600)
    first, second = (drawn(str(d), d, seed, shared=shared) for d, seed in ((1.0, 4), (1.4, 5)))
    one = against(first, second)["eer"]
    assert one.difference < 0
    assert one.interval.high < 0
    assert one.p < 0.05
    # By themselves, their intervals overlap.
    assert second.measurements["eer"].interval.high > first.measurements["eer"].interval.low


def test_chance_is_not_taken_for_a_difference(monkeypatch):
    monkeypatch.setattr(
        "deepcheck.engine.comparison.METRICS", {"eer": METRICS["eer"]}
    )  # of a dozen, the one that is looked at
    p_values = [against(drawn("a", 1.0, seed, 80), drawn("b", 1.0, 50 + seed, 80))["eer"].p for seed in range(20)]
    assert sum(p < 0.05 for p in p_values) <= 4
    assert max(p_values) > 0.5
    sure = against(drawn("a", 1.0, seed=0), drawn("b", 3.0, seed=1))["eer"]
    assert sure.p == pytest.approx(2 / 1001)
    assert sure.interval.low < sure.difference < sure.interval.high < 0


def test_only_what_both_have_scored_counts():
    poor = evaluation("poor", 3, 2, 0, -1, 1, -2, -3, -4)
    good = evaluation("good", 3, 2, 1, 1, -1, -2, -3, -4)
    without_errors = replace(poor, trials=tuple(t for t in poor.trials if t.llr not in (-1, 1)))
    found = against(without_errors, good)["eer"]
    assert (found.first, found.second) == (0.0, 0.0)
    assert against(good, without_errors)["auc"].second == 1.0


def test_the_same_file_is_needed_not_only_the_same_id():
    poor = evaluation("poor", 3, 2, 0, -1, 1, -2, -3, -4)
    moved = tuple(replace(t, utterance=replace(t.utterance, path=Path("elsewhere.wav"))) for t in poor.trials)
    with pytest.raises(DataError, match="poor and moved share no trials of both labels"):
        against(poor, replace(poor, model="moved", trials=moved))


@pytest.mark.parametrize("label", list(Label))
def test_one_label_in_common_is_too_little(label):
    poor = evaluation("poor", 3, 2, 0, -1, 1, -2, -3, -4)
    half = tuple(t for t in poor.trials if t.utterance.label is label)
    with pytest.raises(DataError, match="share no trials of both labels"):
        against(poor, replace(poor, trials=half))


def test_seeds_by_hand():
    evaluations = [
        evaluation("a", 3, 2, 0, -1, 1, -2, -3, -4),  # EER 1/4
        evaluation("b", 3, 2, 1, 1, -1, -2, -3, -4),  # 0
        evaluation("c", -3, -2, -1, -1, 1, 2, 3, 4),  # 1
    ]
    found = over_seeds(evaluations)
    assert list(found) == list(METRICS)
    assert found["eer"].metric is METRICS["eer"]
    assert found["eer"].values == (0.25, 0.0, 1.0)
    assert found["eer"].mean == pytest.approx(5 / 12)
    # Squares of -1/6, -5/12 and 7/12 over n - 1.
    assert found["eer"].deviation == pytest.approx(np.sqrt((1 / 36 + 25 / 144 + 49 / 144) / 2))
    assert found["auc"].values == (14 / 16, 1.0, 0.0)


def test_one_seed_has_no_deviation():
    spread = Spread(METRICS["eer"], (0.25,))
    assert spread.mean == 0.25
    assert np.isnan(spread.deviation)
