"""Train, grow, train, prune, train in one run, and what a stopped one ends with."""

from dataclasses import replace

import pytest
from conftest import TINY

from deepcheck.checkpoint import load_checkpoint, same_tensors
from deepcheck.config import DataConfig, OptimizerConfig, SamplingConfig, SourceConfig, StageConfig, TrainConfig
from deepcheck.detectors.base import build, parameter_count
from deepcheck.engine.events import Done, StageDone, Step
from deepcheck.engine.train import train
from deepcheck.errors import ConfigError

STAGES = (
    StageConfig("train", epochs=4),  # until it is better than chance, or it could not be calibrated
    StageConfig("grow", layer="3", neurons=4),
    StageConfig("train", epochs=1, mode="frozen", lr=1e-2),
    StageConfig("prune", layer="3", neurons=4, criterion="gradient-entropy", recordings=16),
    StageConfig("train", epochs=1),
)


def settings(corpus, stages=STAGES, **changes):
    config = TrainConfig(
        name="mine",
        epochs=1,
        batch_size=8,
        patience=None,
        device="cpu",
        precision="fp32",
        detector={"name": "resnet18", **TINY.arguments},
        data=DataConfig(SourceConfig(str(corpus)), holdout=0.3, workers=0),
        sampling=SamplingConfig(samples_per_epoch=32, min_crop_s=0.5),
        optimizer=OptimizerConfig(lr=1e-2, warmup_steps=1),
        stages=stages,
    )
    return replace(config, **changes)


def test_plasticity_ends_as_wide_as_it_began_and_survives_being_stopped(corpus, tmp_path):
    config = settings(corpus)
    events = list(train(config, tmp_path / "one"))
    base = parameter_count(build(TINY))
    stages = [event for event in events if isinstance(event, StageDone)]
    grown = base + 4 * (9 * 4 + 9 * 8 + 2)
    assert [stage.parameters for stage in stages] == [base, grown, grown, base, base]
    assert [(stage.number, stage.total) for stage in stages] == [(n, 5) for n in range(1, 6)]
    assert all(0 <= stage.dev_eer <= 1 for stage in stages)
    assert stages[1].dev_eer == stages[0].dev_eer  # growth is exact
    assert [stage.what.split()[0] for stage in stages] == ["train", "grow", "train", "prune", "train"]
    done = events[-1]
    assert isinstance(done, Done)
    assert sum(isinstance(event, Done) for event in events) == 1
    card = done.checkpoint.card
    assert (card.name, card.parent, card.parameters, card.widths) == ("mine", None, base, {})
    assert card.calibration is not None
    assert card.thresholds is not None
    assert [row["stage"] for row in card.history] == ["train", "grow", "train", "prune", "train"]

    # Frozen, the third stage moved nothing that was there before.
    first, third = (load_checkpoint(tmp_path / "one" / f"stage-{n}.safetensors").tensors for n in (1, 3))
    for name, old in first.items():
        kept = third[name][tuple(slice(0, n) for n in old.shape)]
        assert kept.equal(old), name
    assert not third["blocks.2.conv2.weight"][:, 8:].equal(0 * third["blocks.2.conv2.weight"][:, 8:])

    # Stopped after the second stage, and once more within the third.
    for last in (lambda event: isinstance(event, StageDone) and event.number == 2, lambda event: type(event) is Step):
        run = train(config, tmp_path / "two")
        for event in run:
            if last(event):
                break
        run.close()
    events = list(train(config, tmp_path / "two"))
    assert [event.number for event in events if isinstance(event, StageDone)] == [1, 2, 3, 4, 5]
    assert same_tensors(events[-1].checkpoint.tensors, done.checkpoint.tensors)
    assert events[-1].checkpoint.card.thresholds == card.thresholds

    with pytest.raises(ConfigError, match=r"other settings: .*seed"):
        list(train(replace(config, seed=1), tmp_path / "two"))


def test_a_first_stage_that_grows_takes_a_start(corpus, stored_model, home, tmp_path):
    start = home / "models" / f"{stored_model('base')}.safetensors"
    stages = (StageConfig("grow", layer="1", neurons=2, init="net2net"), StageConfig("train", mode="frozen"))
    [*_, done] = train(settings(corpus, stages, start=str(start)), tmp_path / "run")
    assert done.checkpoint.card.parent == "base"
    assert done.checkpoint.card.widths == {"blocks.0.conv1": 6}


def test_a_start_by_name(corpus, stored_model, tmp_path):
    stages = (StageConfig("grow", layer="1", neurons=2), StageConfig("train"))
    [*_, done] = train(settings(corpus, stages, start=stored_model("base")), tmp_path / "run")
    assert done.checkpoint.card.parent == "base"
    assert done.checkpoint.card.grown_from == {"blocks.0.conv1": 4}


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (STAGES[:2], "last stage does not train"),
        (STAGES[1:], "no model yet"),
        ((StageConfig("grwo", neurons=1), StageConfig()), 'does "grwo"'),
        ((StageConfig(), StageConfig("grow"), StageConfig()), r"stages\[1\] does not say how many"),
    ],
)
def test_schedules_that_make_no_sense_stop_before_anything_is_done(corpus, tmp_path, stages, message):
    with pytest.raises(ConfigError, match=message):
        list(train(settings(corpus, stages), tmp_path / "run"))
    assert not (tmp_path / "run").exists()
