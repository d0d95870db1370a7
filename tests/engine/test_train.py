import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import TINY, altered_copy, speechlike, write_wav

from deepcheck.checkpoint import load_checkpoint, same_tensors, save_checkpoint
from deepcheck.config import (
    CalibrationConfig,
    DataConfig,
    OptimizerConfig,
    SamplingConfig,
    SourceConfig,
    TrainConfig,
    to_yaml,
)
from deepcheck.data.utterance import Label
from deepcheck.engine.calibrate import score, score_by_label
from deepcheck.engine.dev_scores import dev_scores_of, id_of
from deepcheck.engine.development import Part, develop
from deepcheck.engine.events import Done, EpochDone, Skipped, Started, Step
from deepcheck.engine.reference import reference_of
from deepcheck.engine.score import Scorer
from deepcheck.engine.train import train
from deepcheck.engine.train_state import load_state
from deepcheck.engine.training_sets import read_sets
from deepcheck.errors import ConfigError, DataError
from deepcheck.metrics.calibration import fit_calibration, fit_thresholds
from deepcheck.metrics.detection import auc, cllr, eer

STEPS = 4  # a batch of 8, 32 clips an epoch


@pytest.fixture(autouse=True)
def one_thread():
    """A detector this small is computed sooner by one thread than two can agree on it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def settings(corpus, **changes):
    config = TrainConfig(
        name="mine",
        epochs=3,
        batch_size=8,
        patience=None,
        device="cpu",
        precision="fp32",
        detector={"name": "resnet18", **TINY.arguments, "dropout": 0.2},
        data=DataConfig(SourceConfig(str(corpus)), holdout=0.3, workers=0),
        sampling=SamplingConfig(samples_per_epoch=32, min_crop_s=0.5),
        augment=[{"name": "gain"}, {"name": "noise", "p": 0.3}, {"name": "spec-augment", "p": 0.5}],
        optimizer=OptimizerConfig(lr=3e-3, warmup_steps=3, label_smoothing=0.02),
    )
    return replace(config, **changes)


def finish(config, run_dir):
    """(all events, the last one)."""
    events = list(train(config, run_dir))
    assert isinstance(events[-1], Done)
    return events, events[-1]


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


def epochs_of(done):
    return done.checkpoint.card.history[-1]["epochs"]


def test_it_learns_and_tells_what_it_does(corpus, tmp_path):
    config = settings(corpus, epochs=6)
    events, done = finish(config, tmp_path / "run")
    started, *middle, last = events
    assert isinstance(started, Started)
    assert started.learning == started.parameters
    assert last is done
    assert "8 bona fide, 8 spoof" in started.train
    assert "4 bona fide, 4 spoof" in started.dev
    assert (started.device, started.precision) == ("cpu", "fp32")
    assert (started.epochs, started.first_epoch, started.steps_per_epoch) == (6, 1, STEPS)
    assert started.parameters == sum(t.numel() for t in done.checkpoint.build().parameters())
    # Four steps, then the epoch, six times over.
    kinds = [(type(event), event.epoch) for event in middle]
    assert kinds == [(kind, n) for n in range(1, 7) for kind in [*[Step] * STEPS, EpochDone]]
    assert [e.step for e in of(middle, Step)] == [1, 2, 3, 4] * 6
    assert [e.clips for e in of(middle, Step)] == [8, 16, 24, 32] * 6

    epochs = of(events, EpochDone)
    assert epochs[-1].loss < 0.75 * epochs[0].loss
    assert done.metrics["dev_eer"] <= 0.25
    assert done.metrics["dev_eer"] == min(e.dev_eer for e in epochs)
    assert done.best_epoch == next(e.epoch for e in epochs if e.dev_eer == done.metrics["dev_eer"])
    lowest = [min(e.dev_eer for e in epochs[: i + 1]) for i in range(6)]
    assert [e.best for e in epochs] == [i == 0 or lowest[i] < lowest[i - 1] for i in range(6)]
    assert all(e.seconds > 0 and e.clips_per_s > 0 and 0 <= e.waiting <= 1 for e in epochs)
    assert done.reason == "all 6 epochs done"
    log = [json.loads(line) for line in (tmp_path / "run" / "epochs.jsonl").read_text().splitlines()]
    assert [(row["epoch"], row["loss"], row["dev_eer"]) for row in log] == [
        (e.epoch, e.loss, e.dev_eer) for e in epochs
    ]
    assert [row["waiting"] for row in log] == [round(e.waiting, 4) for e in epochs]


def test_the_loss_of_a_step_is_the_mean_of_the_epoch_so_far(corpus, tmp_path, monkeypatch):
    real, losses = F.binary_cross_entropy_with_logits, []

    def recorded(*arguments):
        losses.append(real(*arguments).item())
        return real(*arguments)

    monkeypatch.setattr(F, "binary_cross_entropy_with_logits", recorded)
    events, done = finish(settings(corpus, epochs=2), tmp_path / "run")
    assert len(losses) == 2 * STEPS
    for epoch, event in enumerate(of(events, EpochDone)):
        own = losses[epoch * STEPS :][:STEPS]
        means = [np.mean(own[: i + 1]) for i in range(STEPS)]
        assert [e.loss for e in of(events, Step)[epoch * STEPS :][:STEPS]] == pytest.approx(means)
        assert event.loss == pytest.approx(means[-1])
        assert epochs_of(done)[epoch] == {"epoch": epoch + 1, "loss": event.loss, "dev_eer": event.dev_eer}


def test_the_card_says_what_was_made_of_what(corpus, tmp_path):
    config = settings(corpus, description="for tests")
    _, done = finish(config, tmp_path / "run")
    card = done.checkpoint.card
    assert card.name == "mine"
    assert card.spec.name == "resnet18"
    assert card.spec.arguments["width"] == 4
    assert card.parameters == sum(p.numel() for p in done.checkpoint.build().parameters())
    assert card.parent is None
    [row] = card.history
    assert row["stage"] == "train"
    assert row["config"]["description"] == "for tests"
    assert row["config"]["optimizer"]["lr"] == 3e-3
    assert row["best_epoch"] == done.best_epoch
    assert [e["epoch"] for e in row["epochs"]] == [1, 2, 3]


def test_calibration_and_thresholds_are_those_of_the_development_set(corpus, tmp_path):
    config = settings(corpus, calibration=CalibrationConfig(false_alarm=0.4, miss=0.45, confidence=0.5))
    _, done = finish(config, tmp_path / "run")
    card = done.checkpoint.card
    _, dev = read_sets(config)
    bonafide, spoof = score_by_label(Scorer(done.checkpoint.build(), device="cpu"), dev)
    fitted = fit_calibration(bonafide, spoof)
    assert card.calibration.scale == pytest.approx(fitted.scale, rel=1e-4)
    assert card.calibration.offset == pytest.approx(fitted.offset, rel=1e-4)
    bonafide, spoof = fitted.llr(bonafide), fitted.llr(spoof)
    thresholds = fit_thresholds(bonafide, spoof, false_alarm=0.4, miss=0.45, confidence=0.5)
    assert card.thresholds.spoof == pytest.approx(thresholds.spoof, abs=1e-4)
    assert card.thresholds.bonafide == pytest.approx(thresholds.bonafide, abs=1e-4)
    assert card.metrics["dev_eer"] == eer(bonafide, spoof)[0]
    assert card.metrics["dev_auc"] == auc(bonafide, spoof)
    assert card.metrics["dev_cllr"] == pytest.approx(cllr(bonafide, spoof), abs=1e-4)
    # Four recordings show such generous rates.
    assert done.note == ""
    assert card.rates == {"false_alarm": 0.4, "miss": 0.45, "confidence": 0.5, "bonafide": 4, "spoof": 4}


def test_what_was_measured_in_the_end_is_kept_beside_the_weights(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("deepcheck.engine.development._FEWEST", 4)
    lenient = CalibrationConfig(false_alarm=0.4, miss=0.45, confidence=0.5, conditions=["telephone"])
    config = settings(corpus, calibration=lenient)
    _, done = finish(config, tmp_path / "run")
    card, evidence = done.checkpoint.card, done.checkpoint.evidence
    train_set, dev = read_sets(config)
    found = score(Scorer(done.checkpoint.build(), device="cpu", reference=reference_of(evidence)), dev)
    scores = dev_scores_of(evidence)
    assert scores.ids.tolist() == [id_of(utterance.id) for utterance in dev.utterances]
    np.testing.assert_allclose(scores.logits, found.scores, atol=1e-4)
    assert np.quantile(found.distances, 0.99) == pytest.approx(1.0, rel=1e-3)
    assert set(card.bands) == {"telephone", "unfamiliar"}
    assert 0 <= card.metrics["dev_eer.telephone"] <= 1
    expected = develop([Part(done.checkpoint.build(), dev, train_set)], lenient, device=torch.device("cpu"))
    assert card.bands == expected.fitted.bands
    assert same_tensors(evidence, expected.evidence)


def test_conditions_that_do_not_exist_are_noticed_before_the_training(corpus, tmp_path):
    with pytest.raises(ConfigError, match='no condition "telefone"'):
        next(train(settings(corpus, calibration=CalibrationConfig(conditions=["telefone"])), tmp_path / "run"))


def test_too_few_recordings_promise_nothing(corpus, tmp_path):
    _, done = finish(settings(corpus, epochs=2), tmp_path / "run")
    assert "4 genuine and 4 synthetic" in done.note
    assert "1.0%" in done.note
    assert "5.0%" in done.note
    assert done.checkpoint.card.rates == {"confidence": 0.95, "bonafide": 4, "spoof": 4}


def test_the_weights_are_those_of_the_best_epoch(corpus, tmp_path):
    at_the_end = {}
    run = train(settings(corpus, epochs=5), tmp_path / "run")
    for event in run:
        if isinstance(event, EpochDone):
            at_the_end[event.epoch] = load_state(tmp_path / "run" / "state.safetensors").tensors["model"]
    assert isinstance(event, Done)
    assert event.best_epoch < 5  # the toy is learnt before the end, so later epochs are not better
    assert same_tensors(event.checkpoint.tensors, at_the_end[event.best_epoch])
    assert not same_tensors(event.checkpoint.tensors, at_the_end[5])


def test_patience_ends_the_run(corpus, tmp_path):
    events, done = finish(settings(corpus, epochs=30, patience=2), tmp_path / "run")
    assert of(events, EpochDone)[-1].epoch == done.best_epoch + 2
    assert done.best_epoch + 2 < 30
    assert done.reason == "no better development EER in 2 epochs"


def same_run(one, other):
    """Weights to the bit, history to the digit; only what was timed may differ."""
    assert same_tensors(one.checkpoint.tensors, other.checkpoint.tensors)
    assert epochs_of(one) == epochs_of(other)
    assert one.best_epoch == other.best_epoch
    assert one.checkpoint.card.calibration.scale == pytest.approx(other.checkpoint.card.calibration.scale, rel=1e-4)


@pytest.fixture(scope="module")
def uninterrupted(lasting_corpus, tmp_path_factory):
    return finish(settings(lasting_corpus), tmp_path_factory.mktemp("uninterrupted"))[1]


@pytest.mark.parametrize(
    ("save_minutes", "first_step"),
    [(0.0, 3), (5.0, 1)],  # goes on in the middle of the epoch, or begins it again
)
def test_stopped_and_started_again_gives_the_same_weights(corpus, tmp_path, uninterrupted, save_minutes, first_step):
    config = settings(corpus, save_minutes=save_minutes)
    run = train(config, tmp_path / "run")
    for event in run:
        if isinstance(event, Step) and (event.epoch, event.step) == (2, 2):
            break
    run.close()
    events, done = finish(config, tmp_path / "run")
    assert events[0].first_epoch == 2
    first = of(events, Step)[0]
    assert (first.epoch, first.step, first.clips) == (2, first_step, 8 * first_step)
    same_run(done, uninterrupted)


def test_stopped_after_every_single_step(corpus, tmp_path, uninterrupted):
    config = settings(corpus, save_minutes=0.0)
    done, starts = None, 0
    while done is None:
        starts += 1
        for event in train(config, tmp_path / "run"):
            if isinstance(event, Done):
                done = event
            elif isinstance(event, Step):
                break
    assert starts == 3 * STEPS + 1
    same_run(done, uninterrupted)


def test_the_running_mean_of_the_weights_goes_on_as_well(corpus, tmp_path):
    optimizer = replace(settings(corpus).optimizer, average=0.8)
    config = settings(corpus, epochs=2, save_minutes=0.0, optimizer=optimizer)
    _, whole = finish(config, tmp_path / "whole")
    for _ in range(5):
        start_of_a_run(config, tmp_path / "run")
    events, done = finish(config, tmp_path / "run")
    assert (of(events, Step)[0].epoch, of(events, Step)[0].step) == (2, 2)
    same_run(done, whole)
    _, plain = finish(replace(config, optimizer=replace(optimizer, average=0.0)), tmp_path / "plain")
    assert not same_tensors(plain.checkpoint.tensors, whole.checkpoint.tensors)


def test_stopped_before_the_last_event(corpus, tmp_path, uninterrupted):
    config = settings(corpus)
    for event in train(config, tmp_path / "run"):
        if isinstance(event, EpochDone) and event.epoch == 3:
            break
    events, done = finish(config, tmp_path / "run")
    assert [type(event) for event in events] == [Started, Done]
    same_run(done, uninterrupted)


def test_killed_in_the_middle_and_started_again(corpus, tmp_path, uninterrupted):
    config = settings(corpus, save_minutes=0.0)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(to_yaml(config))
    code = """
