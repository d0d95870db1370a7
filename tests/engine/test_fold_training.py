"""A training over folds: what it leaves, what it says of itself, and that being stopped changes nothing."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY, speechlike, write_wav

from deepcheck.checkpoint import load_checkpoint, same_tensors
from deepcheck.config import (
    CalibrationConfig,
    DataConfig,
    FoldsConfig,
    OptimizerConfig,
    SamplingConfig,
    SourceConfig,
    StageConfig,
    TrainConfig,
    to_yaml,
)
from deepcheck.data.folds import folds
from deepcheck.engine import development
from deepcheck.engine.calibrate import Scored, fit_recordings, score
from deepcheck.engine.dev_scores import dev_scores_of, id_of
from deepcheck.engine.development import recalibrated
from deepcheck.engine.events import Done, EpochDone, FoldDone, FoldsChecked, Skipped, Started, Step
from deepcheck.engine.fold_check import checks_of, cross_check
from deepcheck.engine.reference import reference_of
from deepcheck.engine.score import Scorer
from deepcheck.engine.score_file import read_scores
from deepcheck.engine.soup import mean_of
from deepcheck.engine.train import train
from deepcheck.engine.train_state import load_state
from deepcheck.engine.training_sets import read_all
from deepcheck.errors import ConfigError

LENIENT = CalibrationConfig(false_alarm=0.4, miss=0.45, confidence=0.5, conditions=["telephone"])


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Twelve recordings are enough to know what is usual."""
    monkeypatch.setattr(development, "_FEWEST", 4)


def write_data(place):
    """Four sites, each with a system of its own: voices, and buzzing tones; and a copy of one voice."""
    rows = ["path,label,source,system,pair_of"]
    for i in range(16):
        write_wav(place / f"b{i}.wav", speechlike(1.2, seed=i, f0_hz=100 + 9 * i))
        tone = np.sign(np.sin(2 * np.pi * (180 + 23 * i) * np.arange(19_200) / 16_000))
        write_wav(place / f"s{i}.wav", (0.2 * tone).astype(np.float32))
        rows += [f"b{i}.wav,bonafide,site{i % 4},,", f"s{i}.wav,spoof,site{i % 4},system{i % 4},"]
    write_wav(place / "copy.wav", speechlike(1.2, seed=0, f0_hz=100)[::-1])
    rows.append("copy.wav,spoof,engine,vocoder,b0")
    (place / "manifest.csv").write_text("\n".join(rows) + "\n")
    return place / "manifest.csv"


@pytest.fixture
def manifest(tmp_path):
    """Recordings that a test may spoil."""
    return write_data(tmp_path / "data")


def settings(manifest, **changes):
    config = TrainConfig(
        name="mine",
        epochs=2,
        batch_size=8,
        patience=1,
        device="cpu",
        precision="fp32",
        detector={"name": "resnet18", **TINY.arguments},
        data=DataConfig(SourceConfig(str(manifest)), workers=0),
        sampling=SamplingConfig(samples_per_epoch=32, min_crop_s=0.5),
        optimizer=OptimizerConfig(lr=1e-2, warmup_steps=1),
        calibration=LENIENT,
        folds=FoldsConfig(2),
        save_minutes=0.0,
    )
    return replace(config, **changes)


def finish(config, run_dir):
    """(all events, the last one)."""
    events = list(train(config, run_dir))
    assert isinstance(events[-1], Done)
    return events, events[-1]


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


def models(run_dir, count=2):
    return [load_checkpoint(run_dir / f"fold-{number}.safetensors") for number in range(1, count + 1)]


