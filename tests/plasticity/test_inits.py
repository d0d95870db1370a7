"""What new units begin with, beyond that outputs stay (which test_families shows)."""

import pytest
import torch
from test_families import context_on, features_of, grow_groups, lived_in, loss_of

from deepcheck.checkpoint import same_tensors
from deepcheck.errors import ConfigError
from deepcheck.plasticity.growth import group_named, grow
from deepcheck.plasticity.inits import EXACT, INITS, Context
from deepcheck.plasticity.inits.gradmax import fill as gradmax
from deepcheck.plasticity.plan import Change
from deepcheck.plasticity.units import tensor_at

FFN = "encoder.encoder.layers.0.ffn"


def units_of(model, group, spans, units, gradient=False):
    """(units, all entries) of the given spans."""
    rows = []
    for span in spans:
        tensor = tensor_at(model, span.tensor)
        view = span.split(tensor.grad if gradient else tensor.detach()).movedim(span.dim + 1, 0)
        rows.append(view[units].flatten(1))
    return torch.cat(rows, 1)


@pytest.mark.parametrize(
    ("family", "name", "weight", "gates"),
    [
        ("resnet18", "blocks.2.conv1", "blocks.2.conv1.weight", 1),
        ("bi-gru", "layers.0.units", "layers.0.weight_ih_l0", 3),
        ("lstm", "layers.0.units", "layers.0.weight_ih_l0", 4),
        ("wav2vec2", FFN, "encoder.encoder.layers.0.feed_forward.intermediate_dense.weight", 1),
    ],
)
def test_twins_of_net2net_part_in_training(family, name, weight, gates):
    model, features = lived_in(family).double(), features_of(family)
    old = group_named(model, name).width
    grow_groups(model, {name: 4}, "net2net")

    def incoming():
        return tensor_at(model, weight).detach().unflatten(0, (gates, -1)).transpose(0, 1).flatten(1).clone()

    rows = incoming()
    twins = [(int((rows[:old] == rows[new]).all(1).nonzero().item()), new) for new in range(old, old + 4)]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.eval()
    for _ in range(5):
        optimizer.zero_grad()
        loss_of(model, features).backward()
        optimizer.step()
    after = incoming()
    moved = (after - rows).norm(dim=1)
    for one, other in twins:
        if moved[one] > 0:  # a unit that no data reaches stays with its twin
            assert (after[one] - after[other]).norm() > 1e-2 * moved[one]
    assert sum(float(moved[one]) > 0 for one, _ in twins) >= 2


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("resnet18", "blocks.3.conv1"),
        ("gru", "layers.0.units"),
        ("bi-lstm", "layers.1.units"),
        ("wav2vec2", FFN),
        ("wav2vec2", "encoder.encoder.layers.1.attention.heads"),
    ],
)
def test_gradmax_beats_random_reading_weights_of_the_same_norm(family, name):
    model, features = lived_in(family).double(), features_of(family, batch=8)
    old = group_named(model, name).width
    grow_groups(model, {name: 2}, "gradmax", features=features)
    group = group_named(model, name)
    new = slice(old, old + 2)
    reading = [span for span in group.spans if span.reads]
    incoming = [span for span in group.spans if not span.reads and span.fill == "random"]
    # A recurrent layer's weights between new units are both; they are silent.
    norms = units_of(model, group, reading, new).norm(dim=1)

    def gradient_norm():
        context_on(model, features).backward()
        return float(units_of(model, group, incoming, new, gradient=True).norm())

    best = gradient_norm()
    assert best > 0
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        directions = torch.randn(units_of(model, group, reading, new).shape, generator=generator, dtype=torch.float64)
        directions *= (norms / directions.norm(dim=1))[:, None]
        start = 0
        for span in reading:
            view = span.split(tensor_at(model, span.tensor).detach()).movedim(span.dim + 1, 0)[new]
            view.copy_(directions[:, start : start + view[0].numel()].reshape(view.shape))
            start += view[0].numel()
        assert gradient_norm() < best


def test_gradmax_leaves_no_gradients_behind():
    model, features = lived_in("resnet18").double(), features_of("resnet18")
    grow_groups(model, {"blocks.0.conv1": 2}, "gradmax", features=features)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert (model.blocks[0].conv1.weight[4:] == 0).all()
    assert (model.blocks[0].conv2.weight[:, 4:] != 0).any()


@pytest.mark.parametrize("training", [False, True])
def test_gradmax_behind_a_relu_is_alive(training):
    # In PyTorch the gradient of ReLU at 0 is 0: exactly silent units would stay so for ever.
    model, features = lived_in("resnet18").double(), features_of("resnet18")
    grow_groups(model, {"blocks.4.conv1": 2}, "gradmax", features=features)
    model.train(training)
    context_on(model, features).backward()
    assert (model.blocks[4].conv1.weight.grad[16:].flatten(1).norm(dim=1) > 0).all()


