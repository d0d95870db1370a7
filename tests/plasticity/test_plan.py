"""From the words of the command line to changes of groups."""

import pytest

from deepcheck.errors import ConfigError
from deepcheck.plasticity.plan import choose_layers, parts_of, plan, plan_share
from deepcheck.plasticity.units import Outlet, UnitGroup


def groups_of(layers, **parts):
    """Groups without tensors: planning looks at names, layers and widths alone."""
    return [
        UnitGroup(f"{layer}.{part}", layer, part.replace("_", "-"), width, (), Outlet("x", 0))
        for layer in range(1, layers + 1)
        for part, width in parts.items()
    ]


CONV = groups_of(8, channels=16)
ENCODER = groups_of(2, heads=4, head_dims=6, ffn=24)


def described(changes):
    return [(change.group.name, change.units) for change in changes]


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("3", [3]),
        ("1,3,5", [1, 3, 5]),
        ("2-4", [2, 3, 4]),
        ("5,1-2", [5, 1, 2]),
        (" 1 , 2 - 3 ", [1, 2, 3]),
        ("2,2,1-3", [2, 1, 3]),
        ("all", list(range(1, 9))),
    ],
)
def test_layers(text, layers):
    assert choose_layers(text, CONV) == layers


@pytest.mark.parametrize("text", ["", "x", "1-", "-1", "1,,2", "4-2", "1.5", "some"])
def test_what_names_no_layers(text):
    with pytest.raises(ConfigError, match="names no layers") as caught:
        choose_layers(text, CONV)
    assert "2-4" in caught.value.hint


@pytest.mark.parametrize("text", ["0", "9", "7-9", "1,12"])
def test_layers_that_are_not_there(text):
    with pytest.raises(ConfigError, match="no layer") as caught:
        choose_layers(text, CONV)
    assert "1 to 8" in caught.value.hint


def test_a_random_layer_depends_on_the_seed():
    chosen = [choose_layers("random", CONV, seed) for seed in range(30)]
    assert all(len(layers) == 1 and 1 <= layers[0] <= 8 for layers in chosen)
    assert len({layers[0] for layers in chosen}) > 4
    assert chosen == [choose_layers("random", CONV, seed) for seed in range(30)]


def test_parts():
    assert parts_of(CONV) == ["channels"]
    assert parts_of(ENCODER) == ["attention", "heads", "head-dims", "ffn"]


def test_plain_parts():
    assert described(plan(CONV, [2, 5], 7)) == [("2.channels", 7), ("5.channels", 7)]
    assert described(plan(ENCODER, [1], 7, "ffn")) == [("1.ffn", 7)]
    assert described(plan(ENCODER, [2], 3, "heads")) == [("2.heads", 3)]
    assert described(plan(ENCODER, [2], 3, "head-dims")) == [("2.head_dims", 3)]


@pytest.mark.parametrize(
    ("neurons", "change"),
    [(6, ("heads", 1)), (12, ("heads", 2)), (4, ("head_dims", 1)), (8, ("head_dims", 2)), (24, ("heads", 4))],
)
def test_neurons_of_attention_are_rows(neurons, change):
    # Heads of 6, four of them: a head costs 6 rows, a dimension in each costs 4; heads win where both fit.
    assert described(plan(ENCODER, [1, 2], neurons, "attention")) == [
        (f"{layer}.{change[0]}", change[1]) for layer in (1, 2)
    ]
    assert described(plan(ENCODER, [1], neurons)) == [(f"1.{change[0]}", change[1])]  # the first part


@pytest.mark.parametrize(("heads", "size"), [(4, 6), (4, 16), (16, 64), (12, 64), (4, 4), (3, 8), (1, 5), (5, 7)])
def test_numbers_that_fit_neither_name_the_nearest(heads, size):
    groups = groups_of(1, heads=heads, head_dims=size)
    for neurons in range(1, 150):
        fits = neurons % heads == 0 or neurons % size == 0
        if fits:
            [change] = plan(groups, [1], neurons, "attention")
            assert change.units * {"heads": size, "head-dims": heads}[change.group.part] == neurons
            continue
        with pytest.raises(ConfigError, match=f"{neurons} neurons") as caught:
            plan(groups, [1], neurons, "attention")
        named = [int(word) for word in caught.value.hint.strip(".").split() if word.isdigit()]
        valid = [n for n in range(1, 400) if n % heads == 0 or n % size == 0]
        nearest = sorted(abs(n - neurons) for n in valid)[:2]
        assert set(named) <= set(valid)
        assert sorted(abs(n - neurons) for n in named) == nearest


def test_an_unknown_part_names_those_that_exist():
    for ask in (lambda: plan(ENCODER, [1], 4, "head-dim"), lambda: plan_share(ENCODER, [1], 0.5, "head-dim")):
        with pytest.raises(ConfigError, match='no part "head-dim"') as caught:
            ask()
        assert "head-dims" in caught.value.hint
    with pytest.raises(ConfigError, match='no part "ffn"') as caught:
        plan(CONV, [1], 4, "ffn")
    assert "channels" in caught.value.hint


@pytest.mark.parametrize("neurons", [0, -3])
def test_no_neurons(neurons):
    with pytest.raises(ConfigError, match=str(neurons)):
        plan(CONV, [1], neurons)


def test_shares():
    assert described(plan_share(CONV, [1, 3], 0.25)) == [("1.channels", 4), ("3.channels", 4)]
    assert described(plan_share(ENCODER, [2], 0.5, "attention")) == [("2.heads", 2)]
    assert described(plan_share(ENCODER, [2], 0.5)) == [("2.heads", 2)]
    assert described(plan_share(ENCODER, [1], 0.1, "ffn")) == [("1.ffn", 2)]


MIXED = [*groups_of(1, units=10), *(group for group in groups_of(2, heads=4, head_dims=6, ffn=24) if group.layer == 2)]


def test_layers_of_different_kinds():
    """Those of a committee: each changes its own first part, unless one is named that it has."""
    assert described(plan(MIXED, [1, 2], 12)) == [("1.units", 12), ("2.heads", 2)]
    assert described(plan(MIXED, [2], 3, "ffn")) == [("2.ffn", 3)]
    assert described(plan_share(MIXED, [1, 2], 0.5)) == [("1.units", 5), ("2.heads", 2)]
    assert described(plan_share(MIXED, [1, 2], 0.5, "ffn")) == [("2.ffn", 12)]
    with pytest.raises(ConfigError, match="Layer 1 has no ffn") as caught:
        plan(MIXED, [1, 2], 3, "ffn")
    assert caught.value.hint == "It has units."
