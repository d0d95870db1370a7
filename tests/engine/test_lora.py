"""Low-rank adapters: nothing changes when they come, nothing but they and the head moves, and no trace is left."""

import sys
from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch
from conftest import TINY, TINY_ENCODER
from plasticity.test_families import features_of, grow_groups, lived_in, loss_of
from torch import nn
from typer.testing import CliRunner

import deepcheck
from deepcheck.checkpoint import load_checkpoint, same_tensors, save_checkpoint
from deepcheck.cli.app import app
from deepcheck.config import (
    DataConfig,
    LoraConfig,
    OptimizerConfig,
    SamplingConfig,
    SourceConfig,
    StageConfig,
    TrainConfig,
    load_config,
)
from deepcheck.engine import lora
from deepcheck.engine.events import Done, EpochDone, StageDone, Step
from deepcheck.engine.lora import hold, insert, merge, targets_of
from deepcheck.engine.optimizer import make_optimizer
from deepcheck.engine.train import train
from deepcheck.errors import ConfigError

if find_spec("peft") is None:
    pytest.skip("needs the extra lora", allow_module_level=True)

ATTENTION = [f"encoder.encoder.layers.{i}.attention.{name}_proj" for i in range(2) for name in "qv"]
CASES = {
    "wav2vec2": LoraConfig(rank=3),
    "wav2vec2-stable": LoraConfig(rank=2, targets=("k_proj", "out_proj", "feed_forward.output_dense")),
    "resnet18": LoraConfig(rank=2, alpha=3, targets=("stem", "conv1", "conv2", "skip.0")),
    "bi-gru": None,
}
ADAPTED = [family for family, config in CASES.items() if config]


def with_adapters(family, grown=False):
    model = lived_in(family)
    if grown:
        grow_groups(model, {next(group.name for group in model.groups()): 2})
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    insert(model, CASES[family], seed=5)
    return model, before


def learn(model, family, steps=5):
    """Steps with everything that moves what it should not: momentum, decay, statistics."""
    freeze = hold(model)
    optimizer = make_optimizer(model, OptimizerConfig(lr=0.02, weight_decay=0.1))
    freeze.attach(optimizer)
    for number in range(steps):
        freeze.train_mode()
        optimizer.zero_grad()
        loss_of(model, features_of(family, seed=number, dtype=torch.float32)).backward()
        optimizer.step()
    model.eval()


@torch.no_grad()
def logits(model, family):
    return model.logit(features_of(family, seed=99, dtype=torch.float32))


@pytest.mark.parametrize("grown", [False, True])
@pytest.mark.parametrize("family", ADAPTED)
def test_nothing_changes_when_they_come(family, grown):
    model = lived_in(family)
    if grown:
        grow_groups(model, {next(group.name for group in model.groups()): 2})
    before = logits(model, family)
    insert(model, CASES[family], seed=0)
    assert (logits(model, family) - before).abs().max() <= 1e-6


@pytest.mark.parametrize("family", ADAPTED)
def test_nothing_but_they_and_the_head_moves(family):
    model, before = with_adapters(family)
    learn(model, family)
    moved, adapters = set(), 0
    for name, tensor in model.state_dict().items():
        original = before.get(name.replace(".base_layer", ""))
        if original is None:
            assert ".lora_" in name
            adapters += 1
        elif not tensor.equal(original):
            moved.add(name)
    pooling = {"layer_weights"} if family == "wav2vec2" else set()  # which with pool: mean is not read
    assert moved == {"head.weight", "head.bias"} | pooling
    assert adapters == 2 * len(targets_of(lived_in(family), CASES[family]))
    assert all(parameter.abs().max() > 0 for name, parameter in model.named_parameters() if "lora_B" in name)


@pytest.mark.parametrize("grown", [False, True])
@pytest.mark.parametrize("family", ADAPTED)
def test_merged_it_is_the_same_function_in_the_shape_of_its_parent(family, grown):
    model, before = with_adapters(family, grown)
    learn(model, family)
    adapted = logits(model, family)
    merge(model)
    assert (logits(model, family) - adapted).abs().max() <= 1e-5
    after = model.state_dict()
    assert [(name, tensor.shape) for name, tensor in after.items()] == [(n, t.shape) for n, t in before.items()]
    changed = {name.rpartition(".")[0] for name in after if not after[name].equal(before[name])} - {"head", ""}
    assert changed == set(targets_of(lived_in(family), CASES[family]))
    assert not [module for module in model.modules() if type(module).__module__.startswith("peft")]
    assert not hasattr(model, "peft_config")
    model.groups()  # which look into modules that a moment ago were others


def test_adapters_depend_on_the_seed_alone():
    def adapters(seed):
        model = lived_in("wav2vec2")
        torch.manual_seed(1)
        insert(model, LoraConfig(), seed)
        drawn = torch.rand(1)
        return drawn, [tensor for name, tensor in model.state_dict().items() if "lora_A" in name]

    (drawn, one), (_, again), (_, other) = adapters(0), adapters(0), adapters(1)
    assert all(a.equal(b) for a, b in zip(one, again, strict=True))
    assert not any(a.equal(b) for a, b in zip(one, other, strict=True))
    torch.manual_seed(1)
    assert drawn.equal(torch.rand(1))  # what is drawn elsewhere stays what it was


