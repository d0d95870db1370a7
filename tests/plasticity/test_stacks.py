"""Units that are whole modules are held to what holds for all units: silent when they come, gone without a trace."""

import pytest
import torch
from plasticity.test_families import (
    STACKS,
    difference,
    disturb,
    features_of,
    grow_groups,
    lived_in,
    loss_of,
    rebuilt,
)

from deepcheck.card import Card
from deepcheck.checkpoint import describe_widths, same_tensors, snapshot
from deepcheck.errors import ConfigError, ModelError
from deepcheck.plasticity.freeze import Freeze, new_entries
from deepcheck.plasticity.growth import group_named, prune
from deepcheck.plasticity.plan import choose_layers, plan
from deepcheck.plasticity.selection import Ask, pools_of, select
from deepcheck.plasticity.statistics import Collector
from deepcheck.plasticity.units import set_widths, widths_of

CASES = [(family, name) for family, names in STACKS.items() for name in names]
OPTIMIZERS = {
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=1e-2, weight_decay=0.1),
    "nesterov": lambda parameters: torch.optim.SGD(parameters, lr=1e-2, momentum=0.9, nesterov=True, weight_decay=0.1),
}


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize(("family", "name"), CASES)
def test_it_comes_silent_and_is_heard_once_it_moves(family, name):
    model, features = lived_in(family).double(), features_of(family)
    before = model.logit(features).detach()
    assert grow_groups(model, {name: 2}) == {name: 0}
    assert group_named(model, name).width == 2
    assert difference(model, features, before) == 0
    path = group_named(model, name).stack.path
    with torch.no_grad():
        for parameter in model.get_submodule(f"{path}.1").parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    assert difference(model, features, before) > 1e-4


