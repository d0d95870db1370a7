"""A stored model in, its child out: what the child keeps and what it must not claim."""

from dataclasses import replace

import pytest
import torch
from conftest import TINY
from conftest import TINY_ENCODER as ENCODER

from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import load_checkpoint, same_tensors, save_checkpoint, snapshot
from deepcheck.data.protocols import read_data
from deepcheck.detectors.base import build, parameter_count
from deepcheck.engine.gradients import Probe
from deepcheck.engine.surgery import grown, pruned, statistics_of
from deepcheck.errors import ConfigError
from deepcheck.metrics.calibration import Calibration, Thresholds
from deepcheck.plasticity.plan import plan

MEL = {"frontend": {"name": "mel", "bins": 6}, "window_s": 1.0}
SPECS = {
    "resnet18": TINY,
    "bi-gru": DetectorSpec("gru", {"units": [5], "bidirectional": True, **MEL}),
    "lstm": DetectorSpec("lstm", {"units": [5], **MEL}),
    "wav2vec2": DetectorSpec("wav2vec2", {"config": ENCODER, "window_s": 1.0}),
}


def parent_of(spec=TINY, **card):
    torch.manual_seed(0)
    model = build(spec)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return snapshot(
        model,
        Card(
            "parent",
            model.spec,
            calibration=Calibration(1.5, 0.25),
            thresholds=Thresholds(-1.0, 1.0),
            rates={"miss": 0.05},
            metrics={"dev_eer": 0.125},
            history=({"stage": "train"},),
            parameters=parameter_count(model),
            **card,
        ),
    )


def changes_of(checkpoint, layers, neurons, part=None):
    return plan(checkpoint.build().groups(), layers, neurons, part)


def shrink(checkpoint, layers, neurons, criterion="newest", part=None, probe=None, seed=0):
    remove = {change.group.name: change.units for change in changes_of(checkpoint, layers, neurons, part)}
    statistics = statistics_of(checkpoint, list(remove), criterion, probe)
    return pruned(checkpoint, statistics, remove, name="child", criterion=criterion, seed=seed)


def probe_on(corpus):
    return lambda detector: Probe(detector, read_data(str(corpus)), recordings=8, batch_size=4)


@pytest.mark.parametrize(
    ("family", "part", "layers"),
    [
        ("resnet18", None, [1, 3, 8]),
        ("bi-gru", None, [1]),
        ("lstm", None, [1]),
        ("wav2vec2", "ffn", [1, 2]),
        ("wav2vec2", "heads", [1, 2]),
        ("wav2vec2", "head-dims", [2]),
    ],
)
def test_rows_add_up_to_the_difference_of_the_models(family, part, layers):
    parent = parent_of(SPECS[family])
    surgery = grown(parent, changes_of(parent, layers, 3, part), name="child")
    card = surgery.child.card
    count = parameter_count(surgery.child.build())
    assert count == card.parameters > parent.card.parameters
    assert sum(row.parameters for row in surgery.rows) == count - parent.card.parameters
    assert [row.layer for row in surgery.rows] == layers
    assert all(row.after - row.before == 3 for row in surgery.rows)
    back = shrink(surgery.child, layers, 3, part=part)
    assert sum(row.parameters for row in back.rows) == parent.card.parameters - count
    assert same_tensors(back.child.tensors, parent.tensors)


@pytest.mark.parametrize("init", ["zero", "net2net"])
def test_an_exact_child_keeps_what_its_parent_promised(init):
    parent = parent_of()
    surgery = grown(parent, changes_of(parent, [2, 3], 5), name="child", init=init, seed=3)
    card = surgery.child.card
    assert surgery.change <= 1e-5
    assert (card.calibration, card.thresholds) == (parent.card.calibration, parent.card.thresholds)
    assert (card.rates, card.metrics) == (parent.card.rates, parent.card.metrics)
    assert (card.name, card.parent) == ("child", "parent")
    assert card.grown_from == {"blocks.1.conv1": 4, "blocks.2.conv1": 8}
    assert card.widths == {"blocks.1.conv1": 9, "blocks.2.conv1": 13}
    assert card.history[0] == {"stage": "train"}
    assert {key: card.history[1][key] for key in ("stage", "init", "seed")} == {
        "stage": "grow",
        "init": init,
        "seed": 3,
    }


