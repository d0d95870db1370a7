"""A stored model in, its child out: what the child keeps and what it must not claim."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import TINY
from conftest import TINY_ENCODER as ENCODER

from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import load_checkpoint, same_tensors, save_checkpoint, snapshot
from deepcheck.data.protocols import read_data
from deepcheck.data.utterance import Label
from deepcheck.detectors.base import build, parameter_count
from deepcheck.engine.dev_scores import DevScores
from deepcheck.engine.gradients import Probe
from deepcheck.engine.reference import fit_reference, reference_of
from deepcheck.engine.surgery import grown, pruned, statistics_of
from deepcheck.errors import ConfigError
from deepcheck.metrics.calibration import Calibration, Thresholds
from deepcheck.plasticity.plan import plan
from deepcheck.plasticity.selection import Ask, Pool, Selection, pools_of, select

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


def selected(checkpoint, layers, neurons=None, criterion="newest", part=None, probe=None, seed=0, scope="layer"):
    ask = Ask(layers, part, neurons)
    pools = pools_of(checkpoint.build().groups(), ask, scope, checkpoint.card.grown_from, criterion)
    return select(statistics_of(checkpoint, pools, criterion, probe), pools, criterion, seed)


def shrink(checkpoint, layers, neurons=None, criterion="newest", part=None, probe=None, seed=0, scope="layer"):
    selections = selected(checkpoint, layers, neurons, criterion, part, probe, seed, scope)
    return pruned(checkpoint, selections, name="child", criterion=criterion, scope=scope, seed=seed)


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
    [selection] = selected(child, [1], 4, "magnitude")
    the_old_ones = replace(selection, removed=torch.arange(4))
    again = pruned(child, [the_old_ones], name="young", criterion="magnitude").child
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
    [selection] = selected(parent, [1], 1)
    nobody = replace(selection, removed=torch.arange(0))
    with pytest.raises(ConfigError, match="No unit would be removed"):
        pruned(parent, [nobody], name="child")


def test_all_layers_together_lose_what_was_asked_for(corpus):
    parent = parent_of()
    surgery = shrink(parent, range(1, 9), 40, "gradient-entropy", probe=probe_on(corpus), scope="all")
    assert [row.layer for row in surgery.rows] == list(range(1, 9))
    assert sum(row.before - row.after for row in surgery.rows) == 40
    assert all(row.after >= 1 for row in surgery.rows)
    assert len({row.before - row.after for row in surgery.rows}) > 2  # wherever they are
    count = parameter_count(surgery.child.build())
    assert sum(row.parameters for row in surgery.rows) == count - parent.card.parameters
    row = surgery.child.card.history[-1]
    assert (row["scope"], row["criterion"]) == ("all", "gradient-entropy")
    assert -sum(change["units"] for change in row["changes"]) == 40
    assert all(change["units"] < 0 for change in row["changes"])


@pytest.mark.parametrize("family", SPECS)
def test_all_parts_of_every_family_can_compete(family, corpus):
    parent = parent_of(SPECS[family])
    groups = [group for group in parent.build().groups() if group.width]  # of blocks and columns there are none yet
    layers = sorted({group.layer for group in groups})
    surgery = shrink(parent, layers, 3, "gradient", probe=probe_on(corpus), scope="all")
    assert len(surgery.rows) == len(groups)
    assert sum(row.parameters for row in surgery.rows) == surgery.child.card.parameters - parent.card.parameters
    assert same_tensors(load(surgery.child), surgery.child.tensors)


def load(checkpoint):
    return checkpoint.build().state_dict()


def trained(checkpoint, seed=4):
    """The checkpoint as after some training that moved every parameter."""
    model = checkpoint.build()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return snapshot(model, checkpoint.card)


@pytest.mark.parametrize("scope", ["layer", "grown", "all"])
def test_the_newest_after_growth_and_training_are_exactly_those_that_were_added(scope):
    parent = parent_of()
    child = trained(grown(parent, changes_of(parent, [1, 4], 6), name="child").child)
    surgery = shrink(child, range(1, 9), scope=scope)
    assert [(row.layer, row.before, row.after) for row in surgery.rows] == [(1, 10, 4), (4, 14, 8)]
    again = surgery.child
    assert (again.card.widths, again.card.grown_from) == ({}, {})
    # What trained with them stays as it was trained.
    assert torch.equal(again.tensors["blocks.0.conv1.weight"], child.tensors["blocks.0.conv1.weight"][:4])
    assert torch.equal(again.tensors["blocks.3.conv2.weight"], child.tensors["blocks.3.conv2.weight"][:, :8])
    assert torch.equal(again.tensors["blocks.5.conv1.weight"], child.tensors["blocks.5.conv1.weight"])


def test_what_grew_goes_back_to_its_width_whoever_goes(corpus):
    parent = parent_of()
    child = trained(grown(parent, changes_of(parent, [2, 5], 7), name="child").child)
    surgery = shrink(child, range(1, 9), criterion="gradient-entropy", probe=probe_on(corpus), scope="grown")
    card = surgery.child.card
    assert (card.widths, card.parameters) == ({}, parent.card.parameters)
    selections = selected(child, range(1, 9), criterion="gradient-entropy", probe=probe_on(corpus), scope="grown")
    assert [len(one.removed) for one in selections] == [7, 7]
    assert 0 < sum(one.new for one in selections) < 14  # old and new ones
    # As many new units are left as old ones went.
    left = {one.group.name: one.group.width - 7 - (7 - one.new) for one in selections}
    assert card.grown_from == {name: first for name, first in left.items() if first < child.card.widths[name] - 7}


def test_right_after_growth_the_gradient_takes_what_nobody_reads_yet(corpus):
    parent = parent_of()
    child = grown(parent, changes_of(parent, [2, 5], 7), name="child").child
    for criterion in ("gradient", "gradient-entropy"):
        back = shrink(child, range(1, 9), criterion=criterion, probe=probe_on(corpus), scope="grown")
        assert same_tensors(back.child.tensors, parent.tensors)
        assert back.child.card.calibration == parent.card.calibration


def test_statistics_are_the_same_each_time_and_of_data_only_where_there_are_some(corpus):
    parent = parent_of()
    pools = [Pool((group,), 1) for group in parent.build().groups()[:2]]
    once, again = (statistics_of(parent, pools, "newest", probe_on(corpus)) for _ in range(2))
    for one, other in zip(once, again, strict=True):
        assert torch.equal(one.taylor, other.taylor)
        assert torch.equal(one.entropy, other.entropy)
    assert all(one.entropy.isnan().all() for one in statistics_of(parent, pools, "newest"))


def test_a_selection_tells_what_it_is_about():
    parent = parent_of()
    child = grown(parent, changes_of(parent, [1], 6), name="child").child
    [selection] = selected(child, [1], 8)
    assert isinstance(selection, Selection)
    assert selection.group.name == "blocks.0.conv1"
    assert selection.kept.tolist() == [0, 1]
    assert (len(selection.removed), selection.new) == (8, 6)


def with_evidence(spec):
    """A parent that knows what it was trained on, and its development scores."""
    parent = parent_of(spec)
    model = parent.build()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        embeddings = model.embedded(model.features(torch.randn(40, 16_000, generator=generator)))
    reference = fit_reference(embeddings.double().numpy())
    scores = DevScores.of("ab", (Label.SPOOF, Label.BONAFIDE), np.array([-1.0, 1.0]))
    bands = {"telephone": Thresholds(-2.0, 2.0)}
    evidence = reference.as_evidence() | scores.as_evidence()
    return replace(parent, card=replace(parent.card, bands=bands), evidence=evidence)


@pytest.mark.parametrize("name", ["resnet18", "wav2vec2"])
def test_what_was_measured_still_holds_after_an_exact_growth(tmp_path, name):
    parent = with_evidence(SPECS[name])
    part = {"wav2vec2": "ffn"}.get(name)
    surgery = grown(parent, changes_of(parent, [2], 4, part), name="child")
    assert surgery.note == ""
    assert same_tensors(surgery.child.evidence, parent.evidence)
    assert surgery.child.card.bands == parent.card.bands
    back = pruned(surgery.child, selected(surgery.child, [2], 4, part=part), name="back")
    assert same_tensors(back.child.evidence, parent.evidence)
    save_checkpoint(back.child, tmp_path / "x")
    assert same_tensors(load_checkpoint(tmp_path / "x").evidence, parent.evidence)


@pytest.mark.parametrize("name", ["bi-gru", "lstm"])
def test_where_the_last_layer_reads_more_the_training_data_are_unknown(name):
    parent = with_evidence(SPECS[name])
    surgery = grown(parent, changes_of(parent, [1], 3), name="child")
    assert surgery.change <= 1e-6
    assert set(surgery.child.evidence) == {"dev.ids", "dev.labels", "dev.logits"}  # the scores are the same
    assert reference_of(surgery.child.evidence) is None
    assert "no longer compared with the training data" in surgery.note
    assert surgery.child.card.bands == parent.card.bands


def test_where_scores_change_nothing_that_was_measured_holds():
    parent = with_evidence(SPECS["resnet18"])
    random = grown(parent, changes_of(parent, [3], 5), name="child", init="random").child
    assert (random.card.bands, random.evidence) == ({}, {})
    lesser = pruned(parent, selected(parent, [3], 5, criterion="magnitude"), name="child")
    assert lesser.change > 1e-3
    assert (lesser.child.card.bands, lesser.child.evidence) == ({}, {})
