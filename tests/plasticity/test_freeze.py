"""Old entries under real optimisers: they move by nothing at all."""

import pytest
import torch
from test_families import WIDTHS, features_of, grow_groups, lived_in, loss_of

from deepcheck.checkpoint import same_tensors
from deepcheck.plasticity.freeze import Freeze, learning, new_entries
from deepcheck.plasticity.growth import prune

OPTIMIZERS = {
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=3e-3, weight_decay=0.1),
    "adam-l2": lambda parameters: torch.optim.Adam(parameters, lr=3e-3, weight_decay=0.1),
    "sgd-nesterov": lambda parameters: torch.optim.SGD(
        parameters, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01
    ),
}
GROWTHS = {
    "resnet18": ["blocks.1.conv1", "blocks.6.conv1"],
    "gru": ["layers.0.units"],
    "bi-gru": ["layers.0.units"],
    "bi-lstm": ["layers.0.units", "layers.1.units"],
    "wav2vec2": list(WIDTHS["wav2vec2"])[:4],
    "wav2vec2-stable": list(WIDTHS["wav2vec2"])[2:],
    "progressive": ["base.layers.0.units", "base.layers.1.units"],
    "distilled": list(WIDTHS["distilled"])[1:4],
    "committee": ["members.0.layers.0.units", "members.1.layers.1.ffn"],
}


def copied(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def ten_steps(model, optimizer, features, clip=0.5):
    for _ in range(10):
        optimizer.zero_grad()
        loss_of(model, features).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("family", GROWTHS)
def test_ten_steps_move_nothing_old(family, optimizer):
    model = lived_in(family)
    original = copied(model)
    before = grow_groups(model, dict.fromkeys(GROWTHS[family], 3))
    masks = new_entries(model, model.groups(), before)
    start = copied(model)
    freeze = Freeze(model, masks)
    steps = OPTIMIZERS[optimizer](freeze.parameters())
    freeze.attach(steps)
    freeze.train_mode()
    ten_steps(model, steps, features_of(family, dtype=torch.float32))
    model.eval()
    assert not any(mask.all() or not mask.any() for mask in masks.values() if mask.dim() > 1)
    for name, tensor in model.state_dict().items():
        new = masks.get(name, torch.zeros_like(tensor, dtype=torch.bool))
        assert torch.equal(tensor[~new], start[name][~new]), name
        if name in masks and (tensor.dim() > 1 or "running" in name):
            assert not torch.equal(tensor[new], start[name][new]), name
    freeze.release()
    prune(model, {name: torch.arange(width) for name, width in before.items()})
    assert same_tensors(model.state_dict(), original)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_masked_gradients_alone_are_not_enough(optimizer):
    # The control: without putting old entries back, weight decay moves them.
    model = lived_in("resnet18")
    before = grow_groups(model, {"blocks.1.conv1": 3})
    masks = new_entries(model, model.groups(), before)
    start = copied(model)
    freeze = Freeze(model, masks)
    freeze.train_mode()
    ten_steps(model, OPTIMIZERS[optimizer](freeze.parameters()), features_of("resnet18", dtype=torch.float32))
    weight = "blocks.1.conv1.weight"
    assert (model.state_dict()[weight] - start[weight])[~masks[weight]].abs().max() > 1e-5
    statistic = "blocks.1.bn1.running_mean"
    assert (model.state_dict()[statistic] - start[statistic])[~masks[statistic]].abs().max() > 1e-5
    freeze.restore()
    assert torch.equal(model.state_dict()[weight][~masks[weight]], start[weight][~masks[weight]])


def test_the_gradient_of_old_entries_is_gone_before_clipping():
    model = lived_in("gru")
    before = grow_groups(model, {"layers.0.units": 2})
    masks = new_entries(model, model.groups(), before)
    Freeze(model, masks)
    loss_of(model, features_of("gru", dtype=torch.float32)).backward()
    for name, parameter in model.named_parameters():
        if name not in masks:
            assert parameter.grad is None
        else:
            assert (parameter.grad[~masks[name]] == 0).all()
    assert model.head.weight.grad.abs().max() > 0


def test_an_entry_is_new_if_any_of_its_axes_is():
    model = lived_in("gru")
    before = grow_groups(model, {"layers.0.units": 2})
    masks = new_entries(model, model.groups(), before)
    recurrent = masks["layers.0.weight_hh_l0"].unflatten(0, (3, 8))
    new = torch.zeros(8, 8, dtype=torch.bool)
    new[6:], new[:, 6:] = True, True
    assert all(torch.equal(gate, new) for gate in recurrent)
    assert masks["head.weight"].tolist() == [[False] * 6 + [True] * 2]
    assert "head.bias" not in masks
    assert new_entries(model, model.groups(), {}) == {}
    assert new_entries(model, model.groups(), {"layers.0.units": 8}) == {}


def test_release_lets_everything_be_trained_again():
    model = lived_in("resnet18")
    model.head.bias.requires_grad_(False)
    before = grow_groups(model, {"blocks.0.conv1": 1})
    freeze = Freeze(model, new_entries(model, model.groups(), before))
    assert not model.stem.weight.requires_grad
    freeze.release()
    assert model.stem.weight.requires_grad
    assert not model.head.bias.requires_grad
    loss_of(model, features_of("resnet18", dtype=torch.float32)).backward()
    assert model.blocks[0].conv1.weight.grad[:4].abs().max() > 0


def test_an_infinite_gradient_of_an_old_entry_stays_with_it():
    model = lived_in("gru")
    before = grow_groups(model, {"layers.0.units": 2})
    freeze = Freeze(model, new_entries(model, model.groups(), before))
    gradient = torch.ones_like(model.head.weight)
    gradient[0, 0] = torch.inf
    (model.head.weight * gradient).sum().backward()
    assert model.head.weight.grad.tolist() == [[0.0] * 6 + [1.0] * 2]
    freeze.mask_gradients()
    assert model.head.weight.grad.tolist() == [[0.0] * 6 + [1.0] * 2]


@pytest.mark.parametrize("norm", [torch.nn.BatchNorm3d(4), torch.nn.InstanceNorm3d(4, track_running_stats=True)])
def test_statistics_of_every_kind_of_normalisation_are_held(norm):
    freeze = Freeze(torch.nn.Sequential(norm), {})
    freeze.train_mode()
    norm(torch.randn(3, 4, 2, 2, 2) + 1)
    freeze.restore()
    assert norm.running_mean.tolist() == [0.0] * 4
    assert norm.running_var.tolist() == [1.0] * 4


@pytest.mark.parametrize("family", GROWTHS)
def test_what_learns_is_counted_entry_by_entry(family):
    model = lived_in(family)
    able = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert learning(model) == sum(parameter.numel() for parameter in able)
    size = sum(parameter.numel() for parameter in model.parameters())
    before = grow_groups(model, dict.fromkeys(GROWTHS[family], 3))
    freeze = Freeze(model, new_entries(model, model.groups(), before))
    # All that came learns, and nothing that was there.
    assert learning(model, freeze) == sum(parameter.numel() for parameter in model.parameters()) - size