@pytest.mark.parametrize(("family", "name"), CASES)
def test_trained_frozen_and_taken_away_it_leaves_the_old_network(family, name):
    model = lived_in(family)
    old = state(model)
    before = grow_groups(model, {name: 1})
    silent = state(model)
    freeze = Freeze(model, new_entries(model, model.groups(), before))
    optimizer = OPTIMIZERS["adamw" if name.endswith("0") else "nesterov"](freeze.parameters())
    freeze.attach(optimizer)
    freeze.train_mode()
    for seed in range(4):
        optimizer.zero_grad()
        loss_of(model, features_of(family, seed=seed, dtype=torch.float32)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
    freeze.release()
    path = group_named(model, name).stack.path
    for key, tensor in model.state_dict().items():
        if not key.startswith(f"{path}.0."):
            assert tensor.equal(old[key]), key
    moved = [key for key, tensor in model.named_parameters() if not tensor.equal(silent[key])]
    assert len(moved) == len(list(model.get_submodule(f"{path}.0").parameters()))  # the inner ones from the second step
    prune(model, {name: torch.tensor([], dtype=torch.long)})
    assert same_tensors(model.state_dict(), old)


@pytest.mark.parametrize("family", STACKS)
def test_spec_and_widths_rebuild_it_with_all_that_grew_in_it(family):
    model = lived_in(family)
    grow_groups(model, dict.fromkeys(STACKS[family], 2))
    inner = [group.name for group in model.groups() if ".1." in group.name and not group.stack]
    grow_groups(model, dict.fromkeys(inner, 1), "random")
    disturb(model)
    prune(model, {name: torch.tensor([1]) for name in STACKS[family]})
    disturb(model, seed=2)
    again = rebuilt(model)
    assert widths_of(again.groups()) == widths_of(model.groups())
    assert same_tensors(again.state_dict(), model.state_dict())
    features = features_of(family, dtype=torch.float32)
    assert torch.equal(again.logit(features), model.eval().logit(features))
    prune(again, {name: torch.tensor([], dtype=torch.long) for name in STACKS[family]})
    assert not [name for name in describe_widths(again) if name in STACKS[family]]


@pytest.mark.parametrize("family", [family for family in STACKS if family != "progressive"])
def test_a_block_copies_its_layer_as_that_is_now(family):
    name = next(iter(STACKS[family]))
    model = lived_in(family)
    heads = next(group for group in model.groups() if group.part == "heads")
    grow_groups(model, {heads.name: 2}, "random")
    grow_groups(model, {name: 1})
    layers = {group.layer: group for group in model.groups() if group.part == "heads"}
    first = heads.layer
    assert [layers[first].width, layers[first + 1].width] == [6, 6]  # the copy is a layer of its own, behind its origin
    assert sorted(group.layer for group in model.groups() if group.part == "block")[-1] == max(layers)
    origin, copy = (model.get_submodule(layers[n].name.removesuffix(".heads")) for n in (first, first + 1))
    assert same_tensors(origin.state_dict(), copy.state_dict())


def test_the_layers_that_all_means():
    model = lived_in("distilled")
    grow_groups(model, {"blocks.0": 1})
    groups = model.groups()
    assert choose_layers("all", groups) == [1, 2, 3]
    assert choose_layers("all", groups, part="block") == [1, 3]
    assert [change.group.name for change in plan(groups, [1, 3], 1, "block")] == ["blocks.0", "blocks.1"]
    assert [change.group.part for change in plan(groups, [1, 2], 8)] == ["heads", "heads"]


def test_they_are_ranked_by_what_their_silence_would_cost():
    model = lived_in("distilled")
    grow_groups(model, {"blocks.0": 3})
    with torch.no_grad():
        for unit, scale in enumerate((0.0, 0.2, 1e-4)):
            gate = model.get_submodule(f"blocks.0.{unit}.gate")
            gate.weight.copy_(scale * torch.eye(32))
    features = features_of("distilled", dtype=torch.float32)
    groups = [group_named(model, "blocks.0")]
    with Collector(model, groups) as collector:
        for _ in range(2):
            model.zero_grad()
            loss_of(model, features).backward()
            collector.update()
    [found] = collector.result({"blocks.0": 0})
    assert found.taylor[0] == 0 < found.taylor[2] < found.taylor[1]
    assert found.added.tolist() == [1, 2, 3]
    # With one common factor on the projection, the change of the loss is the derivative with respect to that factor.
    gate = model.get_submodule("blocks.0.1.gate")
    expected = float((gate.weight * gate.weight.grad).detach().sum())
    assert float(found.taylor[1]) == pytest.approx(expected**2, rel=1e-5)
    pools = pools_of(model.groups(), Ask([1], "block", 2), criterion="gradient")
    [selection] = select([found], pools, "gradient")
    assert selection.removed.tolist() == [0, 2]
    pools = pools_of(model.groups(), Ask([1, 2, 3, 4, 5], neurons=3), "all", criterion="magnitude")
    assert not [group for pool in pools for group in pool.groups if group.stack]  # only where they are meant


def test_what_they_do_not_do():
    model = lived_in("distilled")
    with pytest.raises(ConfigError, match="A block has no init gradmax"):
        grow_groups(model, {"blocks.0": 1}, "gradmax", features=features_of("distilled", dtype=torch.float32))
    with pytest.raises(ConfigError, match="cannot have 65 more"):
        grow_groups(model, {"blocks.0": 65})
    with pytest.raises(ConfigError, match=r"1 units cannot be removed from blocks\.0, which has 0"):
        pools_of(model.groups(), Ask([1], "block", 1), criterion="magnitude")
    for widths in ({"blocks.0": 65}, {"blocks.0": -1}, {"blocks.0.0.layer.ffn": 3}, {"layers.0.ffn": 0}):
        with pytest.raises(ModelError, match="no units"):
            set_widths(model, widths)
        with pytest.raises(ModelError):
            snapshot(lived_in("distilled"), Card("x", model.spec, widths)).build()


def test_where_a_layer_does_not_learn_its_copy_does_not():
    from deepcheck.detectors.distilled import Distilled

    model = Distilled(channels=[4, 3, 5, 4, 4, 6], width=32, heads=4, neurons=24, layers=2, learns=1)
    grow_groups(model, {"blocks.0": 1, "blocks.1": 1})
    learns = {
        name.split(".")[1] for name, p in model.named_parameters() if name.startswith("blocks") and p.requires_grad
    }
    assert learns == {"1"}


@pytest.mark.parametrize("family", ["wav2vec2", "distilled"])
def test_what_a_block_attends_to_is_part_of_what_its_layer_does(family):
    model = lived_in(family)
    sound = torch.randn(1, 16000, generator=torch.Generator().manual_seed(1))
    plain = model.attention_maps(sound).maps
    grow_groups(model, {"blocks.0": 2})
    expanded = model.attention_maps(sound).maps
    assert len(expanded) == len(plain) == 2
    assert expanded[0].shape == (1, 1, *plain[0].shape[2:])
    assert expanded[0].sum(-1).detach().flatten().tolist() == pytest.approx([1.0] * plain[0].shape[2], abs=1e-5)
    assert (expanded[0] - plain[0].mean(1, keepdim=True)).abs().max() > 1e-5
    assert expanded[1].equal(plain[1])
