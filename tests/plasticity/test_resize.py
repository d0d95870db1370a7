"""Growing and pruning of the ResNet18: what must stay the same, and what must not."""

from dataclasses import replace

import pytest
import torch
from benchmarks.peak_memory import peak_extra_bytes
from conftest import TINY, TINY_ENCODER

from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import describe_widths, same_tensors, snapshot
from deepcheck.detectors.base import build, parameter_count
from deepcheck.errors import ModelError
from deepcheck.plasticity.units import resize, set_widths, tensor_at, widths_of

GROUPS = [f"blocks.{i}.conv1" for i in range(8)]
OWN_WIDTHS = [4, 4, 8, 8, 16, 16, 32, 32]


def lived_in(seed=0):
    """A tiny detector whose numbers are all its own: no zero, no one, as after some training."""
    torch.manual_seed(seed)
    model = build(TINY)
    shake(model)
    return model


def shake(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        model.train()
        for _ in range(10):  # until the statistics of the normalisations are those of the new weights
            model.score(torch.randn(8, 16_000))
    model.eval()


def group_of(model, name):
    return next(group for group in model.groups() if group.name == name)


def grow_all(model, add=3):
    for name in GROUPS:
        resize(model, group_of(model, name), add=add)


@pytest.fixture
def sound():
    return torch.randn(6, 16_000, generator=torch.Generator().manual_seed(5))


def test_the_groups_are_the_inner_channels_of_the_blocks():
    groups = build(TINY).groups()
    assert widths_of(groups) == dict(zip(GROUPS, OWN_WIDTHS, strict=True))
    assert [group.layer for group in groups] == list(range(1, 9))
    assert {group.part for group in groups} == {"channels"}


@pytest.mark.parametrize("name", GROUPS)
def test_growth_of_each_layer_changes_no_score(name, sound):
    model = lived_in()
    before = model.score(sound)
    assert 1e-2 < before.std() < 10  # scores that differ, so that equality means something
    resize(model, group_of(model, name), add=5)
    assert (model.score(sound) - before).abs().max() <= 1e-6


@pytest.mark.parametrize("training", [False, True])
def test_growth_of_all_layers_changes_no_output(training, sound):
    model = lived_in()
    # In double precision, where the order of additions in a wider convolution does not hide anything.
    features = model.features(sound).double()
    model.double().train(training)
    before = model.logit(features)
    grow_all(model)
    assert widths_of(model.groups()) == {n: w + 3 for n, w in zip(GROUPS, OWN_WIDTHS, strict=True)}
    assert (model.logit(features) - before).abs().max() <= 1e-10


def test_new_units_are_heard_after_one_step(sound):
    # Zero outgoing weights must not be dead: their gradient is not zero, and after a step neither is the rest's.
    model = lived_in()
    grow_all(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        model.score(sound).square().sum().backward()
        optimizer.step()
    for name, width in zip(GROUPS, OWN_WIDTHS, strict=True):
        block = model.get_submodule(name.removesuffix(".conv1"))
        assert block.conv2.weight[:, width:].abs().max() > 0
        assert block.conv1.weight.grad[width:].abs().max() > 0


def test_what_a_new_unit_holds():
    model = lived_in()
    old = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    group = resize(model, group_of(model, "blocks.6.conv1"), add=64)
    assert group == group_of(model, "blocks.6.conv1")
    model.requires_grad_(False)
    block = model.blocks[6]
    assert block.conv1.weight.shape == (96, 16, 3, 3)
    assert block.conv2.weight.shape == (32, 96, 3, 3)
    assert block.conv1.weight[32:].std() == pytest.approx(float(old["blocks.6.conv1.weight"].std()), rel=0.1)
    assert (block.conv2.weight[:, 32:] == 0).all()
    for tensor, value in ((block.bn1.weight, 1), (block.bn1.bias, 0), (block.bn1.running_mean, 0)):
        assert (tensor[32:] == value).all()
    assert (block.bn1.running_var[32:] == 1).all()
    assert (block.conv1.out_channels, block.bn1.num_features, block.conv2.in_channels) == (96, 96, 96)
    for name, tensor in model.state_dict().items():
        kept = tensor[tuple(slice(0, n) for n in old[name].shape)]
        assert torch.equal(kept, old[name]), name
    assert all(isinstance(p, torch.nn.Parameter) for p in (block.conv1.weight, block.bn1.bias))
    assert "blocks.6.bn1.running_mean" in dict(model.named_buffers())


def test_a_frozen_parameter_stays_frozen():
    model = lived_in()
    model.blocks[0].conv1.weight.requires_grad = False
    resize(model, group_of(model, "blocks.0.conv1"), add=1)
    assert not model.blocks[0].conv1.weight.requires_grad
    assert model.blocks[0].conv2.weight.requires_grad


def test_growing_and_keeping_the_old_units_is_the_old_network(sound):
    model = lived_in()
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    scores = model.score(sound)
    grow_all(model, add=7)
    with torch.no_grad():  # what the new units learnt goes with them
        for name, width in zip(GROUPS, OWN_WIDTHS, strict=True):
            model.get_submodule(name).weight[width:] += 1
    for name, width in zip(GROUPS, OWN_WIDTHS, strict=True):
        resize(model, group_of(model, name), keep=torch.arange(width))
    assert same_tensors(model.state_dict(), tensors)
    assert torch.equal(model.score(sound), scores)


def test_pruning_removes_exactly_the_units_that_are_not_kept(sound):
    model = lived_in()
    block = model.blocks[2]
    with torch.no_grad():  # channels 1 and 5 are not read by anybody
        block.conv2.weight[:, [1, 5]] = 0
    before, weight = model.score(sound), block.conv1.weight.detach().clone()
    resize(model, group_of(model, "blocks.2.conv1"), keep=torch.tensor([7, 0, 6, 2, 4, 3]))
    assert torch.equal(block.conv1.weight, weight[[0, 2, 3, 4, 6, 7]])  # in their old order
    assert (model.score(sound) - before).abs().max() <= 1e-6
    resize(model, group_of(model, "blocks.2.conv1"), keep=torch.tensor([0, 1, 2, 3, 4]))
    assert (model.score(sound) - before).abs().max() > 1e-4


def test_keeping_and_adding_at_once_is_one_after_the_other():
    one, other = lived_in(), lived_in()
    keep = torch.tensor([0, 3])
    torch.manual_seed(1)
    resize(one, group_of(one, "blocks.1.conv1"), keep=keep, add=2)
    torch.manual_seed(1)
    resize(other, group_of(other, "blocks.1.conv1"), keep=keep)
    resize(other, group_of(other, "blocks.1.conv1"), add=2)
    assert same_tensors(one.state_dict(), other.state_dict())
    assert widths_of(one.groups())["blocks.1.conv1"] == 4


def test_spec_and_widths_rebuild_a_model_that_grew_was_pruned_and_grew_again(sound):
    model = lived_in()
    grow_all(model, add=4)
    shake(model)
    for number, name in enumerate(GROUPS):  # across old and new units
        group = group_of(model, name)
        resize(model, group, keep=torch.randperm(group.width)[: group.width - 5 + number % 3])
    resize(model, group_of(model, "blocks.3.conv1"), add=6)
    shake(model)
    widths = describe_widths(model)
    assert widths == {f"blocks.{i}.conv1": width for i, width in ((0, 3), (2, 9), (3, 13), (5, 17), (6, 31))}
    rebuilt = snapshot(model, Card("x", model.spec, widths)).build()
    assert same_tensors(rebuilt.state_dict(), model.state_dict())
    assert torch.equal(rebuilt.score(sound), model.score(sound))
    assert widths_of(rebuilt.groups()) == widths_of(model.groups())


def test_widths_of_the_spec_need_no_mention():
    model = lived_in()
    assert describe_widths(model) == {}
    resize(model, group_of(model, "blocks.7.conv1"), add=1)
    assert describe_widths(model) == {"blocks.7.conv1": 33}


@pytest.mark.parametrize("widths", [{"blocks.8.conv1": 4}, {"head": 2}, {"blocks.0.conv1": 0}, {"blocks.0.conv1": -1}])
def test_widths_that_cannot_be_are_refused_by_name(widths):
    checkpoint = snapshot(lived_in(), Card("x", TINY))
    with pytest.raises(ModelError) as caught:
        replace(checkpoint, card=replace(checkpoint.card, widths=widths)).build()
    [name] = widths
    assert name in caught.value.message


def test_widths_that_do_not_fit_the_weights_are_refused():
    checkpoint = snapshot(lived_in(), Card("mine", TINY, widths={"blocks.0.conv1": 5}))
    with pytest.raises(ModelError, match=r'The weights of "mine" do not fit its description: .*blocks\.0\.conv1'):
        checkpoint.build()


@pytest.mark.parametrize(("number", "inputs", "outputs"), [(0, 4, 4), (2, 4, 8), (7, 32, 32)])
def test_parameters_of_a_new_channel(number, inputs, outputs):
    model = lived_in()
    before = parameter_count(model)
    resize(model, group_of(model, GROUPS[number]), add=3)
    # A 3x3 kernel for every input, one in every output, gain and bias of the normalisation.
    assert parameter_count(model) - before == 3 * (9 * inputs + 9 * outputs + 2)


WIDE = {
    "resnet18": DetectorSpec("resnet18", {"width": 16, "window_s": 1.0}),
    "gru": DetectorSpec("gru", {"units": [48, 64], "bidirectional": True, "window_s": 1.0}),
    "wav2vec2": DetectorSpec(
        "wav2vec2", {"config": {**TINY_ENCODER, "hidden_size": 64, "intermediate_size": 256}, "window_s": 1.0}
    ),
}
PARTS = [
    ("resnet18", "channels"),
    ("gru", "units"),
    ("wav2vec2", "heads"),
    ("wav2vec2", "head-dims"),
    ("wav2vec2", "ffn"),
]


def sizes_of(model, groups):
    """Bytes of each tensor that the groups touch, by name."""
    return {span.tensor: tensor_at(model, span.tensor).nbytes for group in groups for span in group.spans}


def parts_of(family, part):
    model = build(WIDE[family])
    return model, [group for group in model.groups() if group.part == part]


@pytest.mark.parametrize(("dropped", "added"), [(0, 0.25), (0, 1), (0.25, 0), (0.25, 0.25)])
@pytest.mark.parametrize(("family", "part"), PARTS)
def test_surgery_needs_at_most_twice_the_memory_of_what_it_touches(family, part, dropped, added):
    model, groups = parts_of(family, part)
    group = groups[-1]
    keep = torch.arange(round(group.width * dropped), group.width) if dropped else None
    before = sizes_of(model, [group])
    peak = peak_extra_bytes(model, lambda: resize(model, group, keep, round(group.width * added)))
    after = sizes_of(model, [group])
    assert (before == after) == (dropped == added)
    assert 0 < peak <= 2 * max(sum(before.values()), sum(after.values()))


@pytest.mark.parametrize("by", [2, -1])
@pytest.mark.parametrize(("family", "part"), PARTS)
def test_each_tensor_is_written_once_and_freed_before_the_next(family, part, by):
    model, groups = parts_of(family, part)

    def work():
        for group in groups:
            keep = torch.arange(group.width + by) if by < 0 else None
            resize(model, group_of(model, group.name), keep, max(by, 0))

    before = sizes_of(model, groups)
    peak = peak_extra_bytes(model, work)
    after = sizes_of(model, groups)
    growth = max(0, sum(after.values()) - sum(before.values()))
    indices = 1000 + 32 * max(group.width for group in groups)  # of the units, before and after they are sorted
    assert growth < peak <= growth + max(*before.values(), *after.values()) + indices


def test_the_peak_of_memory_is_known():
    # Or the two tests above would be worth little.
    model = torch.nn.Linear(1000, 1000, bias=False)

    def work():
        model.weight.data = torch.cat([model.weight.data, torch.zeros(500, 1000)])  # 2 MB, and 6 MB beside the old 4
        torch.ones(100, 1000)

    assert peak_extra_bytes(model, work) == 8_000_000
    assert peak_extra_bytes(model, lambda: None) == 0


@pytest.mark.parametrize(("family", "part"), PARTS)
def test_setting_widths_draws_nothing_and_keeps_buffers_right(family, part):
    model, groups = parts_of(family, part)
    values = {name: torch.rand_like(buffer) for name, buffer in model.named_buffers() if buffer.is_floating_point()}
    for name, value in values.items():
        model.get_buffer(name).copy_(value)
    state = torch.get_rng_state()
    set_widths(model, {group.name: group.width + (3, -1)[number % 2] for number, group in enumerate(groups)})
    assert torch.equal(torch.get_rng_state(), state)
    for number, group in enumerate(groups):
        assert group_of(model, group.name).width == group.width + (3, -1)[number % 2]
    for name, value in values.items():
        buffer = model.get_buffer(name)
        both = min(len(buffer), len(value))
        assert torch.equal(buffer[:both], value[:both])
        assert (buffer[both:] == float("running_var" in name)).all()


def test_a_width_that_stays_needs_no_new_tensor():
    model = lived_in()
    weight = model.blocks[0].conv1.weight
    set_widths(model, widths_of(model.groups()))
    assert model.blocks[0].conv1.weight is weight
