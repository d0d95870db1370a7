"""`deepcheck grow` beyond neurons: blocks, columns, rounds, and adapters that follow."""

from importlib.util import find_spec

import pytest
import torch
import yaml
from conftest import TINY_DISTILLED
from test_grow_prune_commands import failure, read, run
from test_grow_training import SETTINGS

from deepcheck import store
from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import load_checkpoint, same_tensors, save_checkpoint, snapshot
from deepcheck.detectors.base import build, parameter_count
from deepcheck.metrics.calibration import Calibration, Thresholds


@pytest.fixture
def encoder(home):
    torch.manual_seed(0)
    detector = build(DetectorSpec("distilled", {**TINY_DISTILLED, "window_s": 1.0}))
    card = Card(
        "encoder",
        detector.spec,
        calibration=Calibration(1.0, 0.0),
        thresholds=Thresholds(-1.0, 1.0),
        parameters=parameter_count(detector),
    )
    save_checkpoint(snapshot(detector, card), store.place_of("encoder"))
    store.set_current("encoder")
    return read("encoder")


@pytest.fixture
def base(stored_model):
    store.set_current(stored_model("base"))
    return read("base")


@pytest.fixture
def training(corpus, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**SETTINGS, "epochs": 1, "calibration": {"conditions": []}}))
    return ["--data", corpus, "--config", path]


def test_a_block_comes_learns_and_goes(encoder, training):
    result = run("grow", "--part", "block", "--layer", "2", "--name", "deeper")
    assert ["2", "block", "0", "1"] in [line.split()[:4] for line in result.stdout.splitlines()]
    assert "0.0e+00" in result.stdout  # no output changes, not even by rounding
    deeper = read("deeper")
    layer = sum(t.numel() for name, t in encoder.tensors.items() if name.startswith("layers.1."))
    assert deeper.card.parameters == encoder.card.parameters + layer + 32 * 32 + 32
    assert deeper.card.thresholds == encoder.card.thresholds
    run("train", "--start", "deeper", "--mode", "frozen", *training, "--name", "taught")
    taught = read("taught")
    for name, tensor in encoder.tensors.items():
        assert taught.tensors[name].equal(tensor), name
    assert taught.tensors["blocks.1.0.gate.weight"].any()
    # What is in a block can grow, by the number that counts the block as a layer.
    run("grow", "--part", "ffn", "--layer", "3", "--neurons", 5, "--name", "wider")
    assert read("wider").card.widths["blocks.1.0.layer.ffn"] == 29
    run("prune", "taught", "--criterion", "newest", "--name", "back")
    assert same_tensors(read("back").tensors, encoder.tensors)
    assert read("back").card.widths == {}


def test_without_a_layer_every_layer_has_a_copy(encoder):
    run("grow", "--part", "block", "--name", "deeper")
    assert {name for name in read("deeper").card.widths if name.count(".") == 1} == {"blocks.0", "blocks.1"}


def test_a_column_comes_learns_and_goes(base, training):
    run("grow", "--part", "column", *training, "--name", "both", "--epochs", 2)
    both = read("both")
    assert both.card.spec.name == "progressive"
    for name, tensor in base.tensors.items():
        assert both.tensors[f"base.{name}"].equal(tensor), name
    assert both.tensors["columns.0.net.head.weight"].any()
    assert both.tensors["columns.0.laterals.3.up.weight"].any()
    run("prune", "--criterion", "newest", "--name", "back")
    back = read("back")
    assert (back.card.spec, back.card.widths) == (base.card.spec, {})
    assert same_tensors(back.tensors, base.tensors)


def test_rounds_print_a_table_and_keep_the_best(base, training, home):
    command = ["grow", "--neurons", "auto", *training, "--recordings", 8, "--set", "rounds=1"]
    result = run(*command, "--name", "grown")
    lines = [line.split() for line in result.stdout.splitlines()]
    [before] = [line for line in lines if line[:2] == ["0", "before"]]
    assert before[2] == f"{base.card.parameters:,}"
    [after] = [line for line in lines if line[:1] == ["1"] and "channels" in line and "%" in line]
    assert after[2:5] == ["channels", "in", "layer"]
    assert sum(line[-1:] == ["best"] for line in lines) == 1
    kept = sorted(path.name for path in (home / "runs" / "grown").iterdir() if not path.name.endswith("epochs.jsonl"))
    assert kept == ["round-0.safetensors", "round-1.safetensors"]
    one = load_checkpoint(home / "runs" / "grown" / "round-1.safetensors")
    [(group, first)] = one.card.grown_from.items()
    assert int(after[1]) == one.card.widths[group] - first == first // 4
    assert read("grown").card.parent == "base"
    told = run(*command, "--dry-run").stderr
    assert "1 epochs in mode unfrozen would follow, in up to 1 rounds" in told


def test_adapters_follow_what_was_added(base, training):
    if find_spec("peft") is None:
        pytest.skip("needs the extra lora")
    adapters = ["--set", "lora.rank=2", "--set", "lora.targets=[conv1]"]
    run("grow", "--layer", 3, "--neurons", 4, *training, *adapters, "--mode", "lora", "--name", "adapted")
    child = read("adapted")
    assert [(row["stage"], row.get("mode")) for row in child.card.history] == [
        ("grow", None),
        ("train", "frozen"),
        ("train", "lora"),
    ]
    assert child.card.widths == {"blocks.2.conv1": 12}
    changed = {n for n, t in base.tensors.items() if not child.tensors[n][tuple(map(slice, t.shape))].equal(t)}
    assert changed == {f"blocks.{i}.conv1.weight" for i in range(8)} | {"head.weight", "head.bias"}
    assert child.tensors["blocks.2.conv2.weight"][:, 8:].any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--neurons", "auto"], "Give --data, and --epochs above 0"),
        (["--part", "block"], 'no part "block"'),
        (["--part", "column", "--init", "gradmax"], "A column has no init gradmax"),
        (["--part", "column", "--neurons", "65"], "cannot have 65 more"),
        (["--init", "hebbian"], "init hebbian needs data"),
    ],
)
def test_errors_are_sentences(base, arguments, message):
    assert message in failure("grow", *arguments)


def test_what_is_no_number_of_units(base):
    assert '"many" is no number of units' in run("grow", "--neurons", "many", code=2).stderr


def test_redundant_channels_go(base, corpus):
    run("grow", "--layer", 3, "--neurons", 2, "--init", "net2net", "--name", "copied")
    arguments = ["--data", corpus, "--recordings", 8, "--layer", 3, "--neurons", 2, "--criterion", "coactivation"]
    run("prune", "copied", *arguments, "--name", "less")
    assert read("less").card.widths == {}
    assert read("less").card.history[-1]["criterion"] == "coactivation"