def test_gradmax_of_more_units_than_directions_is_finite():
    # 4 * 9 numbers read a unit; beyond 36 units the directions cannot all be orthogonal.
    model, features = lived_in("resnet18").double(), features_of("resnet18")
    before = model.logit(features).detach()
    grow_groups(model, {"blocks.0.conv1": 50}, "gradmax", features=features)
    assert model.blocks[0].conv2.weight.isfinite().all()
    assert (model.logit(features) - before).abs().max() <= 1e-10


def test_gradmax_needs_data():
    model = lived_in("gru")
    with pytest.raises(ConfigError, match="gradmax needs data") as caught:
        grow_groups(model, {"layers.0.units": 1}, "gradmax")
    assert "--data" in str(caught.value) + caught.value.hint
    with pytest.raises(ConfigError):
        gradmax(model, group_named(model, "layers.0.units"), 6, Context(torch.Generator()))


@pytest.mark.parametrize("init", sorted(INITS))
def test_new_weights_depend_on_the_generator_alone(init):
    models = []
    for world, seed in ((1, 0), (2, 0), (1, 1)):
        model, features = lived_in("gru").double(), features_of("gru")
        torch.manual_seed(world)
        grow_groups(model, {"layers.0.units": 3}, init, seed=seed, features=features)
        models.append(model.state_dict())
    assert same_tensors(models[0], models[1])
    assert not same_tensors(models[0], models[2])


def test_a_silent_unit_is_not_dead():
    # Zero on both sides would have no gradient for ever.
    for init in sorted(EXACT):
        for family in ("resnet18", "lstm", "wav2vec2"):
            model, features = lived_in(family).double(), features_of(family)
            group = [group for group in model.groups() if not group.stack][2 if family == "resnet18" else -1]
            grow_groups(model, {group.name: 2}, init, features=features)
            context_on(model, features).backward()
            spans = [span for span in group.spans if span.reads or span.fill == "random"]
            new = slice(group.width, group.width + 2)
            assert units_of(model, group, spans, new, gradient=True).abs().max() > 0, (init, family)


def test_an_unknown_init_is_named():
    model = lived_in("gru")
    with pytest.raises(ConfigError, match="zeros"):
        grow_groups(model, {"layers.0.units": 1}, "zeros")


def planted(directions, batches=24, seed=0, mean=0.0):
    """(batch, 1, bins, frames) features, each frame along one of the directions, with its own length and sign."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(batches):
        which = torch.randint(len(directions), (6, 20), generator=generator)
        length = torch.randn(6, 20, 1, generator=generator, dtype=torch.float64)
        frames = mean + length * directions[which] + 0.05 * torch.randn(6, 20, 6, generator=generator).double()
        yield frames.transpose(1, 2).unsqueeze(1)


def hebbian_rows(features, units, seed=0):
    """What the new units of a GRU read of each frame, (gates, units, 6), of norm 1; and the norms of old and new."""
    from deepcheck.card import DetectorSpec
    from deepcheck.detectors.base import build

    torch.manual_seed(0)
    spec = {"units": [5], "stack": 1, "frontend": {"name": "mel", "bins": 6}, "window_s": 1.0}
    model = build(DetectorSpec("gru", spec)).double().eval()
    features = list(features)

    def backward():
        model.zero_grad()
        for batch in features:
            loss_of(model, batch).backward()

    group = group_named(model, "layers.0.units")
    context = Context(torch.Generator().manual_seed(seed), backward)
    grow(model, [Change(group, units)], "hebbian", context)
    rows = tensor_at(model, "layers.0.weight_ih_l0").detach().unflatten(0, (3, -1))
    new = rows[:, 5:]
    assert all(parameter.grad is None for parameter in model.parameters())
    return new / new.norm(dim=-1, keepdim=True), rows[:, :5].norm(dim=-1).mean(), new.norm(dim=-1)


def test_alone_a_hebbian_unit_becomes_the_first_principal_component():
    direction = torch.tensor([3.0, -1.0, 0.5, 0.0, 2.0, 1.0], dtype=torch.float64)
    direction /= direction.norm()
    # A constant that all frames share says nothing, however large it is.
    rows, old, new = hebbian_rows(planted(direction[None], mean=4.0), units=1)
    assert ((rows @ direction).abs() > 0.95).all()  # one for each gate
    assert new.flatten().tolist() == pytest.approx([float(old)] * 3)


def test_together_hebbian_units_share_the_input_out():
    directions = torch.eye(6, dtype=torch.float64)[[1, 4]]
    rows, _, _ = hebbian_rows(planted(directions), units=6)
    likeness = (rows @ directions.T).abs()  # (gates, units, directions)
    assert (likeness.max(2).values > 0.8).double().mean() > 0.8
    assert (likeness.max(1).values > 0.9).all()  # no direction without a unit


def test_hebbian_growth_is_the_same_with_the_same_seed_and_needs_data():
    directions = torch.eye(6, dtype=torch.float64)[[1, 4]]
    one, again, other = (hebbian_rows(planted(directions, batches=3), 2, seed)[0] for seed in (0, 0, 1))
    assert one.equal(again)
    assert not one.equal(other)
    with pytest.raises(ConfigError, match="init hebbian needs data"):
        grow_groups(lived_in("gru"), {"layers.0.units": 1}, "hebbian")