def test_targets_by_default_are_queries_and_values():
    assert sorted(targets_of(lived_in("wav2vec2"), LoraConfig())) == sorted(ATTENTION)


def test_a_target_by_its_whole_name_is_that_one_alone():
    assert targets_of(lived_in("resnet18"), LoraConfig(targets=("blocks.1.conv1",))) == ["blocks.1.conv1"]


@pytest.mark.parametrize(
    ("family", "targets", "message", "hint"),
    [
        ("wav2vec2", ("q_proj", "w_proj"), 'no linear layer or convolution "w_proj"', "q_proj, out_proj"),
        ("resnet18", ("q_proj",), "resnet18 has no", "There are: stem, conv1, conv2, skip.0"),
        ("resnet18", ("bn1",), '"bn1"', 'Did you mean "conv1"'),
        ("resnet18", ("head",), '"head"', "There are: stem"),
        ("resnet18", ("onv1",), '"onv1"', 'Did you mean "conv1"'),
        ("bi-gru", ("q_proj",), "gru has no", "take mode unfrozen"),
    ],
)
def test_targets_that_a_detector_does_not_have(family, targets, message, hint):
    with pytest.raises(ConfigError, match=message) as caught:
        insert(lived_in(family), LoraConfig(targets=targets), 0)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("lora.rank=0", '"lora.rank" is 0'),
        ("lora.alpha=0", '"lora.alpha" is 0'),
        ("lora.dropout=1", '"lora.dropout" is 1'),
        ("lora.targets=[]", '"lora.targets" is'),
        ("lora.targets=q_proj", '"lora.targets" should be of type sequence'),
        ("lora.targets=[3]", r'"lora.targets\[0\]" should be of type str'),
        ("lora.ranks=3", 'no setting "lora.ranks"'),
    ],
)
def test_settings_that_make_no_sense(setting, message):
    with pytest.raises(ConfigError, match=message):
        load_config(None, [setting])


def test_settings_from_the_command_line():
    config = load_config(None, ["lora.rank=4", "lora.targets=[conv1, conv2]", "mode=lora"])
    assert config.lora == LoraConfig(rank=4, targets=["conv1", "conv2"])


def settings(corpus, **changes):
    config = TrainConfig(
        name="adapted",
        epochs=3,
        batch_size=8,
        patience=None,
        device="cpu",
        precision="fp32",
        mode="lora",
        detector={"name": "wav2vec2", "config": TINY_ENCODER, "window_s": 1.0},
        data=DataConfig(SourceConfig(str(corpus)), holdout=0.3, workers=0),
        sampling=SamplingConfig(samples_per_epoch=32, min_crop_s=0.5),
        optimizer=OptimizerConfig(lr=1e-2, warmup_steps=1),
    )
    return replace(config, **changes)


RESNET = {"name": "resnet18", **TINY.arguments}
CONVOLUTIONS = LoraConfig(rank=2, targets=("conv1", "conv2"))


@pytest.fixture(scope="module")
def taught(lasting_corpus, tmp_path_factory):
    """A wav2vec 2.0 that has learnt a little."""
    config = settings(lasting_corpus, name="parent", mode="unfrozen", epochs=1)
    [*_, done] = train(config, tmp_path_factory.mktemp("parent"))
    return done.checkpoint


@pytest.fixture
def parent(taught, home):
    """Its path in the store."""
    path = home / "models" / "parent.safetensors"
    save_checkpoint(taught, path)
    return path


def test_a_training(corpus, parent, tmp_path, monkeypatch):
    events = list(train(settings(corpus, start=str(parent)), tmp_path / "run"))
    done = events[-1]
    card, before = done.checkpoint.card, load_checkpoint(parent)
    assert card.parent == "parent"
    assert card.parameters == before.card.parameters
    assert card.history[-1]["mode"] == "lora"
    assert card.history[-1]["config"]["lora"]["rank"] == 8
    assert card.metrics["dev_eer"] == pytest.approx(min(e.dev_eer for e in events if isinstance(e, EpochDone)))
    changed = {n for n, tensor in done.checkpoint.tensors.items() if not tensor.equal(before.tensors[n])}
    assert changed == {f"{name}.weight" for name in ATTENTION} | {"head.weight", "head.bias", "layer_weights"}

    # Elsewhere nobody need have the library.
    path = tmp_path / "adapted.safetensors"
    save_checkpoint(done.checkpoint, path)
    monkeypatch.setitem(sys.modules, "peft", None)
    child = load_checkpoint(path)
    assert {n: t.shape for n, t in child.tensors.items()} == {n: t.shape for n, t in before.tensors.items()}
    report = deepcheck.scan([corpus / "spoof"], model=path)
    assert len(list(report)) == 12
    assert deepcheck.grow(path, neurons=16, part="attention").change <= 1e-5
    assert deepcheck.prune(path, neurons=8, criterion="magnitude").child.build().groups()[0].width == 3


