import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from deepcheck.audio.augment import codec_formats
from deepcheck.config import CalibrationConfig
from deepcheck.data.utterance import Label, Utterance
from deepcheck.engine.bands import chosen_conditions, subsample, unfamiliar
from deepcheck.engine.calibrate import Scored
from deepcheck.errors import ConfigError
from deepcheck.metrics.calibration import NO_VERDICT, Thresholds, fit_thresholds, widest

FINITE = st.floats(-50, 50)
THRESHOLDS = st.builds(lambda a, b: Thresholds(min(a, b), max(a, b)), FINITE, FINITE)
# Shown by 5 recordings of each label: 0.5 ** 5 < 0.05.
LENIENT = CalibrationConfig(false_alarm=0.5, miss=0.5, confidence=0.95)


def scored(llrs, distances, prefix="u", labels=None):
    labels = labels or [Label.BONAFIDE if i % 2 else Label.SPOOF for i in range(len(llrs))]
    utterances = tuple(Utterance(f"{prefix}{i}", f"{i}.wav", label) for i, label in enumerate(labels))
    return Scored(utterances, np.array(llrs, float), np.array(distances, float))


@given(THRESHOLDS, st.lists(THRESHOLDS))
def test_a_band_only_ever_widens(own, bands):
    found = widest(own, bands)
    for one in (own, *bands):
        assert found.spoof <= one.spoof
        assert found.bonafide >= one.bonafide
    assert found.spoof in {one.spoof for one in (own, *bands)}
    assert found.bonafide in {one.bonafide for one in (own, *bands)}


@given(THRESHOLDS, st.lists(THRESHOLDS), THRESHOLDS, FINITE)
def test_one_more_band_never_turns_a_verdict_round(own, bands, more, llr):
    assume(llr not in {end for one in (own, *bands, more) for end in (one.spoof, one.bonafide)})
    before, after = widest(own, bands).verdict(llr), widest(own, [*bands, more]).verdict(llr)
    assert after in {before, "inconclusive"}


def test_no_band_leaves_the_thresholds_as_they_are():
    assert widest(Thresholds(-1.0, 2.0), []) == Thresholds(-1.0, 2.0)


@pytest.mark.parametrize("llr", [-1e5, -3.0, 0.0, 1e5])
def test_no_verdict(llr):
    assert widest(Thresholds(-1.0, 1.0), [NO_VERDICT]).verdict(llr) == "inconclusive"


def test_chosen_conditions():
    found, note = chosen_conditions(CalibrationConfig(conditions=["clean", "noise", "telephone"]))
    assert [condition.name for condition in found] == ["noise:10dB", "telephone"]  # clean is what there is anyway
    assert note == ""
    assert chosen_conditions(CalibrationConfig(conditions=[])) == ([], "")
    with pytest.raises(ConfigError, match='no condition "telefone"'):
        chosen_conditions(CalibrationConfig(conditions=["telefone"]))


def test_the_usual_conditions_go_without_an_encoder_and_say_so(monkeypatch):
    monkeypatch.setattr("deepcheck.audio.conditions.encoder_of", lambda name: "" if name == "mp3" else "some")
    found, note = chosen_conditions(CalibrationConfig())
    assert "mp3:32k" not in [condition.name for condition in found]
    assert "opus:16k" in [condition.name for condition in found]
    assert note == "This machine has no encoder for: mp3:32k."
    with pytest.raises(ConfigError, match="no encoder for mp3"):  # somebody asked for this one
        chosen_conditions(CalibrationConfig(conditions=["mp3:48k"]))
    assert codec_formats.FORMATS


@pytest.mark.parametrize(("most", "bonafide", "spoof"), [(100, 4, 12), (8, 4, 4), (6, 3, 3), (10, 4, 6), (0, 0, 0)])
def test_subsample_is_half_of_each_label_as_far_as_there_are(most, bonafide, spoof):
    utterances = [Utterance(f"b{i}", "b", Label.BONAFIDE) for i in range(4)]
    utterances += [Utterance(f"s{i}", "s", Label.SPOOF) for i in range(12)]
    found = subsample(utterances, most)
    assert sum(u.label is Label.BONAFIDE for u in found) == bonafide
    assert sum(u.label is Label.SPOOF for u in found) == spoof
    assert [u for u in utterances if u in found] == found
    assert {u.id for u in subsample(utterances[::-1], most)} == {u.id for u in found}


def test_subsample_does_not_depend_on_who_else_is_there():
    utterances = [Utterance(str(i), "x", Label(i % 2)) for i in range(40)]
    few = {u.id for u in subsample(utterances, 10)}
    assert few <= {u.id for u in subsample(utterances, 20)}


def test_unfamiliar_goes_by_the_farthest_fifth():
    # Fifty recordings, the last ten of them far: five of each label, whose scores stand by themselves.
    llrs = [10.0 if i % 2 else -10.0 for i in range(40)] + [-1, 1, -2, 2, -3, 3, 0.5, -0.5, -4, 4]
    found = unfamiliar([scored(llrs, [0.1] * 40 + [2.0] * 10)], LENIENT)
    # No error is tolerated among five: just below the lowest genuine, just above the highest spoof; they cross at 0.
    bonafide, spoof = np.array([1, 2, 3, -0.5, 4.0]), np.array([-1, -2, -3, 0.5, -4.0])
    assert found == fit_thresholds(bonafide, spoof, false_alarm=0.5, miss=0.5)
    assert found.spoof == np.nextafter(-0.5, -1)
    assert found.bonafide == np.nextafter(0.5, 1)


def test_versions_of_one_recording_count_once_with_the_worst():
    # Three conditions of the same ten far recordings: still five of each label, not fifteen.
    every = [scored([shift + (-1.0 if i % 2 else 1.0) for i in range(10)], [2.0] * 10) for shift in (-0.5, 0.0, 0.25)]
    near = scored([9.0] * 90, [0.1] * 90, prefix="near")
    found = unfamiliar([*every, near], LENIENT)
    assert found == Thresholds(np.nextafter(-1.5, -2), np.nextafter(1.25, 2))
    strict = CalibrationConfig(false_alarm=0.2, miss=0.2, confidence=0.95)  # takes 14 of each, and there are but 5
    assert unfamiliar([*every, near], strict) == NO_VERDICT


def test_unfamiliar_without_one_of_the_labels():
    labels = [Label.SPOOF] * 50
    assert unfamiliar([scored([0.0] * 50, [1.0] * 50, labels=labels)], LENIENT) == NO_VERDICT
