"""What holds for detectors of every family and any width, and controls that break one rule each."""

from dataclasses import replace

import pytest
import torch
from conftest import TINY_DISTILLED, TINY_ENCODER
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from test_families import (
    FAMILIES,
    LAYERS,
    MEL,
    STABLE,
    difference,
    disturb,
    features_of,
    grow_groups,
    loss_of,
    rebuilt,
)

from deepcheck.card import DetectorSpec
from deepcheck.checkpoint import same_tensors
from deepcheck.detectors.base import build, parameter_count
from deepcheck.plasticity.freeze import Freeze, new_entries
from deepcheck.plasticity.growth import group_named, prune
from deepcheck.plasticity.inits import EXACT, INITS
from deepcheck.plasticity.units import resize, set_widths, tensor_at, widths_of

EXACTLY = 1e-10  # in double precision, what rounding leaves
CLEARLY = 1e-5  # what no rounding would do


def examples(number):
    """A few examples, the same ones each time, and not shrunk, which would outlast the time that a test has."""
    return settings(
        deadline=None,
        derandomize=True,
        database=None,
        max_examples=number,
        phases=[Phase.generate],
        # The fixture for all tests is a store of models, and no example writes into it.
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def resnets():
    return st.integers(1, 6).map(lambda width: DetectorSpec("resnet18", {"width": width, **MEL}))


def recurrent(name, bidirectional):
    widths = st.lists(st.integers(1, 9), min_size=1, max_size=3)
    return widths.map(lambda units: DetectorSpec(name, {"units": units, "bidirectional": bidirectional, **MEL}))


@st.composite
def encoders(draw, config, pool):
    heads, dims = draw(st.integers(1, 4)), draw(st.integers(3, 8))
    shape = {
        "num_attention_heads": heads,
        "hidden_size": heads * dims,
        "intermediate_size": draw(st.integers(1, 20)),
        "num_conv_pos_embedding_groups": heads,
    }
    return DetectorSpec("wav2vec2", {"config": {**config, **shape}, "pool": pool, "window_s": 1.0})


@st.composite
def distilled(draw):
    heads, dims = draw(st.integers(1, 4)), draw(st.integers(3, 8))
    shape = {"heads": heads, "width": heads * dims, "neurons": draw(st.integers(1, 20)), "layers": 2}
    pool = draw(st.sampled_from(["last", "layers"]))
    return DetectorSpec("distilled", {**TINY_DISTILLED, **shape, "pool": pool, "window_s": 1.0})


@st.composite
def committees(draw):
    members = [draw(recurrent("gru", False)), draw(distilled())]
    return DetectorSpec("committee", {"members": [{"name": one.name, "arguments": one.arguments} for one in members]})


@st.composite
def progressives(draw):
    base = draw(recurrent("gru", True))
    return DetectorSpec("progressive", {"base": {"name": base.name, "arguments": base.arguments}})


def spiking():
    widths = st.lists(st.integers(1, 9), min_size=1, max_size=3)
    return widths.map(lambda units: DetectorSpec("snn", {**FAMILIES["snn"].arguments, "units": units}))


WIDE = {
    "resnet18": resnets(),
    "gru": recurrent("gru", False),
    "bi-gru": recurrent("gru", True),
    "lstm": recurrent("lstm", False),
    "bi-lstm": recurrent("lstm", True),
    "wav2vec2": encoders(TINY_ENCODER, "layers"),
    "wav2vec2-stable": encoders(STABLE, "mean"),
    "distilled": distilled(),
    "committee": committees(),
    "progressive": progressives(),
    "snn": spiking(),
}
# The table's own detector is among the examples.
SPECS = {family: st.just(spec) | WIDE[family] for family, spec in FAMILIES.items()}
MIXTURE = "mixture"
PARTS_OF = {
    **dict.fromkeys(FAMILIES, ("units",)),
    "resnet18": ("channels",),
    **dict.fromkeys(LAYERS, ("heads", "head-dims", "ffn")),
    "committee": ("units", "heads", "head-dims", "ffn"),
}
PARTS = [(family, part) for family, parts in PARTS_OF.items() for part in (*parts, MIXTURE)]
# Net2net splits the reading weights of old units among them and their copies.
LEAVE_OLD = set(INITS) - {"net2net"}
SEEDS = st.integers(0, 999)
ADDED = st.integers(1, 9)


def lived_in(spec, seed=0):
    """As in the table of families, for any spec."""
    torch.manual_seed(seed)
    model = build(spec)
    disturb(model, seed + 1)
    with torch.no_grad():
        model.train()
        for number in range(4):
            model.logit(features_of(spec.name, seed=10 + number, dtype=torch.float32))
    return model.eval()


def draw_model(data, family):
    spec = data.draw(SPECS[family], label="spec")
    return lived_in(spec, data.draw(SEEDS, label="seed"))


def draw_names(data, model, part):
    """Some groups of the part in any order; of several parts, if they are to be mixed."""
    # Whole modules are held to the same by test_stacks.py.
    names = [group.name for group in model.groups() if group.stack is None and part in (MIXTURE, group.part)]
    return data.draw(
        st.lists(st.sampled_from(names), unique=True, min_size=min(2, len(names)) if part == MIXTURE else 1)
    )


def draw_adds(data, model, part):
    return {name: data.draw(ADDED, label=name) for name in draw_names(data, model, part)}


def draw_units(data, width, least=1):
    return torch.tensor(
        data.draw(st.lists(st.integers(0, width - 1), unique=True, min_size=least), label="units"), dtype=torch.long
    )


def copied(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_every_family_and_part_is_here():
    assert WIDE.keys() == FAMILIES.keys()
    for family, spec in FAMILIES.items():
        assert {group.part for group in build(spec).groups() if group.stack is None} == set(PARTS_OF[family])


@pytest.mark.parametrize(("family", "part"), PARTS)
@examples(10)
@given(data=st.data(), init=st.sampled_from(sorted(EXACT)))
def test_exact_growth_changes_no_output(family, part, data, init):
    model = draw_model(data, family).double()
    features = features_of(model.spec.name, batch=4)
    before = model.logit(features).detach()
    assume(before.std() > CLEARLY)  # a ResNet18 one channel wide may be dead
    old = widths_of(model.groups())
    adds = draw_adds(data, model, part)
    grow_groups(model, adds, init, seed=data.draw(SEEDS), features=features)
    assert widths_of(model.groups()) == {name: width + adds.get(name, 0) for name, width in old.items()}
    assert difference(model, features, before) <= EXACTLY


@pytest.mark.parametrize(("family", "part"), PARTS)
@examples(5)
@given(data=st.data(), init=st.sampled_from(sorted(LEAVE_OLD)))
def test_growing_and_keeping_the_old_units_is_the_old_network(family, part, data, init):
    model = draw_model(data, family)
    old = copied(model)
    features = features_of(model.spec.name, batch=4, dtype=torch.float32)
    before = grow_groups(model, draw_adds(data, model, part), init, features=features)
    # Group by group in another order than they grew.
    for name in data.draw(st.permutations(sorted(before))):
        prune(model, {name: torch.arange(before[name])})
    assert same_tensors(model.state_dict(), old)


@pytest.mark.parametrize("family", FAMILIES)
@examples(8)
@given(data=st.data())
def test_spec_and_widths_rebuild_any_history(family, data):
    model = draw_model(data, family)
    for _ in range(data.draw(st.integers(1, 6), label="operations")):
        group = data.draw(st.sampled_from(model.groups()))
        keep = draw_units(data, group.width) if group.width and data.draw(st.booleans()) else None
        resize(model, group, keep, add=data.draw(st.integers(0, 2 if group.stack else 9), label="added"))
    disturb(model, seed=7)
    features = features_of(model.spec.name, batch=4, dtype=torch.float32)
    again = rebuilt(model)
    assert parameter_count(again) == parameter_count(model)
    assert same_tensors(again.state_dict(), model.state_dict())
    assert torch.equal(again.logit(features), model.logit(features))
    # All widths said, in any order, over a detector that holds something else.
    other = lived_in(model.spec, seed=5)
    widths = widths_of(model.groups())
    set_widths(other, {name: widths[name] for name in data.draw(st.permutations(sorted(widths)))})
    other.load_state_dict(model.state_dict(), strict=True)
    assert widths_of(other.groups()) == widths
    assert parameter_count(other) == parameter_count(model)
    assert torch.equal(other.logit(features), model.logit(features))


@torch.no_grad()
def hush(model, group, units):
    """Nobody reads the units any more."""
    for span in group.spans:
        if span.reads:
            span.split(tensor_at(model, span.tensor)).index_fill_(span.dim + 1, units, 0.0)


@pytest.mark.parametrize(("family", "part"), PARTS)
@examples(6)
@given(data=st.data())
def test_pruning_what_nobody_reads_changes_no_output(family, part, data):
    model = draw_model(data, family).double()
    features = features_of(model.spec.name, batch=4)
    keep = {}
    for name in draw_names(data, model, part):
        group = group_named(model, name)
        keep[name] = draw_units(data, group.width)
        silent = torch.ones(group.width, dtype=torch.bool).index_fill(0, keep[name], False)
        hush(model, group, silent.nonzero().squeeze(1))
    before = model.logit(features).detach()
    prune(model, keep)
    assert {name: group_named(model, name).width for name in keep} == {name: len(units) for name, units in keep.items()}
    assert difference(model, features, before) <= EXACTLY


@pytest.mark.parametrize(("family", "part"), PARTS)
@examples(5)
@given(data=st.data())
def test_adding_units_and_removing_as_many_costs_nothing(family, part, data):
    model = draw_model(data, family)
    base, shapes = parameter_count(model), {name: tensor.shape for name, tensor in model.state_dict().items()}
    adds = draw_adds(data, model, part)
    before = grow_groups(model, adds, "random")
    assert parameter_count(model) > base
    disturb(model)
    for name, add in adds.items():
        order = data.draw(st.permutations(range(before[name] + add)), label="kept first")
        prune(model, {name: torch.tensor(order[: before[name]])})
    assert parameter_count(model) == base
    assert {name: tensor.shape for name, tensor in model.state_dict().items()} == shapes
    assert build(model.spec).load_state_dict(model.state_dict(), strict=True)


OPTIMIZERS = {
    "adamw": lambda parameters, lr: torch.optim.AdamW(parameters, lr=lr, weight_decay=0.1),
    "adam-l2": lambda parameters, lr: torch.optim.Adam(parameters, lr=lr, weight_decay=0.1),
    "sgd": lambda parameters, lr: torch.optim.SGD(
        parameters, lr=10 * lr, momentum=0.9, nesterov=True, weight_decay=0.01
    ),
    "rmsprop": lambda parameters, lr: torch.optim.RMSprop(parameters, lr=lr, weight_decay=0.1),
}


def take_steps(model, optimizer, number):
    features = features_of(model.spec.name, batch=4, dtype=torch.float32)
    for _ in range(number):
        optimizer.zero_grad()
        loss_of(model, features).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def grown_and_frozen(data, model, part, init="zero"):
    """(widths before, where entries are new, the freeze)."""
    features = features_of(model.spec.name, batch=4, dtype=torch.float32)
    before = grow_groups(model, draw_adds(data, model, part), init, features=features)
    masks = new_entries(model, model.groups(), before)
    freeze = Freeze(model, masks)
    freeze.train_mode()
    return before, masks, freeze


def moved(model, start, masks):
    """Names of the tensors of which new, and of which old entries moved."""
    fresh, old = set(), set()
    for name, tensor in model.state_dict().items():
        changed = tensor != start[name]
        new = masks.get(name, torch.zeros_like(changed))
        fresh |= {name} if (changed & new).any() else set()
        old |= {name} if (changed & ~new).any() else set()
    return fresh, old


@pytest.mark.parametrize(("family", "part"), PARTS)
@examples(6)
@given(
    data=st.data(),
    init=st.sampled_from(sorted(LEAVE_OLD)),
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    lr=st.sampled_from([1e-3, 1e-2]),
)
def test_frozen_training_can_be_undone_exactly(family, part, data, init, optimizer, lr):
    model = draw_model(data, family)
    base = copied(model)
    before, masks, freeze = grown_and_frozen(data, model, part, init)
    start = copied(model)
    steps = OPTIMIZERS[optimizer](freeze.parameters(), lr)
    freeze.attach(steps)
    take_steps(model, steps, data.draw(st.integers(2, 5), label="steps"))
    fresh, old = moved(model, start, masks)
    assert not old
    for name in before:
        assert fresh & {span.tensor for span in group_named(model, name).spans}, name
    freeze.release()
    prune(model, {name: torch.arange(width) for name, width in before.items()})
    assert same_tensors(model.state_dict(), base)


# Controls: each breaks one rule, and must be seen to break it.


def appended(span):
    """The axis as if new units lay behind all old entries instead of inside each block."""
    return replace(span, blocks=1, size=span.blocks * span.size)


def resize_with(model, group, change, where, add):
    """Grows with the spans for which `where` holds changed."""
    wrong = tuple(change(span) if where(span) else span for span in group.spans)
    assert wrong != group.spans
    resize(model, replace(group, spans=wrong), add=add, generator=torch.Generator().manual_seed(0))


LAYOUTS = {
    # columns of whoever reads both directions: of a next layer, of the head
    "directions": (("bi-gru", "bi-lstm"), "units", lambda span: span.reads and span.blocks == 2),
    "gates": (("gru", "bi-gru", "lstm", "bi-lstm"), "units", lambda span: span.dim == 0 and span.blocks > 2),
    "heads": (
        tuple(LAYERS),
        "head-dims",
        lambda span: span.tensor.endswith("out_proj.weight"),
    ),
}


@pytest.mark.parametrize(
    ("layout", "family"), [(layout, family) for layout, (families, *_) in LAYOUTS.items() for family in families]
)
@examples(8)
@given(add=ADDED, layer=st.integers(0, 1), seed=SEEDS)
def test_new_units_at_the_end_of_the_axis_are_wrong(layout, family, add, layer, seed):
    _, part, where = LAYOUTS[layout]
    spec = FAMILIES[family]
    if "units" in spec.arguments:
        spec = replace(spec, arguments={**spec.arguments, "units": [5, 4]})
    model, features = lived_in(spec, seed).double(), features_of(spec.name)
    before = model.logit(features).detach()
    group = [group for group in model.groups() if group.part == part][layer]
    resize_with(model, group, appended, where, add)
    assert difference(model, features, before) > CLEARLY


@pytest.mark.parametrize(("family", "part"), [case for case in PARTS if case[1] != MIXTURE])
@examples(5)
@given(data=st.data(), add=st.integers(4, 9))  # one channel alone may be below the kink of its ReLU on all of the data
def test_reading_weights_that_are_not_zero_are_wrong(family, part, data, add):
    model = lived_in(FAMILIES[family], data.draw(SEEDS)).double()
    features = features_of(model.spec.name)
    before = model.logit(features).detach()
    group = group_named(model, data.draw(st.sampled_from([g.name for g in model.groups() if g.part == part])))
    resize_with(model, group, lambda span: replace(span, fill="random"), lambda span: span.reads, add)
    assert difference(model, features, before) > CLEARLY


@pytest.mark.parametrize("family", LAYERS)
@examples(8)
@given(add=ADDED, layer=st.integers(0, 1), seed=SEEDS)
def test_a_scale_that_follows_the_size_of_heads_is_wrong(family, add, layer, seed):
    model = lived_in(FAMILIES[family], seed).double()
    features = features_of(family)
    before = model.logit(features).detach()
    name = f"{LAYERS[family]}.{layer}.attention"
    grow_groups(model, {f"{name}.head-dims": add})
    assert difference(model, features, before) <= EXACTLY
    attention = model.get_submodule(name)
    attention.scaling = attention.head_dim**-0.5
    assert difference(model, features, before) > CLEARLY


@pytest.mark.parametrize(("family", "part"), [case for case in PARTS if case[1] != MIXTURE])
@examples(3)
@given(data=st.data())
def test_masked_gradients_alone_drift_under_weight_decay(family, part, data):
    model = draw_model(data, family)
    _, masks, freeze = grown_and_frozen(data, model, part)
    start = copied(model)
    take_steps(model, OPTIMIZERS["adamw"](freeze.parameters(), 3e-3), 10)  # not attached
    drifts = [
        (tensor - start[name])[~masks[name]].abs() for name, tensor in model.state_dict().items() if name in masks
    ]
    assert torch.cat(drifts).max() > CLEARLY
    freeze.restore()
    assert not moved(model, start, masks)[1]
