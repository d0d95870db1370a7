"""Trials whose surfaces are made up, so that what can be known from them is known; and a few real recordings."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import speechlike, write_wav

from deepcheck.audio.decode import SAMPLE_RATE
from deepcheck.audio.surface import FAMILIES, Surface, measure
from deepcheck.data.protocols import read_data
from deepcheck.data.utterance import Label, Protocol, Utterance
from deepcheck.engine.audit import ALL, Audit, audit, explained
from deepcheck.engine.evaluate import Trial
from deepcheck.engine.surfaces import Surfaces, gather
from deepcheck.errors import ConfigError, DataError

NAMES = list(Surface.__dataclass_fields__)


def made_up(size: int = 200, seed: int = 0, sources: int = 0, plant=None) -> Surfaces:
    """Half bona fide, half spoof, every feature noise; `plant(surface, label, source, draw)` changes some."""
    draw = np.random.default_rng(seed)
    utterances, surfaces = [], []
    for i in range(size):
        label = Label(i % 2)
        source = f"source {draw.integers(sources)}" if sources else None
        surface = Surface(*map(float, draw.standard_normal(len(NAMES))))
        utterances.append(Utterance(f"u{i}", Path(f"{i}.wav"), label, source=source))
        surfaces.append(plant(surface, label, source, draw) if plant else surface)
    return Surfaces("toy: made up", tuple(utterances), tuple(surfaces), ())


def silent_spoofs(surface, label, source, draw):
    return replace(surface, leading_silence_s=0.3 * (label is Label.SPOOF) + 0.03 * abs(draw.standard_normal()))


def row(found: Audit, family: str):
    return next(row for row in found.rows if row.family == family)


@pytest.mark.parametrize("sources", [0, 8])
def test_a_planted_silence_is_found_and_told(sources):
    found = audit(made_up(sources=sources, plant=silent_spoofs))
    assert [one.family for one in found.rows] == [*FAMILIES, ALL]
    assert row(found, "silence").eer < 0.03
    assert row(found, "silence").auc > 0.97
    assert row(found, "silence").solves
    assert row(found, ALL).eer < 0.1
    for family in set(FAMILIES) - {"silence"}:
        assert row(found, family).eer > 0.35
        assert not row(found, family).solves
    assert found.warning.startswith("This set can be solved without listening: silence alone reaches an EER of ")
    leading = next(one for one in found.features if one.name == "leading_silence_s")
    assert (leading.family, leading.bonafide < 0.1, leading.spoof > 0.3) == ("silence", True, True)
    assert leading.auc < 0.01
    assert [one.name for one in found.features] == [name for names in FAMILIES.values() for name in names]
    assert (found.bonafide, found.spoof, found.protocol) == (100, 100, "toy: made up")


@pytest.mark.parametrize("sources", [0, 8])
def test_nothing_is_found_where_there_is_nothing(sources):
    audits = [audit(made_up(size=300, seed=seed, sources=sources)) for seed in range(6)]
    assert [found.warning for found in audits] == [None] * 6
    intervals = [one.eer_interval for found in audits for one in found.rows]
    # 95 % of the trials that one has, not of the weights that one might have learnt: somewhat fewer hold 0.5.
    assert np.mean([one.low <= 0.5 <= one.high for one in intervals]) > 0.7
    assert np.mean([one.high >= 0.5 for one in intervals]) > 0.85
    assert 0.46 < np.mean([one.eer for found in audits for one in found.rows]) < 0.54


def test_a_shortcut_is_gone_once_the_labels_are_shuffled():
    made = made_up(plant=silent_spoofs)
    intervals = []
    for seed in range(8):
        labels = np.random.default_rng(seed).permutation([utterance.label for utterance in made.utterances])
        shuffled = tuple(replace(u, label=Label(x)) for u, x in zip(made.utterances, labels, strict=True))
        intervals.append(row(audit(replace(made, utterances=shuffled)), "silence").eer_interval)
    assert sum(one.low <= 0.5 <= one.high for one in intervals) >= 5
    assert all(one.high >= 0.48 for one in intervals)


def test_many_features_on_few_trials_score_nothing_out_of_fold(monkeypatch):
    monkeypatch.setattr("deepcheck.engine.audit._RESAMPLES", 2)
    # 25 weights on 24 trials: whatever is learnt fits those it was learnt from.
    eers = [row(audit(made_up(size=24, seed=seed)), ALL).eer for seed in range(20)]
    assert 0.4 < np.mean(eers) < 0.6


def test_a_middle_against_both_extremes_is_found_by_the_squares():
    def plant(surface, label, source, draw):
        level = draw.uniform(-23, -17) if label else draw.choice([draw.uniform(-40, -26), draw.uniform(-14, -2)])
        return replace(surface, level_db=float(level))

    assert row(audit(made_up(plant=plant)), "level").eer < 0.1


def test_one_recording_of_a_day_does_not_hide_a_difference_of_a_second():
    def plant(surface, label, source, draw):
        return replace(surface, duration_s=float(3 + label + 0.2 * draw.standard_normal()))

    found = made_up(plant=plant)
    surfaces = (replace(found.surfaces[0], duration_s=86_400.0), *found.surfaces[1:])
    assert row(audit(replace(found, surfaces=surfaces)), "duration").eer < 0.05


def test_what_tells_the_place_alone_is_not_found_by_source_and_is_at_random():
    def plant(surface, label, source, draw):
        # Each source has a surface of its own, which has nothing to do with its label.
        own = np.random.default_rng(int(source.split()[1])).standard_normal(len(NAMES))
        return Surface(*map(float, own + 0.1 * draw.standard_normal(len(NAMES))))

    made = made_up(size=480, sources=12, plant=plant)
    labels = (Label(int(utterance.source.split()[1]) % 2) for utterance in made.utterances)
    utterances = tuple(replace(u, label=label) for u, label in zip(made.utterances, labels, strict=True))
    by_source = audit(replace(made, utterances=utterances))
    at_random = audit(replace(made, utterances=tuple(replace(u, source=None) for u in utterances)))
    assert by_source.folds == "5 folds by source (12 sources)"
    assert at_random.folds == "5 random folds (no sources are known)"
    assert row(at_random, ALL).eer < 0.02
    assert row(by_source, ALL).eer > 0.3
    assert by_source.warning is None
    # Twelve places are twelve observations, however many trials they have.
    widths = [row(found, "level").eer_interval for found in (by_source, at_random)]
    assert widths[0].high - widths[0].low > 2 * (widths[1].high - widths[1].low)


def test_folds_are_random_and_say_so_where_sources_do_not_serve():
    assert audit(made_up(sources=3)).folds == "5 random folds (3 sources are too few to split by)"
    made = made_up(sources=8)
    one_place = tuple(replace(u, source="studio") if u.label else u for u in made.utterances)
    said = audit(replace(made, utterances=one_place)).folds
    assert said == "5 random folds (a label lies almost wholly in one fold of the 9 sources)"


def test_the_same_each_time():
    assert audit(made_up(sources=8)) == audit(made_up(sources=8))


def test_too_few_trials():
    with pytest.raises(DataError, match="toy: made up: an audit needs at least 10 recordings of each label"):
        audit(made_up(size=18))


def trials(surfaces: Surfaces, llr) -> list[Trial]:
    pairs = zip(surfaces.utterances, surfaces.surfaces, strict=True)
    return [Trial(utterance, float(llr(utterance, surface)), 1.0) for utterance, surface in pairs]


def shares(surfaces: Surfaces, llr) -> dict:
    return {one.family: one for one in explained(surfaces, trials(surfaces, llr))}


def test_explained_variance_is_what_was_put_in():
    def uniform(surface, label, source, draw):
        return replace(surface, peak_db=float(draw.uniform(-12, 0)))

    made = made_up(size=4000, plant=uniform)
    draw = np.random.default_rng(3)
    # 12 dB wide and uniform: a variance of 12. As much noise again, and the level explains half.
    found = shares(made, lambda utterance, surface: surface.peak_db + np.sqrt(12) * draw.standard_normal())
    assert list(found) == [*FAMILIES, ALL]
    for share in (found["level"].overall, found["level"].bonafide, found["level"].spoof, found[ALL].overall):
        assert share == pytest.approx(0.5, abs=0.06)
    assert -0.02 < found["duration"].overall < 0.02
    found = shares(made, lambda utterance, surface: surface.peak_db)
    assert found["level"].overall > 0.98


def test_within_a_label_a_detector_that_follows_the_label_owes_the_surface_nothing():
    made = made_up(size=600, plant=silent_spoofs)
    draw = np.random.default_rng(3)
    found = shares(made, lambda utterance, surface: 4 * utterance.label + draw.standard_normal())
    assert found["silence"].overall > 0.7  # for the silence says the label
    assert found["silence"].bonafide < 0.05
    assert found["silence"].spoof < 0.05


def test_where_no_share_can_be_had():
    made = made_up()
    assert all(one.overall is one.bonafide is one.spoof is None for one in shares(made, lambda *_: 1.0).values())
    some = [trial for trial in trials(made, lambda u, s: s.level_db) if trial.utterance.label][:9]
    assert {(one.overall, one.spoof) for one in explained(made, some)} == {(None, None)}
    assert {one.overall for one in explained(made, [])} == {None}


def test_trials_without_a_surface_or_a_score_are_left_out():
    made = made_up()
    scored = trials(made, lambda utterance, surface: surface.level_db)
    fewer = replace(made, utterances=made.utterances[:100], surfaces=made.surfaces[:100])
    broken = [*scored[:100], *(replace(trial, llr=float("nan")) for trial in scored[100:])]
    assert explained(fewer, reversed(scored)) == explained(made, broken) == explained(fewer, scored[:100])


@pytest.fixture
def corpus_with_silence(tmp_path) -> Path:
    """Twelve of each label, 1 s, from six sources, the spoofs with 0.3 s of silence before; one file is no audio."""
    lines = ["path,label,source"]
    for i in range(24):
        label = ("bonafide", "spoof")[i % 2]
        lead = np.zeros(4800 * (i % 2), np.float32)
        voice = speechlike(1.0, seed=i // 2, f0_hz=100 + 5 * (i // 2))
        write_wav(tmp_path / f"{i}.wav", np.concatenate([lead, voice])[:SAMPLE_RATE])
        lines.append(f"{i}.wav,{label},site{i % 6}")
    (tmp_path / "damaged.wav").write_bytes(b"RIFF")
    lines.append("damaged.wav,spoof,site1")
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    return tmp_path / "manifest.csv"


@pytest.mark.parametrize("jobs", [1, 3])
def test_recordings_are_measured_in_the_order_of_the_protocol(corpus_with_silence, jobs):
    protocol = read_data(corpus_with_silence)
    seen = []
    found = gather(protocol, jobs=jobs, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 25) for i in range(1, 26)]
    assert [utterance.id for utterance in found.utterances] == [str(i) for i in range(24)]
    [(utterance, reason)] = found.skipped
    assert utterance.id == "damaged"
    assert "not audio" in reason
    for utterance, surface in zip(found.utterances, found.surfaces, strict=True):
        assert surface.leading_silence_s == pytest.approx(0.3 * (utterance.label is Label.SPOOF), abs=0.04)
    result = audit(found)
    assert "silence alone" in result.warning
    assert (result.bonafide, result.spoof, len(result.skipped)) == (12, 12, 1)


def test_labels_are_needed_and_jobs_are_counted(corpus_with_silence):
    protocol = read_data(corpus_with_silence)
    with pytest.raises(ConfigError, match="The number of jobs is 0"):
        gather(protocol, jobs=0)
    unlabelled = Protocol("x", None, tuple(replace(u, label=None) for u in protocol.utterances))
    assert gather(unlabelled).utterances == ()
    with pytest.raises(DataError, match="at least 10 recordings"):
        audit(gather(unlabelled))


def test_a_bug_is_no_unreadable_recording(corpus_with_silence, monkeypatch):
    def fail(waveform):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("deepcheck.engine.surfaces.measure", fail)
    with pytest.raises(ZeroDivisionError):
        gather(read_data(corpus_with_silence))


def test_an_interrupt_does_not_wait_for_the_rest(corpus_with_silence, monkeypatch):
    begun = []

    def slow(waveform):
        begun.append(1)
        time.sleep(0.02)
        return measure(waveform)

    def interrupt(done, total):
        raise KeyboardInterrupt

    monkeypatch.setattr("deepcheck.engine.surfaces.measure", slow)
    with pytest.raises(KeyboardInterrupt):
        gather(read_data(corpus_with_silence), jobs=1, progress=interrupt)
    assert len(begun) < 5