import sys
from pathlib import Path
import torch
from deepcheck.config import load_config
from deepcheck.engine.events import Step
from deepcheck.engine.train import train
torch.set_num_threads(1)
for event in train(load_config(sys.argv[1]), Path(sys.argv[2])):
    if isinstance(event, Step):
        print(event.epoch, event.step, flush=True)
"""
    command = [sys.executable, "-c", code, str(recipe), str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.split() == ["2", "1"]:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    events, done = finish(config, tmp_path / "run")
    first = of(events, Step)[0]
    assert (events[0].first_epoch, first.epoch) == (2, 2)
    assert first.step >= 2
    same_run(done, uninterrupted)


def test_another_seed_gives_other_weights(corpus, tmp_path, uninterrupted):
    _, done = finish(settings(corpus, seed=1), tmp_path / "run")
    assert not same_tensors(done.checkpoint.tensors, uninterrupted.checkpoint.tensors)


def start_of_a_run(config, place):
    for event in train(config, place):
        if isinstance(event, Step):
            return


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"epochs": 9}, "epochs"),
        ({"batch_size": 4}, "batch_size"),
        ({"optimizer": OptimizerConfig(lr=1e-4, warmup_steps=3, label_smoothing=0.02)}, "optimizer.lr"),
        ({"augment": []}, "augment"),
        ({"detector": {"name": "resnet18", **TINY.arguments, "dropout": 0.3}}, "detector.dropout"),
    ],
)
def test_an_unfinished_run_with_other_settings_is_refused_by_their_names(corpus, tmp_path, changes, named):
    config = settings(corpus, save_minutes=0.0)
    start_of_a_run(config, tmp_path / "run")
    with pytest.raises(ConfigError) as caught:
        next(train(replace(config, **changes), tmp_path / "run"))
    assert caught.value.message == f'The unfinished training "mine" has other settings: {named}.'
    assert "--fresh" in caught.value.hint


def test_settings_that_decide_nothing_may_change(corpus, tmp_path):
    config = settings(corpus, save_minutes=0.0)
    start_of_a_run(config, tmp_path / "run")
    data = replace(config.data, cache_gb=0.5, workers=None)
    changed = replace(config, save_minutes=3.0, description="other words", data=data)
    assert next(train(changed, tmp_path / "run")).first_epoch == 1


def test_a_run_that_began_before_a_setting_existed_goes_on(corpus, tmp_path, monkeypatch):
    config = settings(corpus, save_minutes=0.0)
    start_of_a_run(config, tmp_path / "run")
    state = load_state(tmp_path / "run" / "state.safetensors")
    older = replace(state, config={key: value for key, value in state.config.items() if key != "folds"})
    monkeypatch.setattr("deepcheck.engine.train.load_state", lambda path: older)
    assert next(train(config, tmp_path / "run")).first_epoch == 1
    del older.config["lora"]
    with pytest.raises(ConfigError, match=r"other settings: lora\.rank\."):
        next(train(replace(config, lora=replace(config.lora, rank=4)), tmp_path / "run"))


def test_all_that_changed_is_named(corpus, tmp_path):
    config = settings(corpus, save_minutes=0.0)
    start_of_a_run(config, tmp_path / "run")
    data = replace(config.data, holdout=0.25, train=replace(config.data.train, subset="train"))
    (corpus / "train").mkdir()
    for label in ("bonafide", "spoof"):
        shutil.copytree(corpus / label, corpus / "train" / label)
    with pytest.raises(ConfigError, match=r"other settings: data\.holdout, data\.train\.subset, seed\. "):
        next(train(replace(config, seed=1, data=data), tmp_path / "run"))


def test_a_broken_recording_is_left_out_and_told(corpus, tmp_path):
    config = settings(corpus, epochs=2)
    train_set, _ = read_sets(config)
    broken = train_set.utterances[0].path
    broken.write_bytes(b"RIFF but nothing more")
    events, done = finish(config, tmp_path / "run")
    skipped = of(events, Skipped)
    assert {event.path for event in skipped} == {str(broken)}
    assert all(event.reason for event in skipped)
    assert of(events, Step)[STEPS - 1].clips == 32 - sum(
        isinstance(event, Skipped) for event in events[: events.index(of(events, EpochDone)[0])]
    )
    assert np.isfinite(done.metrics["dev_cllr"])


def test_broken_development_recordings_do_not_count(corpus, tmp_path):
    config = settings(corpus, epochs=2)
    _, dev = read_sets(config)
    next(u.path for u in dev.utterances if u.label is Label.SPOOF).write_bytes(b"nothing")
    _, done = finish(config, tmp_path / "run")
    assert (done.checkpoint.card.rates["bonafide"], done.checkpoint.card.rates["spoof"]) == (4, 3)


def test_nothing_but_broken_recordings(corpus, tmp_path):
    config = settings(corpus)
    for utterance in read_sets(config)[0].utterances:
        utterance.path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="None of the training recordings could be decoded"):
        list(train(config, tmp_path / "run"))


def test_a_development_set_of_its_own(corpus, tmp_path):
    for i in range(3):
        write_wav(tmp_path / "dev" / "bonafide" / f"{i}.wav", speechlike(1.2, seed=50 + i))
        tone = np.sign(np.sin(np.arange(20_000) * 0.08 * (i + 1))).astype(np.float32)
        write_wav(tmp_path / "dev" / "spoof" / f"{i}.wav", 0.2 * tone)
    data = replace(settings(corpus).data, dev=SourceConfig(str(tmp_path / "dev")))
    events, done = finish(settings(corpus, epochs=1, data=data), tmp_path / "run")
    assert events[0].train == "corpus: 12 bona fide, 12 spoof"
    assert events[0].dev == "dev: 3 bona fide, 3 spoof"
    assert done.checkpoint.card.rates["bonafide"] == 3


def test_a_model_that_is_passed_on_says_nothing_of_its_makers_disk(corpus, tmp_path):
    (tmp_path / "secret-noises").mkdir()
    write_wav(tmp_path / "secret-noises" / "n.wav", speechlike(1.0))
    data = replace(settings(corpus).data, dev=SourceConfig(str(altered_copy(corpus, tmp_path / "dev"))))
    config = settings(
        corpus, epochs=1, data=data, augment=[{"name": "noise", "folder": str(tmp_path / "secret-noises")}]
    )
    _, done = finish(config, tmp_path / "run")
    file = tmp_path / "out.safetensors"
    save_checkpoint(done.checkpoint, file)
    assert str(tmp_path).encode() not in file.read_bytes()
    assert b"secret-noises" not in file.read_bytes()
    # A second training that starts from this file does not tell where it lay either.
    again = settings(corpus, epochs=1, data=data, start=str(file))
    _, done = finish(again, tmp_path / "second")
    text = json.dumps(done.checkpoint.card.history)
    assert str(tmp_path) not in text
    assert [row["stage"] for row in done.checkpoint.card.history] == ["train", "train"]
    assert load_checkpoint(file).card.history == done.checkpoint.card.history[:1]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"data": DataConfig()}, ConfigError, "data.train names no recordings"),
        ({"device": "gpu"}, ConfigError, 'no device "gpu"'),
        ({"precision": "fp8"}, ConfigError, 'no precision "fp8"'),
        ({"augment": [{"name": "echo"}]}, ConfigError, 'no augmentation "echo"'),
        ({"detector": {"name": "resnet34"}}, ConfigError, 'no detector "resnet34"'),
        ({"optimizer": OptimizerConfig(schedule="linear", warmup_steps=0)}, ConfigError, 'no schedule "linear"'),
        ({"epochs": 0}, ConfigError, "epochs"),
    ],
)
def test_settings_that_cannot_be_are_refused(corpus, tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        list(train(settings(corpus, **changes), tmp_path / "run"))


def test_both_labels_are_needed(corpus, tmp_path):
    shutil.rmtree(corpus / "spoof")
    with pytest.raises(DataError, match="holds no spoof recording"):
        next(train(settings(corpus), tmp_path / "run"))


def test_recordings_without_a_label_are_not_trained_on(corpus):
    files = sorted(corpus.rglob("*.wav"))
    lines = [f"{file},{file.parent.parent.name},{file.parent.name}" for file in files[:-1]]
    manifest = corpus / "manifest.csv"
    manifest.write_text("path,label,source\n" + "\n".join(lines) + f"\n{files[-1]},,x\n")
    train_set, dev_set = read_sets(settings(manifest))
    assert len(train_set) + len(dev_set) == 23


def test_scores_by_label_keep_the_order_of_the_protocol(corpus, tiny):
    _, dev = read_sets(settings(corpus))
    scorer = Scorer(tiny, device="cpu")
    bonafide, spoof = score_by_label(scorer, dev)
    for label, scores in ((Label.BONAFIDE, bonafide), (Label.SPOOF, spoof)):
        paths = [u.path for u in dev.utterances if u.label is label]
        alone = [next(iter(scorer.recordings([path]))).mean_llr() for path in paths]
        assert scores == pytest.approx(alone, abs=1e-5)


def test_the_state_of_a_run_is_one_whole_file(corpus, tmp_path):
    start_of_a_run(settings(corpus, save_minutes=0.0), tmp_path / "run")
    assert [Path(p).name for p in (tmp_path / "run").iterdir()] == ["state.safetensors"]


@pytest.mark.gpu
def test_the_same_code_trains_on_a_gpu(corpus, tmp_path):
    config = settings(corpus, epochs=6, device="cuda")
    events, done = finish(config, tmp_path / "run")
    assert events[0].device.startswith("cuda")
    assert done.metrics["dev_eer"] <= 0.25
    _, dev = read_sets(config)
    on_gpu = score_by_label(Scorer(done.checkpoint.build(), device="cuda"), dev)
    on_cpu = score_by_label(Scorer(done.checkpoint.build(), device="cpu"), dev)
    for one, other in zip(on_gpu, on_cpu, strict=True):
        assert np.abs(one - other).max() <= 1e-3
