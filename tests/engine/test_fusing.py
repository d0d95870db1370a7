"""Trainings over the same folds as one model: its weights, its figures, and what is refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import TINY, speechlike, write_wav

from deepcheck.checkpoint import load_checkpoint, same_tensors, save_checkpoint
from deepcheck.config import (
    CalibrationConfig,
    DataConfig,
    FoldsConfig,
    OptimizerConfig,
    SamplingConfig,
    SourceConfig,
    TrainConfig,
)
from deepcheck.data.folds import folds
from deepcheck.data.protocols import read_data
from deepcheck.engine import committee, development
from deepcheck.engine.calibrate import Scored, fit_recordings, score
from deepcheck.engine.committee import Opinions, committee_of, fuse, opinions_of
from deepcheck.engine.dev_scores import dev_scores_of
from deepcheck.engine.events import Done, FoldsChecked, Skipped
from deepcheck.engine.fold_check import checks_of, cross_check
from deepcheck.engine.fold_run import read_run
from deepcheck.engine.processes import ALONE
from deepcheck.engine.reference import reference_of
from deepcheck.engine.score import Scorer
from deepcheck.engine.score_file import read_scores
from deepcheck.engine.train import train
from deepcheck.errors import ConfigError, DataError
from deepcheck.metrics.fusion import fit_weights

LENIENT = CalibrationConfig(false_alarm=0.4, miss=0.45, confidence=0.5, conditions=["telephone"])
GRU = {"name": "gru", "units": [5], "frontend": {"name": "mel", "bins": 20}, "window_s": 1.0}
RESNET = {"name": "resnet18", **TINY.arguments}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Twelve recordings are enough to know what is usual."""
    monkeypatch.setattr(development, "_FEWEST", 4)


def settings(manifest, name, detector, **changes):
    config = TrainConfig(
        name=name,
        epochs=2,
        batch_size=8,
        device="cpu",
        precision="fp32",
        detector=detector,
        data=DataConfig(SourceConfig(str(manifest)), workers=0),
        sampling=SamplingConfig(samples_per_epoch=32, min_crop_s=0.5),
        optimizer=OptimizerConfig(lr=5e-3, warmup_steps=1),
        calibration=LENIENT,
        folds=FoldsConfig(3),
    )
    return replace(config, **changes)


