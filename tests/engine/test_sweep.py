"""The layer sweep: a growth of each layer beside a control, resumable."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from test_stages import settings

from deepcheck import store
from deepcheck.checkpoint import load_checkpoint
from deepcheck.config import StageConfig
from deepcheck.engine.events import Step
from deepcheck.engine.sweep import Arm, sweep
from deepcheck.errors import ConfigError

GROWTH, TRAINING = StageConfig("grow", neurons=2), StageConfig("train", mode="frozen", epochs=1)


def arms_of(events):
    return [event for event in events if isinstance(event, Arm)]


def test_each_layer_beside_the_model_before_and_a_control(corpus, stored_model, tmp_path):
    base = load_checkpoint(store.place_of(stored_model("base")))
    config = settings(corpus, stages=(), start="base")
    arms = arms_of(sweep(config, [1, 8], GROWTH, TRAINING, tmp_path / "run"))
    assert [(arm.name, arm.layer) for arm in arms] == [
        ("before", None),
        ("control", None),
        ("layer 1", 1),
        ("layer 8", 8),
    ]
    plain = base.card.parameters
    assert [arm.parameters - plain for arm in arms] == [0, 0, 2 * (9 * 8 + 2), 2 * (9 * 64 + 2)]
    assert all(0 <= arm.low <= arm.eer <= arm.high <= 1 for arm in arms)
    assert all("held out" in arm.tested_on for arm in arms)
    before, control, first, last = (load_checkpoint(Path(arm.path)) for arm in arms)
    assert before.tensors.keys() == control.tensors.keys()
    # Frozen, only what was added has moved; the control has learnt as a whole.
    assert first.tensors["stem.weight"].equal(base.tensors["stem.weight"])
    assert not control.tensors["stem.weight"].equal(base.tensors["stem.weight"])
    assert (first.card.widths, last.card.widths) == ({"blocks.0.conv1": 6}, {"blocks.7.conv1": 34})

    # What is done is not done again; stopped within an arm, it goes on there.
    (tmp_path / "run" / "layer-8" / "arm.json").unlink()
    (tmp_path / "run" / "layer-8" / "stage-2.safetensors").unlink()
    events = list(sweep(config, [1, 8], GROWTH, TRAINING, tmp_path / "run"))
    assert arms_of(events) == arms
    assert not any(isinstance(event, Step) for event in events)  # epochs were done, only the last stage's end was lost
    with pytest.raises(ConfigError, match=r"sweep \"mine\" has other settings: growth.neurons"):
        list(sweep(config, [1, 8], replace(GROWTH, neurons=3), TRAINING, tmp_path / "run"))


def test_on_trials_of_ones_own(corpus, stored_model, tmp_path):
    from deepcheck.data.protocols import read_data

    stored_model("base")
    trials = read_data(corpus)
    config = settings(corpus, stages=(), start="base")
    arms = arms_of(sweep(config, [2], GROWTH, TRAINING, tmp_path / "run", trials))
    assert {arm.tested_on for arm in arms} == {trials.describe()}
    assert json.loads((tmp_path / "run" / "layer-2" / "arm.json").read_text())["name"] == "layer 2"