@pytest.mark.parametrize("average", [0.0, 0.9])
@pytest.mark.parametrize("family", ["wav2vec2", "resnet18"])
def test_stopped_and_started_again_it_ends_with_the_same_weights(corpus, tmp_path, family, average):
    config = settings(corpus, optimizer=OptimizerConfig(lr=1e-2, warmup_steps=1, average=average), save_minutes=0)
    if family == "resnet18":
        config = replace(config, detector=RESNET, lora=CONVOLUTIONS)
    [*_, whole] = train(config, tmp_path / "one")
    for stop in (6, 3):  # in the second epoch, and three steps after that
        run = train(config, tmp_path / "two")
        steps = 0
        for event in run:
            steps += isinstance(event, Step)
            if steps == stop:
                break
        run.close()
    [*_, resumed] = train(config, tmp_path / "two")
    assert isinstance(whole, Done)
    assert same_tensors(whole.checkpoint.tensors, resumed.checkpoint.tensors)
    assert whole.checkpoint.card.thresholds == resumed.checkpoint.card.thresholds
    with pytest.raises(ConfigError, match=r"other settings: lora\.dropout"):
        list(train(replace(config, lora=replace(config.lora, dropout=0.2)), tmp_path / "two"))


def test_running_statistics_stay(corpus, tmp_path):
    start = tmp_path / "start.safetensors"
    config = settings(corpus, detector=RESNET, lora=CONVOLUTIONS, epochs=1)
    [*_, first] = train(replace(config, mode="unfrozen"), tmp_path / "first")
    save_checkpoint(first.checkpoint, start)
    [*_, done] = train(replace(config, start=str(start)), tmp_path / "run")
    before, after = first.checkpoint.tensors, done.checkpoint.tensors
    changed = {name for name in after if not after[name].equal(before[name])}
    convolutions = {f"blocks.{i}.conv{n}.weight" for i in range(8) for n in (1, 2)}
    assert changed == convolutions | {"head.weight", "head.bias"}


def test_a_schedule_that_grows_and_then_adapts(corpus, parent, tmp_path):
    stages = (
        StageConfig("grow", layer="2", neurons=16, part="attention"),
        StageConfig("train", epochs=1, mode="frozen"),
        StageConfig("train", epochs=2, mode="lora"),
        StageConfig("prune", criterion="newest"),
        StageConfig("train", epochs=1, mode="lora", lr=1e-3),
    )
    events = list(train(settings(corpus, start=str(parent), stages=stages, mode="unfrozen"), tmp_path / "run"))
    done = [event for event in events if isinstance(event, StageDone)]
    assert [event.what.split(" ")[:2] for event in done[1:3]] == [["train", "frozen"], ["train", "lora"]]
    assert done[0].parameters == done[1].parameters == done[2].parameters > done[3].parameters == done[4].parameters
    grown, adapted = (load_checkpoint(tmp_path / "run" / f"stage-{number}.safetensors") for number in (2, 3))
    heads = "encoder.encoder.layers.1.attention.heads"
    assert adapted.card.widths == {heads: 6}
    assert adapted.card.grown_from == {heads: 4}
    changed = {name for name in adapted.tensors if not adapted.tensors[name].equal(grown.tensors[name])}
    assert changed == {f"{name}.weight" for name in ATTENTION} | {"head.weight", "head.bias", "layer_weights"}
    assert events[-1].checkpoint.card.widths == {}


def test_a_schedule_with_wrong_targets_stops_before_anything_is_done(corpus, tmp_path):
    stages = (StageConfig(), StageConfig(mode="lora"))
    with pytest.raises(ConfigError, match='no linear layer or convolution "q_proj"'):
        list(train(settings(corpus, detector=RESNET, stages=stages, mode="unfrozen"), tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_without_the_library(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(lora, "find_spec", lambda name: None)
    for config in (settings(corpus), settings(corpus, mode="unfrozen", stages=(StageConfig(mode="lora"),))):
        with pytest.raises(ConfigError, match="needs peft, which is not installed") as caught:
            list(train(config, tmp_path / "run"))
        assert "deepcheck[lora]" in caught.value.hint


def test_the_command(corpus, parent, tmp_path):
    arguments = ["train", "--data", corpus, "--start", "parent", "--mode", "lora", "--epochs", 1, "--batch-size", 8]
    more = ["--name", "child", "--device", "cpu", "--set", "data.workers=0", "--set", "lora.rank=2"]
    result = CliRunner().invoke(app, [str(argument) for argument in [*arguments, *more]])
    assert result.exit_code == 0, (result.stderr, result.exception)
    result = CliRunner().invoke(app, ["eval", "child", "--data", str(corpus), "--json", str(tmp_path / "figures.json")])
    assert result.exit_code == 0, (result.stderr, result.exception)


def test_a_detector_without_a_head_learns_with_its_adapters_alone():
    class Headless(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(3, 1)

    model = Headless()
    insert(model, LoraConfig(rank=1, targets=("last",)), 0)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == {
        "last.lora_A.default.weight",
        "last.lora_B.default.weight",
    }