def trained(place, config):
    """Laid out as a store has it."""
    *_, done = train(config, place / "runs" / config.name)
    save_checkpoint(done.checkpoint, place / "models" / f"{config.name}.safetensors")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(manifest, folder of runs): 18 voices and 18 tones at six sites; a ResNet18, and two GRUs, one by its mean."""
    place = tmp_path_factory.mktemp("made")
    rows = ["path,label,source,system"]
    for i in range(18):
        write_wav(place / "data" / f"b{i}.wav", speechlike(1.2, seed=i, f0_hz=100 + 9 * i))
        tone = np.sign(np.sin(2 * np.pi * (180 + 23 * i) * np.arange(19_200) / 16_000))
        write_wav(place / "data" / f"s{i}.wav", (0.2 * tone).astype(np.float32))
        rows += [f"b{i}.wav,bonafide,site{i % 6},", f"s{i}.wav,spoof,site{i % 6},system{i % 6}"]
    manifest = place / "data" / "manifest.csv"
    manifest.write_text("\n".join(rows) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(development, "_FEWEST", 4)
        trained(place, settings(manifest, "resnet", RESNET))
        trained(place, settings(manifest, "gru", GRU, epochs=1))
        trained(place, settings(manifest, "mean", GRU, folds=FoldsConfig(3, final="mean"), epochs=1))
    return manifest, place / "runs"


@pytest.fixture
def copied(made, tmp_path):
    """As `made`, to be spoilt."""
    shutil.copytree(made[1].parent, tmp_path / "copy")
    return tmp_path / "copy" / "data" / "manifest.csv", tmp_path / "copy" / "runs"


def finish(manifest, runs, run_dir, name="both", **how):
    """(the last event, all events)."""
    events = list(fuse(runs, read_data(manifest), name, run_dir, **how))
    assert isinstance(events[-1], Done)
    return events[-1], events


def test_copies_are_left_out_where_they_were_in_training(copied, tmp_path):
    manifest, place = copied
    write_wav(manifest.parent / "copy.wav", speechlike(1.2, seed=0, f0_hz=100)[::-1])
    rows = [f"{line},{'pair_of' if i == 0 else ''}" for i, line in enumerate(manifest.read_text().splitlines())]
    manifest.write_text("\n".join([*rows, "copy.wav,spoof,engine,vocoder,b0"]) + "\n")
    with pytest.raises(ConfigError, match="not the recordings"):
        finish(manifest, [read_run(place / "resnet"), read_run(place / "gru")], tmp_path / "both")
    for name in ("resnet", "gru"):
        told = json.loads((place / name / "folds.json").read_text())
        (place / name / "folds.json").write_text(json.dumps(told | {"data": told["data"] | {"copies": False}}))
    quick = replace(LENIENT, conditions=[])
    done, _ = finish(manifest, [read_run(place / "resnet"), read_run(place / "gru")], tmp_path / "both", config=quick)
    assert "18 bona fide, 18 spoof" in done.checkpoint.card.history[-1]["train"]


def test_it_is_judged_by_what_has_not_heard_the_recordings(made, tmp_path):
    manifest, place = made
    runs = [read_run(place / "resnet"), read_run(place / "gru")]
    done, events = finish(manifest, runs, tmp_path / "both")
    assert [type(event) for event in events] == [FoldsChecked, Done]
    parts = folds(read_data(manifest), 3)

    # The gains are those of a regression on what the models of the folds say, and of each fold on the other two.
    logits = np.stack([dev_scores_of(run.final.evidence).logits for run in runs], 1)
    labels = dev_scores_of(runs[0].final.evidence).labels == 1
    numbers = np.repeat(range(3), [len(fold.test) for fold in parts])
    weights = fit_weights(labels, logits)
    order = np.argsort(-weights[:-1] * logits.std(0))
    tensors = done.checkpoint.tensors
    assert (weights[:-1] > 0).all()
    np.testing.assert_allclose(tensors["gains"], weights[:-1][order], rtol=1e-5)
    assert float(tensors["bias"]) == pytest.approx(weights[-1], rel=1e-5)
    scored = []
    for number, fold in enumerate(parts):
        own = fit_weights(labels[numbers != number], logits[numbers != number])
        models = [runs[i].models[number] for i in order]
        part = committee_of(models, np.append(own[:-1][order], own[-1]), [1.0, 1.0], "x").build()
        scored.append(score(Scorer(part, device="cpu"), fold.test))
        # Without another pass: a mean of weighted sums is the weighted sum of the means.
        np.testing.assert_allclose(
            scored[-1].scores, logits[numbers == number] @ own[:-1] + own[-1], atol=1e-3, rtol=1e-4
        )
    config = replace(LENIENT, conditions=["telephone"])
    fitted = fit_recordings(Scored.joined(scored), config)
    card, evidence = done.checkpoint.card, done.checkpoint.evidence
    assert card.calibration.scale == pytest.approx(fitted.calibration.scale, rel=1e-3)
    assert card.thresholds.spoof == pytest.approx(fitted.thresholds.spoof, abs=1e-2)
    assert set(card.bands) == {"telephone", "unfamiliar"}
    np.testing.assert_allclose(
        dev_scores_of(evidence).logits, np.concatenate([one.scores for one in scored]), atol=1e-3, rtol=1e-4
    )
    checks, evaluations = cross_check(scored, config, "both")
    assert [one.eer for one in checks_of(card)] == [one.eer for one in checks]
    kept = read_scores(tmp_path / "both" / "fold-scores.csv", read_data(manifest), "kept")
    expected = {trial.utterance.id: trial.llr for one in evaluations for trial in one.trials}
    np.testing.assert_allclose([t.llr for t in kept.trials], [expected[t.utterance.id] for t in kept.trials], atol=0.05)
    assert set(json.loads((tmp_path / "both" / "fold-abstention.json").read_text())) == {
        "all",
        "fold 1",
        "fold 2",
        "fold 3",
    }


def test_what_it_is_made_of_and_what_it_knows_of_itself(made, tmp_path):
    manifest, place = made
    runs = [read_run(place / name) for name in ("gru", "resnet", "mean")]
    done, _ = finish(manifest, runs, tmp_path / "x", config=replace(LENIENT, conditions=[]))
    checkpoint = done.checkpoint
    [row] = checkpoint.card.history
    assert (row["stage"], row["train"]) == ("fuse", "data: 18 bona fide, 18 spoof")
    assert row["dev"] == "3 folds by source, each by models and gains that have not heard it"
    assert row["calibration"]["conditions"] == []
    by_name = {run.name: run for run in runs}
    for number, member in enumerate(row["members"]):
        final = by_name[member["name"]].final
        prefix = f"members.{number}."
        own = {k.removeprefix(prefix): v for k, v in checkpoint.tensors.items() if k.startswith(prefix)}
        assert same_tensors(own, final.tensors)
        assert member["gain"] == pytest.approx(float(checkpoint.tensors["gains"][number]))
        assert member["history"] == [*final.card.history]
        deviation = reference_of(final.evidence).deviation
        assert float(checkpoint.tensors["scales"][number]) == pytest.approx(1 / deviation)
    save_checkpoint(checkpoint, tmp_path / "x.safetensors")
    again = load_checkpoint(tmp_path / "x.safetensors")
    assert again.card == checkpoint.card
    detector = again.build()
    assert sum(p.numel() for p in detector.parameters()) == again.card.parameters
    # It knows near from far: what it was trained on from noise.
    scorer = Scorer(detector, device="cpu", reference=reference_of(again.evidence))
    noise = write_wav(tmp_path / "noise.wav", 0.1 * np.random.default_rng(0).standard_normal(32_000))
    paths = [noise, *(u.path for u in read_data(manifest).utterances)]
    distances = {found.index: found.distance() for found in scorer.recordings(paths)}
    assert distances.pop(0) > np.median(list(distances.values()))
    assert np.median(list(distances.values())) < 1


def test_in_half_the_space_it_says_the_same(made, tmp_path):
    manifest, place = made
    runs = [read_run(place / "resnet"), read_run(place / "gru")]
    quick = replace(LENIENT, conditions=[])
    whole, _ = finish(manifest, runs, tmp_path / "whole", config=quick)
    half, _ = finish(manifest, runs, tmp_path / "half", config=quick, half=True)
    assert {tensor.dtype for tensor in half.checkpoint.tensors.values()} > {torch.float16}
    assert half.checkpoint.tensors["gains"].dtype == torch.float32
    sound = torch.from_numpy(np.stack([speechlike(1.0, seed=i) for i in range(8)]))
    with torch.no_grad():
        scores = [one.checkpoint.build().score(sound) for one in (whole, half)]
    assert (scores[0] - scores[1]).abs().max() < 1e-2
    assert half.checkpoint.card.calibration.scale == pytest.approx(whole.checkpoint.card.calibration.scale, rel=1e-4)
    sizes = []
    for one in (whole, half):
        bare = replace(one.checkpoint, evidence={}, card=replace(one.checkpoint.card, history=()))
        save_checkpoint(bare, tmp_path / "bare")
        sizes.append((tmp_path / "bare").stat().st_size)
    assert sizes[1] < 0.75 * sizes[0]  # names and vectors are much of what is this small


def test_a_final_model_without_scores_is_no_hindrance(copied, tmp_path):
    manifest, place = copied
    before = [read_run(place / name) for name in ("resnet", "mean")]
    (place.parent / "models" / "resnet.safetensors").unlink()
    (place.parent / "models" / "mean.safetensors").unlink()
    after = [read_run(place / name) for name in ("resnet", "mean")]
    for one, other in zip(before, after, strict=True):
        assert same_tensors(one.final.tensors, other.final.tensors)
        assert not other.final.evidence
    parts = folds(read_data(manifest), 3)
    told = []
    known, computed = (opinions_of(runs, parts, ALONE, told.append) for runs in (before, after))
    assert told == ["what resnet says of its folds", "what mean says of its folds"]
    np.testing.assert_allclose(computed.logits, known.logits, atol=1e-4)
    assert computed.labels.tolist() == known.labels.tolist()
    assert computed.folds.tolist() == known.folds.tolist()
    done, _ = finish(manifest, after, tmp_path / "x", config=replace(LENIENT, conditions=[]))
    assert done.checkpoint.tensors["scales"].tolist() == [1.0, 1.0]


def test_a_final_model_that_was_changed_since_does_not_count(copied):
    _, place = copied
    stored = place.parent / "models" / "resnet.safetensors"
    model = load_checkpoint(stored)
    changed = replace(model.card, history=(*model.card.history, {"stage": "calibrate", "dev": "other"}))
    save_checkpoint(replace(model, card=changed), stored)
    assert not read_run(place / "resnet").final.evidence  # that in the folder is taken
    (place / "resnet" / "final.safetensors").unlink()
    with pytest.raises(ConfigError, match="is neither there nor at"):
        read_run(place / "resnet")


def test_one_that_would_help_upside_down_is_left_out(made, tmp_path, monkeypatch):
    manifest, place = made
    runs = [read_run(place / name) for name in ("resnet", "gru", "mean")]
    parts = folds(read_data(manifest), 3)
    draw = np.random.default_rng(0)
    signs = np.where(opinions_of(runs, parts, ALONE).labels, 1.0, -1.0)
    columns = [signs + draw.standard_normal(36), -3 * signs + draw.standard_normal(36), 3 * signs]
    numbers = np.repeat(range(3), [len(fold.test) for fold in parts])
    found = Opinions(numbers, signs > 0, np.stack(columns, 1))
    monkeypatch.setattr(committee, "opinions_of", lambda *_: found)
    done, _ = finish(manifest, runs, tmp_path / "x", config=replace(LENIENT, conditions=[]))
    assert [member["name"] for member in done.checkpoint.card.history[0]["members"]] == ["mean", "resnet"]
    assert done.note.startswith("gru is left out: it would help upside down.")
    assert (done.checkpoint.tensors["gains"] > 0).all()
    for wrong, message in ((columns[:1] + [-3 * signs] * 2, "Only resnet tells"), ([-signs] * 3, "None of the runs")):
        found = Opinions(numbers, signs > 0, np.stack(wrong, 1))
        with pytest.raises(DataError, match=message):
            finish(manifest, runs, tmp_path / "x")


def test_each_fold_is_judged_by_gains_that_do_not_know_it():
    draw = np.random.default_rng(1)
    labels = np.arange(90) % 2 == 0
    numbers = np.arange(90) % 3
    logits = np.where(labels, 1.0, -1.0)[:, None] * [1.0, 2.0] + draw.standard_normal((90, 2))
    one = Opinions(numbers, labels, logits)
    before = one.weights(without=2)
    logits[numbers == 2] = draw.standard_normal((30, 2))
    assert one.weights(without=2).tolist() == before.tolist()
    assert one.weights().tolist() != before.tolist()
    with pytest.raises(DataError, match="one label"):
        Opinions(numbers, numbers == 0, logits).weights(without=0)


def test_runs_must_have_been_divided_alike(made, tmp_path):
    manifest, place = made
    one, other = read_run(place / "resnet"), read_run(place / "gru")
    for key, value in (("recordings", "x"), ("seed", 1), ("folds", {"count": 2, "by": "source", "final": "train"})):
        strange = replace(other, settings={**other.settings, key: value})
        name = "folds.count" if key == "folds" else key
        with pytest.raises(ConfigError, match=f"not trained over the same folds: {name}"):
            next(fuse([one, strange], read_data(manifest), "x", tmp_path))
    with pytest.raises(ConfigError, match="1 runs make no committee"):
        next(fuse([one], read_data(manifest), "x", tmp_path))
    with pytest.raises(ConfigError, match='called "resnet"'):
        next(fuse([one, one], read_data(manifest), "x", tmp_path))
    lines = manifest.read_text().splitlines()
    fewer = manifest.with_name("fewer.csv")
    fewer.write_text("\n".join(lines[:-1]))
    with pytest.raises(ConfigError, match="these are not the recordings that resnet was trained on"):
        next(fuse([one, other], read_data(fewer), "x", tmp_path))


def test_what_is_no_finished_run(copied, tmp_path):
    _, place = copied
    with pytest.raises(ConfigError, match="holds no training over folds"):
        read_run(tmp_path)
    (place / "gru" / "folds.json").write_text("[]")
    with pytest.raises(ConfigError, match="holds no training over folds"):
        read_run(place / "gru")
    (place / "mean" / "fold-scores.csv").unlink()
    (place / "resnet" / "fold-3.safetensors").unlink()
    for name in ("mean", "resnet"):
        with pytest.raises(ConfigError, match="is not finished"):
            read_run(place / name)


def test_recordings_that_are_broken_by_now_do_not_count(copied, tmp_path):
    manifest, place = copied
    (manifest.parent / "b3.wav").write_bytes(b"nothing")
    runs = [read_run(place / "resnet"), read_run(place / "gru")]
    done, events = finish(manifest, runs, tmp_path / "x", config=replace(LENIENT, conditions=[]))
    assert [event.path.rpartition("/")[2] for event in events if isinstance(event, Skipped)] == ["b3.wav"]
    assert done.checkpoint.card.rates["bonafide"] == 17
