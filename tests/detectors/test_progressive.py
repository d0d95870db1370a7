"""Columns beside a detector: silent at first, listening through adapters, and gone without a trace."""

import pytest
import torch
from conftest import TINY, TINY_DISTILLED, TINY_ENCODER
from plasticity.test_families import difference, disturb, grow_groups, lived_in

from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import same_tensors, snapshot
from deepcheck.detectors.base import build, parameter_count
from deepcheck.engine.columns import with_room, without_room
from deepcheck.engine.operations import grow, prune
from deepcheck.errors import ConfigError
from deepcheck.plasticity.units import widths_of

BASES = {
    "resnet18": TINY,
    "distilled": DetectorSpec("distilled", {**TINY_DISTILLED, "pool": "all", "window_s": 1.0}),
    "wav2vec2": DetectorSpec("wav2vec2", {"config": TINY_ENCODER, "window_s": 1.0}),
}


def base(name):
    torch.manual_seed(0)
    detector = build(BASES[name]).eval()
    return snapshot(detector, Card("old", detector.spec, parameters=parameter_count(detector)))


@pytest.fixture
def sound():
    return torch.randn(3, 16000, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", BASES)
def test_a_column_beside_every_kind_of_detector(name, sound):
    parent = base(name)
    surgery = grow(parent, neurons=1, part="column", name="wide")
    assert surgery.change == 0
    [row] = surgery.rows
    assert (row.part, row.before, row.after) == ("column", 0, 1)
    child = surgery.child
    assert child.card.spec.name == "progressive"
    assert child.card.grown_from == {"columns": 0}
    assert child.card.parameters == parent.card.parameters + row.parameters
    detector = child.build()
    assert torch.equal(detector.score(sound), parent.build().score(sound))
    disturb(detector)  # all of it, so also what listens
    heard = detector.score(sound).detach()
    with torch.no_grad():
        for lateral in detector.columns[0].laterals:
            lateral.up.weight.zero_()
    assert (detector.score(sound) - heard).abs().max() > 1e-4  # the adapters are heard, too
    back = prune(child, criterion="newest").child
    assert back.card.spec == parent.card.spec
    assert back.card.widths == {}
    assert same_tensors(back.tensors, parent.tensors)


def test_of_a_grown_detector_and_back(sound):
    parent = grow(base("resnet18"), neurons=3, layer="2", name="grown").child
    child = grow(parent, neurons=2, part="column").child
    assert child.card.widths["base.blocks.1.conv1"] == 7
    assert child.card.widths["columns"] == 2
    back = prune(child, criterion="newest").child
    assert (back.card.spec, back.card.widths) == (parent.card.spec, parent.card.widths)
    assert same_tensors(back.tensors, parent.tensors)
    one_less = prune(child, neurons=1, part="column", criterion="newest").child
    assert one_less.build().score(sound).equal(parent.build().score(sound))
    assert one_less.card.grown_from == {"columns": 0}


def test_what_it_listens_to_may_grow_on_both_sides():
    model = lived_in("progressive").double()
    grow_groups(model, {"columns": 2})
    disturb(model)
    features = torch.randn(5, 1, 6, 20, generator=torch.Generator().manual_seed(2)).double()
    before = model.logit(features).detach()
    grow_groups(model, {"base.layers.0.units": 2, "base.layers.1.units": 3, "columns.1.net.layers.0.units": 2})
    assert difference(model, features, before) <= 1e-10
    laterals = model.columns[1].laterals
    assert (laterals[0].down.in_features, laterals[0].up.out_features) == (14, 14)
    assert (laterals[1].down.in_features, laterals[1].up.out_features) == (14, 8)
    layers = {group.name: group.layer for group in model.groups()}
    assert layers["columns"] == 1
    assert layers["columns.0.net.layers.0.units"] == 3
    disturb(model, seed=3)
    assert difference(model, features, before) > 1e-3


def test_there_and_back_is_nothing():
    parent = base("resnet18")
    room = with_room(parent, "column")
    assert with_room(room, "column") is room
    assert with_room(parent, "channels") is parent
    assert "columns" in widths_of(room.build().groups())
    back = without_room(room)
    assert back.card == parent.card
    assert same_tensors(back.tensors, parent.tensors)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"base": "gru"}, "should be of type"),
        ({"base": {"name": "gru", "more": 1}}, "makes no detector"),
        ({"base": {"name": "progressive", "arguments": {"base": {"name": "gru"}}}}, "no columns beside it"),
        ({"base": {"name": "committee", "arguments": {"members": [{"name": "gru"}] * 2}}}, "there can be no column"),
    ],
)
def test_what_has_no_columns(arguments, message):
    with pytest.raises(ConfigError, match=message):
        build(DetectorSpec("progressive", arguments))
