"""What must hold for every family of layers: growth that changes nothing, pruning that gives the old network back."""

from copy import deepcopy
from functools import cache
from importlib.util import find_spec

import pytest
import torch
import torch.nn.functional as F
from conftest import TINY_DISTILLED
from conftest import TINY_ENCODER as ENCODER

from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import describe_widths, same_tensors, snapshot
from deepcheck.detectors.base import build
from deepcheck.plasticity.growth import group_named, grow, prune
from deepcheck.plasticity.inits import EXACT, INITS, Context
from deepcheck.plasticity.plan import Change
from deepcheck.plasticity.units import set_widths, widths_of

MEL = {"frontend": {"name": "mel", "bins": 6}, "window_s": 1.0}
STABLE = {**ENCODER, "do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}
FAMILIES = {
    "resnet18": DetectorSpec("resnet18", {"width": 4, **MEL}),
    "gru": DetectorSpec("gru", {"units": [6], **MEL}),
    "bi-gru": DetectorSpec("gru", {"units": [6], "bidirectional": True, **MEL}),
    "lstm": DetectorSpec("lstm", {"units": [6], **MEL}),
    "bi-lstm": DetectorSpec("lstm", {"units": [5, 7], "bidirectional": True, **MEL}),
    "wav2vec2": DetectorSpec("wav2vec2", {"config": ENCODER, "window_s": 1.0}),
    "wav2vec2-stable": DetectorSpec("wav2vec2", {"config": STABLE, "pool": "mean", "window_s": 1.0}),
    "distilled": DetectorSpec("distilled", {**TINY_DISTILLED, "pool": "layers", "window_s": 1.0}),
}
if find_spec("snntorch"):  # the extra snn
    FAMILIES["snn"] = DetectorSpec("snn", {"units": [12, 8], "decay": 0.98, "slope": 5.0, "stack": 1, **MEL})
FAMILIES["progressive"] = DetectorSpec(
    "progressive", {"base": {"name": "gru", "arguments": {"units": [5, 4], "bidirectional": True, **MEL}}}
)
FAMILIES["committee"] = DetectorSpec(
    "committee",
    {"members": [{"name": FAMILIES[one].name, "arguments": FAMILIES[one].arguments} for one in ("gru", "distilled")]},
)
LAYERS = {
    "wav2vec2": "encoder.encoder.layers",
    "wav2vec2-stable": "encoder.encoder.layers",
    "distilled": "layers",
    "committee": "members.1.layers",
}
ENCODER_WIDTHS = {
    family: {
        f"{layers}.{i}.{name}": width
        for i in range(2)
        for name, width in (("attention.heads", 4), ("attention.head-dims", 8), ("ffn", 24))
    }
    for family, layers in LAYERS.items()
}
WIDTHS = {
    "resnet18": {f"blocks.{i}.conv1": 4 << i // 2 for i in range(8)},
    "gru": {"layers.0.units": 6},
    "bi-gru": {"layers.0.units": 6},
    "lstm": {"layers.0.units": 6},
    "bi-lstm": {"layers.0.units": 5, "layers.1.units": 7},
    "snn": {"layers.0.units": 12, "layers.1.units": 8},
    "progressive": {"base.layers.0.units": 5, "base.layers.1.units": 4},
    **ENCODER_WIDTHS,
    "committee": {"members.0.layers.0.units": 6, **ENCODER_WIDTHS["committee"]},
}
# Whole modules, of which there are none at first; tests/plasticity/test_stacks.py holds them to the same.
STACKS = {
    "wav2vec2": {"blocks.0": 0, "blocks.1": 0},
    "wav2vec2-stable": {"blocks.0": 0, "blocks.1": 0},
    "distilled": {"blocks.0": 0, "blocks.1": 0},
    "committee": {"members.1.blocks.0": 0, "members.1.blocks.1": 0},
    "progressive": {"columns": 0},
}
WIDTHS = {family: widths for family, widths in WIDTHS.items() if family in FAMILIES}
CASES = [(family, group) for family, widths in WIDTHS.items() for group in widths]


def lived_in(family, seed=0):
    """A detector of the family whose numbers are all its own: no zero, no one, as after some training."""
    model = deepcopy(lived_in_once(family, seed))
    torch.manual_seed(seed)  # what comes next is the same, whether or not it had to be made
    return model


@cache
def lived_in_once(family, seed):
    torch.manual_seed(seed)
    model = build(FAMILIES[family])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
        model.train()
        for seed in range(8):  # until the statistics of the normalisations are those of the new weights
            model.logit(features_of(family, seed=10 + seed, dtype=torch.float32))
    return model.eval()


def features_of(family, batch=6, seed=3, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    own = {"wav2vec2": (16, 12), "wav2vec2-stable": (16, 12), "distilled": (2, 161, 12), "committee": (1, 3200)}
    shape = (batch, *own.get(family, (1, 6, 20)))
    return torch.randn(shape, generator=generator).to(dtype)


def loss_of(model, features):
    labels = torch.arange(len(features)).remainder(2).to(features.dtype)
    return F.binary_cross_entropy_with_logits(model.logit(features), labels)


def context_on(model, features, seed=0):
    def backward():
        model.zero_grad()
        loss_of(model, features).backward()

    return Context(torch.Generator().manual_seed(seed), backward)


def grow_groups(model, adds, init="zero", seed=0, features=None):
    """Grows by name; returns the widths before."""
    context = (
        context_on(model, features, seed) if features is not None else Context(torch.Generator().manual_seed(seed))
    )
    return grow(model, [Change(group_named(model, name), add) for name, add in adds.items()], init, context)


@torch.no_grad()
def disturb(model, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator).to(parameter.dtype))


@torch.no_grad()
def difference(model, features, before):
    return float((model.logit(features) - before).abs().max())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_table_names_every_group(family):
    model = lived_in(family)
    assert widths_of(model.groups()) == WIDTHS[family] | STACKS.get(family, {})
    # Scores that differ, so that equality below means something.
    assert model.double().logit(features_of(family)).std() > 1e-3


@pytest.mark.parametrize("init", sorted(EXACT))
@pytest.mark.parametrize(("family", "name"), CASES)
def test_exact_growth_changes_no_output(family, name, init):
    model, features = lived_in(family).double(), features_of(family)
    before = model.logit(features).detach()
    old = grow_groups(model, {name: 3}, init, features=features)
    assert old == {name: WIDTHS[family][name]}
    assert group_named(model, name).width == old[name] + 3
    assert difference(model, features, before) <= 1e-10
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    # The new units are no ghosts: what they hold is heard once it moves.
    disturb(model)
    assert difference(model, features, before) > 1e-4


@pytest.mark.parametrize("init", sorted(EXACT))
@pytest.mark.parametrize("family", FAMILIES)
def test_exact_growth_of_all_groups_changes_no_output(family, init):
    model, features = lived_in(family).double(), features_of(family)
    before = model.logit(features).detach()
    grow_groups(model, dict.fromkeys(WIDTHS[family], 2), init, features=features)
    assert difference(model, features, before) <= 1e-10


@pytest.mark.parametrize(("family", "name"), CASES)
def test_random_growth_changes_the_output(family, name):
    model, features = lived_in(family).double(), features_of(family)
    before = model.logit(features).detach()
    grow_groups(model, {name: 3}, "random")
    assert difference(model, features, before) > 1e-6


@pytest.mark.parametrize(("family", "name"), CASES)
def test_growing_and_keeping_the_old_units_is_the_old_network(family, name):
    model = lived_in(family)
    old = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    grow_groups(model, {name: 3}, "random")
    assert not same_tensors(model.state_dict(), old)
    prune(model, {name: torch.arange(WIDTHS[family][name])})
    assert same_tensors(model.state_dict(), old)
    fresh = lived_in(family, seed=5)
    fresh.load_state_dict(old)
    features = features_of(family, dtype=torch.float32)
    assert torch.equal(model.logit(features), fresh.logit(features))


@pytest.mark.parametrize("family", FAMILIES)
def test_growing_all_groups_and_keeping_the_old_units_is_the_old_network(family):
    model = lived_in(family)
    old = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    before = grow_groups(model, dict.fromkeys(WIDTHS[family], 3), "random")
    prune(model, {name: torch.arange(width) for name, width in before.items()})
    assert same_tensors(model.state_dict(), old)


def rebuilt(model):
    return snapshot(model, Card("x", model.spec, describe_widths(model))).build()


@pytest.mark.parametrize("family", FAMILIES)
def test_spec_and_widths_rebuild_what_was_grown_and_pruned_and_grown(family):
    model = lived_in(family)
    names = WIDTHS[family]
    grow_groups(model, dict.fromkeys(names, 3), "random")
    disturb(model)
    for number, name in enumerate(names):  # across old and new units
        width = group_named(model, name).width
        order = torch.randperm(width, generator=torch.Generator().manual_seed(number))
        prune(model, {name: order[: width - 2 - number % 3]})
    grow_groups(model, {name: 1 + number % 2 * 4 for number, name in enumerate(names)}, "random", seed=2)
    disturb(model, seed=4)
    assert describe_widths(model)
    again = rebuilt(model)
    assert widths_of(again.groups()) == widths_of(model.groups())
    assert same_tensors(again.state_dict(), model.state_dict())
    features = features_of(family, dtype=torch.float32)
    assert torch.equal(again.logit(features), model.eval().logit(features))
    other = lived_in(family, seed=8)
    set_widths(other, widths_of(model.groups()))
    other.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(other.logit(features), model.logit(features))


@pytest.mark.parametrize("order", [("heads", "head-dims"), ("head-dims", "heads")])
@pytest.mark.parametrize("init", sorted(INITS))
@pytest.mark.parametrize("family", LAYERS)
def test_heads_and_their_dimensions_grow_together(family, init, order):
    model, features = lived_in(family).double(), features_of(family)
    before = model.logit(features).detach()
    attention = f"{LAYERS[family]}.1.attention"
    adds = {f"{attention}.{part}": 1 if part == "heads" else 3 for part in order}
    grow_groups(model, adds, init, features=features)
    changed = difference(model, features, before)
    assert changed <= 1e-10 if init in EXACT else changed > 1e-6
    module = model.get_submodule(attention)
    assert (module.num_heads, module.head_dim, module.q_proj.out_features) == (5, 11, 55)
    assert module.scaling == 8**-0.5  # what old heads were trained with
    model.float()
    disturb(model)
    again = rebuilt(model)
    assert describe_widths(model) == {f"{attention}.heads": 5, f"{attention}.head-dims": 11}
    assert same_tensors(again.state_dict(), model.state_dict())
    assert torch.equal(again.logit(features.float()), model.logit(features.float()))