@dataclass(frozen=True)
class Whole:
    """A training that ran through, and what it was made from; nobody writes there."""

    config: TrainConfig
    place: Path
    events: list
    done: Done


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    config = settings(write_data(folder / "data"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(development, "_FEWEST", 4)
        events, done = finish(config, folder / "run")
    return Whole(config, folder / "run", events, done)


@pytest.fixture
def uninterrupted(whole):
    return whole.done


def test_it_trains_each_fold_then_one_on_everything_and_tells(whole):
    events, done = whole.events, whole.done
    started = of(events, Started)
    assert [event.train.partition(":")[0] for event in started] == [
        "data (all but fold 1 of 2 by source)",
        "data (all but fold 2 of 2 by source)",
        "data",
    ]
    assert {event.dev for event in started} == {""}
    assert len(of(events, Step)) == 3 * 2 * 4
    # The test chooses nothing: it is not even looked at before the end, and patience has nothing to lose.
    assert [(event.epoch, event.dev_eer, event.best) for event in of(events, EpochDone)] == 3 * [
        (1, None, False),
        (2, None, False),
    ]
    assert [(event.number, event.total) for event in of(events, FoldDone)] == [(1, 2), (2, 2)]
    assert of(events, FoldDone)[0].test == "data (fold 1 of 2 by source): 8 bona fide, 8 spoof"
    assert [type(event) for event in events[-2:]] == [FoldsChecked, Done]
    assert done.best_epoch is None
    assert done.reason == "all 2 folds done"

    card = done.checkpoint.card
    assert (card.name, card.parent) == ("mine", None)
    [row] = card.history
    assert row["train"] == "data: 16 bona fide, 17 spoof"
    assert row["dev"].startswith("2 folds by source")
    assert row["config"]["folds"] == {"count": 2, "by": "source", "final": "train"}
    assert str(whole.place.parent) not in json.dumps(row)
    assert len(row["epochs"]) == 2
    assert checks_of(card) == of(events, FoldsChecked)[0].checks
    assert (card.rates["bonafide"], card.rates["spoof"]) == (16, 16)
    assert set(card.bands) == {"telephone", "unfamiliar"}


def test_weights_are_those_of_the_last_epoch_and_begin_alike(manifest, tmp_path):
    first = {}
    for event in train(settings(manifest, epochs=3), tmp_path / "run"):
        if isinstance(event, EpochDone) and event.epoch == 3:
            last = {
                p.parent.name: load_state(p).tensors["model"] for p in (tmp_path / "run").rglob("state.safetensors")
            }
            first |= last
    for name, tensors in first.items():
        assert same_tensors(load_checkpoint(tmp_path / "run" / f"{name}.safetensors").tensors, tensors)
    assert set(first) == {"fold-1", "fold-2", "final"}
    # With a step that moves nothing, all are what they began with.
    still = OptimizerConfig(lr=0.0)
    finish(settings(manifest, epochs=1, optimizer=still), tmp_path / "still")
    one, two = (dict(model.build().named_parameters()) for model in models(tmp_path / "still"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_figures_are_those_of_models_that_have_not_heard_the_recordings(whole):
    config, run_dir, events, done = whole.config, whole.place, whole.events, whole.done
    parts = folds(read_all(config), 2)
    scored = [
        score(Scorer(model.build(), device="cpu"), fold.test)
        for model, fold in zip(models(run_dir), parts, strict=True)
    ]
    fitted = fit_recordings(Scored.joined(scored), LENIENT)
    card, evidence = done.checkpoint.card, done.checkpoint.evidence
    assert card.calibration.scale == pytest.approx(fitted.calibration.scale, rel=1e-4)
    assert card.thresholds.spoof == pytest.approx(fitted.thresholds.spoof, abs=1e-4)
    assert card.metrics["dev_eer"] == fitted.metrics["dev_eer"]
    scores = dev_scores_of(evidence)
    assert scores.ids.tolist() == [id_of(u.id) for fold in parts for u in fold.test.utterances]
    np.testing.assert_allclose(scores.logits, np.concatenate([one.scores for one in scored]), atol=1e-4)

    checks, evaluations = cross_check(scored, LENIENT, "mine")
    [checked] = of(events, FoldsChecked)
    assert [check.false_alarm for check in checked.checks] == [check.false_alarm for check in checks]
    tested = replace(read_all(config), utterances=tuple(u for fold in parts for u in fold.test.utterances))
    kept = read_scores(run_dir / "fold-scores.csv", tested, "kept")
    expected = [trial.llr for evaluation in evaluations for trial in evaluation.trials]
    np.testing.assert_allclose([trial.llr for trial in kept.trials], expected, atol=1e-3)
    curves = json.loads((run_dir / "fold-abstention.json").read_text())
    assert set(curves) == {"all", "fold 1", "fold 2"}
    assert curves["all"]["judged"][-1] == pytest.approx(1)


def test_how_far_is_far_is_known_from_the_folds(manifest, tmp_path):
    config = settings(manifest, calibration=replace(LENIENT, conditions=[]))
    _, done = finish(config, tmp_path / "run")
    reference = reference_of(done.checkpoint.evidence)
    parts = folds(read_all(config), 2)
    distances = []
    for model, fold in zip(models(tmp_path / "run"), parts, strict=True):
        detector = model.build()
        own = development._reference(detector, fold.train, LENIENT, torch.device("cpu"), development.ALONE)
        distances.append(score(Scorer(detector, device="cpu", reference=own), fold.test).distances)
    assert reference.scale == pytest.approx(np.quantile(np.concatenate(distances), 0.99), rel=1e-3)


def test_the_mean_of_the_folds(manifest, tmp_path):
    config = settings(manifest, folds=FoldsConfig(2, final="mean"))
    events, done = finish(config, tmp_path / "run")
    assert len(of(events, Started)) == 2
    one, two = (model.tensors for model in models(tmp_path / "run"))
    assert same_tensors(done.checkpoint.tensors, mean_of(models(tmp_path / "run")))
    for name, tensor in done.checkpoint.tensors.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, (one[name] + two[name]) / 2)
    assert done.checkpoint.card.calibration is not None
    assert "epochs" not in done.checkpoint.card.history[0]


def same_model(one, other):
    assert same_tensors(one.checkpoint.tensors, other.checkpoint.tensors)
    assert one.checkpoint.card.thresholds == other.checkpoint.card.thresholds
    assert checks_of(one.checkpoint.card) == checks_of(other.checkpoint.card)
    assert same_tensors(one.checkpoint.evidence, other.checkpoint.evidence)


def test_stopped_after_every_third_step_each_fold_and_the_check(manifest, tmp_path, uninterrupted):
    config, seen, done = settings(manifest), set(), None
    while done is None:
        steps = 0
        run = train(config, tmp_path / "run")
        for event in run:
            steps += isinstance(event, Step)
            once = getattr(event, "number", "check") if isinstance(event, FoldDone | FoldsChecked) else None
            if isinstance(event, Done):
                done = event
            elif steps == 3 or (once and once not in seen):
                seen.add(once)
                break
        run.close()
    assert seen == {None, 1, 2, "check"}
    same_model(done, uninterrupted)


def test_killed_in_the_second_fold_and_started_again(manifest, tmp_path, uninterrupted):
    config = settings(manifest)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(to_yaml(config))
    code = """
import sys
from pathlib import Path
import torch
from deepcheck.config import load_config
from deepcheck.engine.events import FoldDone, Step
from deepcheck.engine.train import train
torch.set_num_threads(1)
for event in train(load_config(sys.argv[1]), Path(sys.argv[2])):
    if isinstance(event, FoldDone):
        print("fold", event.number, flush=True)
    if isinstance(event, Step):
        print(event.epoch, event.step, flush=True)
"""
    command = [sys.executable, "-c", code, str(recipe), str(tmp_path / "run")]
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            lines.append(line.strip())
            if "fold 1" in lines and lines[-1] == "1 2":
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    assert (tmp_path / "run" / "fold-1.safetensors").is_file()
    assert not (tmp_path / "run" / "fold-2.safetensors").exists()
    events, done = finish(config, tmp_path / "run")
    assert len(of(events, Started)) == 2  # the first fold is not trained again
    assert [event.number for event in of(events, FoldDone)] == [1, 2]
    assert of(events, Step)[0].step >= 3
    same_model(done, uninterrupted)


def test_a_finished_run_is_not_trained_again_and_other_settings_are_refused(whole, tmp_path):
    # The manifest stays where it is, for its path is one of the settings; what it says comes back.
    manifest, place = Path(whole.config.data.train.path), tmp_path / "run"
    shutil.copytree(whole.place, place)
    events, done = finish(settings(manifest), place)
    assert not of(events, Step)
    same_model(done, whole.done)
    for changes, named in (
        ({"seed": 1}, "recordings, seed"),
        ({"epochs": 3}, "epochs"),
        ({"folds": FoldsConfig(2, final="mean")}, "folds.final"),
        ({"folds": FoldsConfig(3)}, "folds.count, recordings"),
    ):
        with pytest.raises(ConfigError, match=f"other settings: {named}.") as caught:
            next(train(settings(manifest, **changes), place))
        assert "--fresh" in caught.value.hint
    # A recording more: a model might be tested on what it has heard.
    listed = manifest.read_text()
    manifest.write_text(listed.replace("copy.wav,spoof,engine,vocoder,b0\n", ""))
    try:
        with pytest.raises(ConfigError, match="other settings: recordings"):
            next(train(settings(manifest), place))
    finally:
        manifest.write_text(listed)


def test_broken_recordings_are_told_and_do_not_count(manifest, tmp_path):
    (manifest.parent / "b3.wav").write_bytes(b"nothing")
    events, done = finish(settings(manifest), tmp_path / "run")
    assert any(event.path.endswith("b3.wav") for event in of(events, Skipped))
    assert done.checkpoint.card.rates["bonafide"] == 15


def test_what_does_not_go_together(manifest, tmp_path):
    for changes, message in (
        ({"stages": (StageConfig("train"),)}, "schedule of stages cannot be trained over folds"),
        ({"data": DataConfig(SourceConfig(str(manifest)), dev=SourceConfig("x"))}, "has no development set"),
    ):
        with pytest.raises(ConfigError, match=message):
            next(train(settings(manifest, **changes), tmp_path / "run"))
    for wrong in ({"count": 1}, {"count": -1}, {"final": "best"}):
        with pytest.raises(ConfigError, match="folds"):
            FoldsConfig(**wrong)
    assert not (tmp_path / "run").exists()


def test_nothing_of_it_was_kept_aside(whole):
    with pytest.raises(ConfigError, match="trained over folds"):
        recalibrated(whole.done.checkpoint, read_all(whole.config), name="x", held_out=True, device="cpu")