def test_a_changed_child_loses_it():
    parent = parent_of()
    for surgery in (
        grown(parent, changes_of(parent, [2], 5), name="child", init="random"),
        shrink(parent, [3], 4, "magnitude"),
    ):
        card = surgery.child.card
        assert surgery.change > 1e-5
        assert (card.calibration, card.thresholds, card.rates, card.metrics) == (None, None, {}, {})
        assert len(card.history) == 2


def test_pruning_the_newest_undoes_growth(tmp_path):
    parent = parent_of()
    child = grown(parent, changes_of(parent, [1, 4], 6), name="child", init="random").child
    save_checkpoint(child, tmp_path / "child.safetensors")
    again = shrink(load_checkpoint(tmp_path / "child.safetensors"), [1, 4], 6)
    assert same_tensors(again.child.tensors, parent.tensors)
    assert again.child.card.widths == {}
    assert again.child.card.grown_from == {}
    assert again.child.card.parameters == parent.card.parameters
    exact = grown(parent, changes_of(parent, [1, 4], 6), name="child").child
    assert shrink(exact, [1, 4], 6).child.card.calibration == parent.card.calibration


def test_units_of_the_last_growth_that_survive_stay_new():
    parent = parent_of()
    child = grown(parent, changes_of(parent, [1], 6), name="child").child
    assert shrink(child, [1], 2).child.card.grown_from == {"blocks.0.conv1": 4}
    assert shrink(child, [1], 8).child.card.grown_from == {}


def test_a_child_without_any_old_unit_can_be_read(tmp_path):
    parent = parent_of()
    child = grown(parent, changes_of(parent, [1], 4), name="child").child
    [statistics] = statistics_of(child, ["blocks.0.conv1"], "magnitude", None)
    oldest_last = replace(statistics, magnitude=torch.arange(8.0))
    again = pruned(child, [oldest_last], {"blocks.0.conv1": 4}, name="young", criterion="magnitude").child
    save_checkpoint(again, tmp_path / "young.safetensors")
    read = load_checkpoint(tmp_path / "young.safetensors")
    assert same_tensors(read.build().state_dict(), again.tensors)


def test_the_seed_decides():
    parent = parent_of()
    changes = changes_of(parent, [1], 4)
    one, same, other = (grown(parent, changes, name="child", seed=seed).child.tensors for seed in (1, 1, 2))
    assert same_tensors(one, same)
    assert not same_tensors(one, other)
    one, same, other = (shrink(parent, [8], 9, "random", seed=seed).child.tensors for seed in (1, 1, 2))
    assert same_tensors(one, same)
    assert not same_tensors(one, other)


def test_the_parent_is_not_touched():
    parent = parent_of()
    before = {name: tensor.clone() for name, tensor in parent.tensors.items()}
    grown(parent, changes_of(parent, [1], 4), name="child", init="random")
    shrink(parent, [1], 2, "magnitude")
    assert same_tensors(parent.tensors, before)


@pytest.mark.parametrize("criterion", ["gradient", "entropy", "gradient-entropy"])
def test_criteria_that_look_at_data(criterion, corpus):
    parent = parent_of()
    with pytest.raises(ConfigError, match="looks at data"):
        shrink(parent, [1], 1, criterion)
    surgery = shrink(parent, [1, 6], 2, criterion, probe=probe_on(corpus))
    assert surgery.child.card.widths == {"blocks.0.conv1": 2, "blocks.5.conv1": 14}
    assert surgery.child.card.history[-1]["criterion"] == criterion


def test_gradmax_on_recordings(corpus):
    parent = parent_of()
    changes = changes_of(parent, [3], 2)
    with pytest.raises(ConfigError, match="needs data"):
        grown(parent, changes, name="child", init="gradmax")
    surgery = grown(parent, changes, name="child", init="gradmax", probe=probe_on(corpus))
    assert surgery.change <= 1e-5
    model = surgery.child.build()
    probe_on(corpus)(model).backward()
    assert model.blocks[2].conv1.weight.grad[8:].abs().max() > 0


def test_what_cannot_be_removed():
    parent = parent_of()
    with pytest.raises(ConfigError, match="4 units cannot be removed") as caught:
        shrink(parent, [1], 4)
    assert "3" in caught.value.hint
    with pytest.raises(ConfigError, match="No unit would be removed"):
        pruned(parent, statistics_of(parent, ["blocks.0.conv1"], "newest", None), {}, name="child")
