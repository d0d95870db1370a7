"""Figures against numbers worked out by hand, on trials that were made up."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import speechlike, write_wav

from deepcheck.audio.conditions import parse_conditions
from deepcheck.data.protocols import read_data
from deepcheck.data.utterance import Label, Protocol, Utterance
from deepcheck.engine.cost import cost_of
from deepcheck.engine.evaluate import Evaluation, Rate, Trial, evaluate
from deepcheck.engine.model import load
from deepcheck.engine.score import Scorer
from deepcheck.errors import DataError
from deepcheck.metrics.calibration import Thresholds
from deepcheck.metrics.metric import Metric
from deepcheck.metrics.table import METRICS

GENUINE, SPOOF = Label.BONAFIDE, Label.SPOOF


def trial(label, llr, duration_s=2.0, **fields):
    return Trial(Utterance(f"{label.name}{llr}", Path("x.wav"), label, **fields), llr, duration_s)


def evaluation(*trials, spoof=-1.0, bonafide=1.0, **fields):
    return Evaluation("mine", "toy: some trials", Thresholds(spoof, bonafide), trials, (), **fields)


def values(evaluation):
    return {name: one.value for name, one in evaluation.measurements.items()}


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
    figures = values(evaluation(*EIGHT))
    assert figures["eer"] == 0.25
    assert figures["auc"] == 14 / 16  # of 16 pairs, 0 and -1 lose against the spoof at 1
    nats = np.log1p(np.exp([-3.0, -2.0, 0.0, 1.0])).mean() + np.log1p(np.exp([1.0, -2.0, -3.0, -4.0])).mean()
    assert figures["cllr"] == pytest.approx(nats / 2 / np.log(2), rel=1e-12)
    assert figures["min_dcf"] == 0.25  # between -2 and -1 nothing genuine is lost, and one spoof of four gets through
    assert figures["act_dcf"] == pytest.approx(1.9 / 4 + 1 / 4)  # at -0.64, -1 is lost as well
    assert (figures["frr"], figures["far"], figures["hter"]) == (0.5, 0.25, 0.375)  # 0 is not above 0


def test_the_threshold_moves_the_errors_at_it_and_nothing_else():
    moved = values(evaluation(*EIGHT, threshold=1.5))
    assert (moved["frr"], moved["far"], moved["hter"]) == (0.5, 0.0, 0.25)
    at_zero = values(evaluation(*EIGHT))
    assert {name for name in moved if moved[name] != at_zero[name]} == {"far", "hter"}


def test_extra_metrics_come_last():
    found = evaluation(*EIGHT, extra=(Metric("twice", "Twice", lambda trials: 2 * trials.frr[..., 0]),))
    assert list(found.measurements) == [*METRICS, "hter", "frr", "far", "twice"]


def test_rates_count_the_thresholds_themselves_in():
    figures = evaluation(*EIGHT).verdicts
    assert figures.false_alarms == Rate(1, 4)  # -1, at the threshold
    assert figures.cleared == Rate(2, 4)
    assert figures.caught == Rate(3, 4)
    assert figures.missed == Rate(1, 4)  # 1, at the threshold
    figures = evaluation(*EIGHT, spoof=-1.5, bonafide=2.5).verdicts
    assert (figures.false_alarms, figures.cleared) == (Rate(0, 4), Rate(1, 4))
    assert (figures.caught, figures.missed) == (Rate(3, 4), Rate(0, 4))


def test_where_the_thresholds_meet_a_trial_is_counted_once():
    figures = evaluation(trial(GENUINE, 0.5), trial(SPOOF, 0.5), spoof=0.5, bonafide=0.5).verdicts
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
    one, other = (evaluation(*trials).measurements["eer"] for _ in range(2))
    assert one.interval == other.interval
    assert one.interval.low < one.value < one.interval.high
    # The binomial error of 16 % on 200 is 2.6 %; both classes share the error.
    assert 0.03 < one.interval.high - one.interval.low < 0.12


def test_a_perfect_and_an_inverted_detector():
    right = (trial(GENUINE, 1.0), trial(SPOOF, -1.0))
    assert [values(evaluation(*right))[name] for name in ("eer", "auc", "min_dcf", "hter")] == [0.0, 1.0, 0.0, 0.0]
    wrong = (trial(GENUINE, -1.0), trial(SPOOF, 1.0))
    assert [values(evaluation(*wrong))[name] for name in ("eer", "auc", "min_dcf", "hter")] == [1.0, 0.0, 1.0, 1.0]


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


def test_groups_have_the_intervals_of_their_own_trials():
    draw = np.random.default_rng(0)
    trials = [trial(GENUINE, float(x), source="few") for x in draw.normal(1, 1, 10)]
    trials += [trial(SPOOF, float(x), source="few") for x in draw.normal(-1, 1, 10)]
    trials += [trial(GENUINE, float(x), source="many") for x in draw.normal(1, 1, 400)]
    trials += [trial(SPOOF, float(x), source="many") for x in draw.normal(-1, 1, 400)]
    many, few = evaluation(*trials).by("source")
    assert (many.name, few.name) == ("many", "few")
    alone = evaluation(*(one for one in trials if one.utterance.source == "many")).measurements["eer"]
    assert many.eer == alone.value
    assert many.eer_interval.low == pytest.approx(alone.interval.low, abs=0.01)  # of fewer resamples
    assert many.eer_interval.high == pytest.approx(alone.interval.high, abs=0.01)
    assert many.eer_interval.high - many.eer_interval.low < 0.1 < few.eer_interval.high - few.eer_interval.low


def test_durations_are_groups_the_shortest_first():
    trials = [trial(GENUINE, 1.0, duration_s) for duration_s in (60.0, 1.99, 2.0, 3.0, 4.999, 30.0, 12.0)]
    trials += [trial(SPOOF, -1.0, duration_s) for duration_s in (2.5, 100.0, 100.0, 0.1, 10.0)]
    found = evaluation(*trials).by("duration")
    assert [(row.name, row.bonafide, row.spoof) for row in found] == [
        ("below 2 s", 1, 1),
        ("2 to 5 s", 3, 1),  # 2 s is no longer below
        ("10 to 30 s", 1, 1),
        ("30 s and more", 2, 2),
    ]
    assert [row.eer for row in found] == [0.0] * 4


def test_scores_without_thresholds_or_sound():
    trials = [trial(one.utterance.label, one.llr, float("nan"), attack=one.utterance.attack) for one in EIGHT]
    found = replace(evaluation(*trials), thresholds=None)
    assert found.verdicts is None
    assert values(found) == values(evaluation(*EIGHT))
    assert [row.called_spoof for row in found.by("attack")] == [None, None]
    assert found.by("duration") == []


def test_same_source_leaves_places_out_that_give_themselves_away():
    trials = []
    for place, shift in (("x", 10.0), ("y", -10.0)):  # the place decides the score far more than the label
        trials += [trial(GENUINE, shift + i, source=place) for i in range(1, 6)]
        trials += [trial(SPOOF, shift - i, source=place) for i in range(1, 6)]
    trials += [trial(GENUINE, 50.0, source="radio"), trial(SPOOF, -50.0, source="vocoder"), trial(SPOOF, -60.0)]
    found = evaluation(*trials).same_source
    assert (found.sources, found.bonafide, found.spoof) == (2, 10, 10)
    assert found.eer == 0.5  # pooled: all of y below all of x
    assert found.mean_eer == 0.0  # each place by itself is perfect
    assert found.eer_interval.low <= 0.5 <= found.eer_interval.high


def test_mean_eer_is_over_sources_large_enough():
    trials = [trial(GENUINE, 1.0, source="right"), trial(SPOOF, -1.0, source="right")] * 5
    trials += [trial(GENUINE, -1.0, source="wrong"), trial(SPOOF, 1.0, source="wrong")] * 5
    small = [trial(GENUINE, -1.0, source="small"), trial(SPOOF, 1.0, source="small")] * 4
    found = evaluation(*trials, *small).same_source
    assert (found.mean_eer, found.floor, found.sources) == (0.5, 5, 3)
    assert evaluation(*trials, *small, *small).same_source.mean_eer == pytest.approx(2 / 3)
    assert evaluation(*small).same_source.mean_eer is None


def test_no_source_with_both_labels():
    assert evaluation(trial(GENUINE, 1.0, source="a"), trial(SPOOF, 0.0, source="b")).same_source is None
    assert evaluation(trial(GENUINE, 1.0), trial(SPOOF, 0.0)).same_source is None


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


def test_a_silent_recording_is_a_trial_too(small, stored_model):
    write_wav(small.utterances[2].path, np.zeros(16_000, np.float32))
    found = evaluate(load(stored_model()), small, device="cpu")
    assert (len(found.trials), found.skipped) == (4, ())
    assert np.isfinite([t.llr for t in found.trials]).all()


def llrs(evaluation):
    return [t.llr for t in evaluation.trials]


def test_a_condition_changes_the_scores_and_clean_does_not(small, stored_model):
    model = load(stored_model())
    bare = evaluate(model, small, device="cpu")
    clean, noisy, louder, fast = (
        evaluate(model, small, device="cpu", condition=condition)
        for condition in parse_conditions("clean,noise:10dB,noise:0dB,speed:2")
    )
    assert [e.condition for e in (bare, clean, noisy, fast)] == ["clean", "clean", "noise:10dB", "speed:2"]
    assert llrs(clean) == llrs(bare)
    shift = np.abs(np.array(llrs(noisy)) - llrs(bare))
    assert (shift > 1e-4).all()
    assert np.abs(np.array(llrs(louder)) - llrs(bare)).mean() > shift.mean()
    assert [t.duration_s for t in fast.trials] == pytest.approx([t.duration_s / 2 for t in bare.trials], abs=1e-3)
    assert noisy.measurements["cllr"].value != bare.measurements["cllr"].value


def test_noise_is_that_of_the_recording_whatever_else_is_scored(small, stored_model):
    model = load(stored_model())
    [noise] = parse_conditions("noise:10dB")
    fewer = small.where(lambda u: u.id in {"2", "3"})
    whole, part = (evaluate(model, trials, device="cpu", condition=noise, jobs=1) for trials in (small, fewer))
    assert llrs(part) == pytest.approx(llrs(whole)[2:], abs=1e-5)


def test_what_it_cost(small, stored_model):
    model = load(stored_model())
    cost = evaluate(model, small, device="cpu").cost
    assert cost.parameters == sum(p.numel() for p in model.detector.parameters())
    assert cost.gflop_per_s == cost_of(model.detector).gflop_per_s > 0
    assert 0 < cost.real_time_factor < 60
    assert evaluation(*EIGHT).cost is None


def test_what_cannot_be_evaluated_is_not_scored_first(small, stored_model):
    model, told = load(stored_model()), []

    def complaint(model, protocol):
        with pytest.raises(DataError) as caught:
            evaluate(model, protocol, device="cpu", progress=lambda *done: told.append(done))
        return f"{caught.value.message} {caught.value.hint}"

    bare = replace(model, card=replace(model.card, calibration=None))
    assert complaint(bare, small).startswith('The model "tiny" has no calibration. Train it')
    assert "has no labels. An evaluation needs them; use deepcheck scan." in complaint(
        model, Protocol("bare", None, (small.utterances[4],))
    )
    assert "holds no spoof recording" in complaint(model, small.where(lambda u: u.label is not SPOOF))
    assert told == []


def test_a_label_of_which_nothing_can_be_scored(small, stored_model):
    for i in (1, 3):
        small.utterances[i].path.unlink()
    with pytest.raises(DataError, match="needs both labels, and 2 recordings cannot be scored") as caught:
        evaluate(load(stored_model()), small, device="cpu")
    assert caught.value.hint.endswith("1.wav: the file does not exist")


@pytest.mark.gpu
def test_scores_on_the_gpu_are_those_of_the_cpu(small, stored_model):
    on_cpu, on_gpu = (evaluate(load(stored_model()), small, device=device) for device in ("cpu", "cuda"))
    assert [t.llr for t in on_gpu.trials] == pytest.approx([t.llr for t in on_cpu.trials], abs=1e-3)
