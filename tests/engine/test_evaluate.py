"""Figures against numbers worked out by hand, on trials that were made up."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import speechlike, write_wav

from deepcheck.data.protocols import read_data
from deepcheck.data.utterance import Label, Protocol, Utterance
from deepcheck.engine.evaluate import Evaluation, Rate, Trial, evaluate
from deepcheck.engine.model import load
from deepcheck.engine.score import Scorer
from deepcheck.errors import DataError
from deepcheck.metrics.calibration import Thresholds

GENUINE, SPOOF = Label.BONAFIDE, Label.SPOOF


def trial(label, llr, **fields):
    return Trial(Utterance(f"{label.name}{llr}", Path("x.wav"), label, **fields), llr, 2.0)


def evaluation(*trials, spoof=-1.0, bonafide=1.0):
    return Evaluation("mine", "toy: some trials", Thresholds(spoof, bonafide), trials, ())


# Genuine 3, 2, 0, -1 and spoof 1, -2, -3, -4: at a threshold of 0 or -1 one of four is wrong on each side.
EIGHT = (
    trial(GENUINE, 3.0, source="a", tags={"language": "de"}),
    trial(GENUINE, 2.0, source="a", tags={"language": "de"}),
    trial(GENUINE, 0.0, source="b", tags={"language": "en"}),
    trial(GENUINE, -1.0, source="c", tags={"language": "en"}),
    trial(SPOOF, 1.0, source="a", attack="melo", tags={"language": "de"}),
    trial(SPOOF, -2.0, source="a", attack="espeak", tags={"language": "en"}),
    trial(SPOOF, -3.0, source="b", attack="espeak", tags={"language": "fr"}),
    trial(SPOOF, -4.0, attack="espeak"),
)


def test_figures_by_hand():
    figures = evaluation(*EIGHT).summary()
    assert figures.eer == 0.25
    assert figures.auc == 14 / 16  # of 16 pairs, 0 and -1 lose against the spoof at 1
    nats = np.log1p(np.exp([-3.0, -2.0, 0.0, 1.0])).mean() + np.log1p(np.exp([1.0, -2.0, -3.0, -4.0])).mean()
    assert figures.cllr == pytest.approx(nats / 2 / np.log(2), rel=1e-12)


def test_rates_count_the_thresholds_themselves_in():
    figures = evaluation(*EIGHT).summary()
    assert figures.false_alarms == Rate(1, 4)  # -1, at the threshold
    assert figures.cleared == Rate(2, 4)
    assert figures.caught == Rate(3, 4)
    assert figures.missed == Rate(1, 4)  # 1, at the threshold
    figures = evaluation(*EIGHT, spoof=-1.5, bonafide=2.5).summary()
    assert (figures.false_alarms, figures.cleared) == (Rate(0, 4), Rate(1, 4))
    assert (figures.caught, figures.missed) == (Rate(3, 4), Rate(0, 4))


def test_where_the_thresholds_meet_a_trial_is_counted_once():
    figures = evaluation(trial(GENUINE, 0.5), trial(SPOOF, 0.5), spoof=0.5, bonafide=0.5).summary()
    assert (figures.false_alarms.count, figures.cleared.count) == (1, 0)
    assert (figures.caught.count, figures.missed.count) == (1, 0)


def test_a_rate_has_the_interval_of_wilson():
    rate = Rate(1, 4)
    assert rate.value == 0.25
    z = 1.959963984540054
    middle, half = (0.25 + z * z / 8) / (1 + z * z / 4), z * np.sqrt(0.25 * 0.75 / 4 + z * z / 64) / (1 + z * z / 4)
    assert rate.interval.low == pytest.approx(middle - half)
    assert rate.interval.high == pytest.approx(middle + half)


def test_the_interval_of_the_eer_holds_it_and_is_the_same_each_time():
    draw = np.random.default_rng(0)
    trials = [trial(GENUINE, float(x)) for x in draw.normal(1, 1, 200)]
    trials += [trial(SPOOF, float(x)) for x in draw.normal(-1, 1, 200)]
    one, other = (evaluation(*trials).summary() for _ in range(2))
    assert one.eer_interval == other.eer_interval
    assert one.eer_interval.low < one.eer < one.eer_interval.high
    # The binomial error of 16 % on 200 is 2.6 %; both classes share the error.
    assert 0.03 < one.eer_interval.high - one.eer_interval.low < 0.12


def test_a_perfect_and_an_inverted_detector():
    right = (trial(GENUINE, 1.0), trial(SPOOF, -1.0))
    assert (evaluation(*right).summary().eer, evaluation(*right).summary().auc) == (0.0, 1.0)
    wrong = (trial(GENUINE, -1.0), trial(SPOOF, 1.0))
    assert (evaluation(*wrong).summary().eer, evaluation(*wrong).summary().auc) == (1.0, 0.0)


def rows(evaluation, key):
    return {
        row.name: (row.bonafide, row.spoof, row.eer, (row.called_spoof.count, row.called_spoof.total), row.within)
        for row in evaluation.by(key)
    }


def test_attacks_are_compared_with_all_genuine_trials():
    assert rows(evaluation(*EIGHT), "attack") == {
        # -2, -3 and -4 lie below every genuine trial. 1 lies above two of four: the rates pass from (1/2, 1) to
        # (1/2, 0) without meeting, and the lower threshold counts.
        "espeak": (0, 3, 0.0, (3, 3), False),
        "melo": (0, 1, 0.75, (0, 1), False),
    }


def test_sources_with_both_labels_are_compared_within():
    assert rows(evaluation(*EIGHT), "source") == {
        "a": (2, 2, 0.0, (1, 4), True),  # 3 and 2 against 1 and -2; the trial without a source is in no row
        "b": (1, 1, 0.0, (1, 2), True),
        "c": (1, 0, 0.125, (1, 1), False),  # -1 against all spoofs: the curve passes (0, 1/4)
    }


def test_tags_are_columns_too_the_largest_first():
    found = evaluation(*EIGHT)
    assert [row.name for row in found.by("language")] == ["de", "en", "fr"]
    assert rows(found, "language")["fr"] == (0, 1, 0.0, (1, 1), False)
    assert found.by("nonsense") == []


def test_same_source_leaves_places_out_that_give_themselves_away():
    trials = []
    for place, shift in (("x", 10.0), ("y", -10.0)):  # the place decides the score far more than the label
        trials += [trial(GENUINE, shift + i, source=place) for i in (1.0, 2.0)]
        trials += [trial(SPOOF, shift - i, source=place) for i in (1.0, 2.0)]
    trials += [trial(GENUINE, 50.0, source="radio"), trial(SPOOF, -50.0, source="vocoder"), trial(SPOOF, -60.0)]
    found = evaluation(*trials).same_source(floor=2)
    assert (found.sources, found.bonafide, found.spoof) == (2, 4, 4)
    assert found.eer == 0.5  # pooled: all of y below all of x
    assert found.mean_eer == 0.0  # each place by itself is perfect
    assert found.eer_interval.low <= 0.5 <= found.eer_interval.high
    assert evaluation(*trials).same_source().mean_eer is None  # none has five of each
    assert evaluation(*trials).same_source().floor == 5


def test_mean_eer_is_over_sources_large_enough():
    trials = [trial(GENUINE, 1.0, source="right"), trial(SPOOF, -1.0, source="right")] * 3
    trials += [trial(GENUINE, -1.0, source="wrong"), trial(SPOOF, 1.0, source="wrong")] * 3
    trials += [trial(GENUINE, -1.0, source="small"), trial(SPOOF, 1.0, source="small")]
    assert evaluation(*trials).same_source(floor=3).mean_eer == 0.5
    assert evaluation(*trials).same_source(floor=1).mean_eer == pytest.approx(2 / 3)


def test_no_source_with_both_labels():
    assert evaluation(trial(GENUINE, 1.0, source="a"), trial(SPOOF, 0.0, source="b")).same_source() is None
    assert evaluation(trial(GENUINE, 1.0), trial(SPOOF, 0.0)).same_source() is None


@pytest.fixture
def small(tmp_path):
    """Two genuine recordings, two spoofs, one without a label."""
    lines = ["path,label,source"]
    for i, label in enumerate(("bonafide", "spoof", "bonafide", "spoof", "")):
        write_wav(tmp_path / f"{i}.wav", speechlike(1.3 + 0.4 * i, seed=i))
        lines.append(f"{i}.wav,{label},site")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    return read_data(tmp_path / "manifest.csv")


def test_trials_are_the_calibrated_means_in_the_order_of_the_protocol(small, stored_model):
    model = load(stored_model(offset=0.75, spoof=-2.0, bonafide=3.0))
    told = []
    found = evaluate(model, small, device="cpu", progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [t.utterance.id for t in found.trials] == ["0", "1", "2", "3"]  # what has no label is no trial
    assert [t.duration_s for t in found.trials] == pytest.approx([1.3, 1.7, 2.1, 2.5])
    scorer = Scorer(model.detector, device="cpu")
    for t in found.trials:
        [alone] = scorer.recordings([t.utterance.path])
        assert t.llr == pytest.approx(alone.mean_llr() + 0.75, abs=1e-5)
    assert found.thresholds == Thresholds(-2.0, 3.0)
    assert (found.model, found.protocol) == ("tiny", small.describe())
    assert found.skipped == ()
    assert np.std([t.llr for t in found.trials]) > 1e-4


def test_a_broken_recording_is_skipped_with_its_reason(small, stored_model):
    small.utterances[2].path.write_bytes(b"nothing")
    found = evaluate(load(stored_model()), small, device="cpu")
    assert [t.utterance.id for t in found.trials] == ["0", "1", "3"]
    [(utterance, reason)] = found.skipped
    assert utterance.id == "2"
    assert "known format" in reason


def test_what_cannot_be_evaluated(small, stored_model):
    model = load(stored_model())
    with pytest.raises(DataError, match='The model "tiny" has no calibration'):
        evaluate(replace(model, card=replace(model.card, calibration=None)), small)
    with pytest.raises(DataError, match="has no labels") as caught:
        evaluate(model, Protocol("bare", None, (small.utterances[4],)))
    assert "deepcheck scan" in caught.value.hint
    for i in (1, 3):
        small.utterances[i].path.unlink()
    with pytest.raises(DataError, match=r"needs both labels \(2 recordings could not be decoded\)"):
        evaluate(model, small, device="cpu")


@pytest.mark.gpu
def test_scores_on_the_gpu_are_those_of_the_cpu(small, stored_model):
    on_cpu, on_gpu = (evaluate(load(stored_model()), small, device=device) for device in ("cpu", "cuda"))
    assert [t.llr for t in on_gpu.trials] == pytest.approx([t.llr for t in on_cpu.trials], abs=1e-3)
