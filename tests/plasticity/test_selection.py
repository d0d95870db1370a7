"""Who competes with whom, and who goes: by hand, on groups of a few units."""

from dataclasses import replace

import pytest
import torch

from deepcheck.errors import ConfigError, ModelError
from deepcheck.plasticity.criteria import CRITERIA
from deepcheck.plasticity.selection import SCOPES, Ask, Pool, pools_of, select
from deepcheck.plasticity.statistics import GroupStatistics
from deepcheck.plasticity.units import Outlet, UnitGroup


def group(name, layer, width, part="channels"):
    return UnitGroup(name, layer, part, width, spans=(), outlet=Outlet(name, axis=1))


CONV = [group("a", 1, 4), group("b", 2, 6), group("c", 3, 8)]
# Two layers of an encoder: 4 heads of 8 dimensions, 24 neurons.
ENCODER = [
    group(f"{layer}.{part}", layer, width, part)
    for layer in (1, 2)
    for part, width in (("heads", 4), ("head-dims", 8), ("ffn", 24))
]


def in_short(pools):
    return [("+".join(group.name for group in pool.groups), pool.units) for pool in pools]


def pools(groups=CONV, layers=(1, 2, 3), part=None, neurons=None, fraction=None, **how):
    return in_short(pools_of(groups, Ask(list(layers), part, neurons, fraction), **how))


def statistics(of, first=None, **values):
    """Statistics of a group that was `first` units wide before it grew; what is not given is not known."""
    unknown = dict.fromkeys(("taylor", "entropy", "magnitude", "explained"), [float("nan")] * of.width)
    tensors = {name: torch.tensor(row, dtype=torch.float64) for name, row in (unknown | values).items()}
    added = torch.arange(of.width, dtype=torch.float64) - (of.width if first is None else first) + 1
    return GroupStatistics(**tensors, added=added, group=of)


def removed(known, pools, criterion, seed=0):
    return {one.group.name: one.removed.tolist() for one in select(known, pools, criterion, seed)}


# Pools: who competes.


def test_in_the_scope_layer_each_loses_what_was_asked_for():
    assert pools(neurons=2) == [("a", 2), ("b", 2), ("c", 2)]
    assert pools(layers=[3, 1], fraction=0.5) == [("a", 2), ("c", 4)]
    assert pools(fraction=0.1) == [("b", 1), ("c", 1)]  # 0.4 of a unit is none
    assert pools(ENCODER, [1], part="heads", neurons=3) == [("1.heads", 3)]
    assert pools(ENCODER, [2], part="ffn", neurons=3) == [("2.ffn", 3)]
    assert pools(ENCODER, [2], part="attention", neurons=16) == [("2.heads", 2)]
    assert pools(ENCODER, [2], part="attention", neurons=12) == [("2.head-dims", 3)]


def test_in_the_scope_grown_only_what_grew_loses_and_as_much_as_it_gained():
    grown = {"grown_from": {"b": 4, "c": 7}, "scope": "grown"}
    assert pools(**grown) == [("b", 2), ("c", 1)]
    assert pools(layers=[2], **grown) == [("b", 2)]
    assert pools(neurons=3, **grown) == [("b", 3), ("c", 3)]
    assert pools(fraction=0.5, **grown) == [("b", 3), ("c", 4)]


def test_in_the_scope_grown_parts_restrict():
    grown = {"grown_from": {"1.heads": 3, "1.ffn": 20, "2.ffn": 16, "2.head-dims": 8}, "scope": "grown"}
    assert pools(ENCODER, **grown) == [("1.heads", 1), ("1.ffn", 4), ("2.ffn", 8)]
    assert pools(ENCODER, part="ffn", **grown) == [("1.ffn", 4), ("2.ffn", 8)]
    assert pools(ENCODER, part="attention", **grown) == [("1.heads", 1)]
    assert pools(ENCODER, part="ffn", neurons=5, **grown) == [("1.ffn", 5), ("2.ffn", 5)]
    assert pools(ENCODER, part="attention", neurons=16, **grown) == [("1.heads", 2)]


def test_in_the_scope_all_units_of_everything_compete():
    assert pools(scope="all", neurons=5) == [("a+b+c", 5)]
    assert pools(scope="all", fraction=0.5, layers=[1, 3]) == [("a+c", 6)]
    assert pools(ENCODER, [1, 2], scope="all", neurons=7) == [("+".join(group.name for group in ENCODER), 7)]
    assert pools(ENCODER, [1, 2], scope="all", part="attention", fraction=0.25) == [("1.heads+2.heads", 2)]
    assert pools(ENCODER, [1, 2], scope="all", part="head-dims", neurons=1) == [("1.head-dims+2.head-dims", 1)]


@pytest.mark.parametrize("scope", list(SCOPES))
def test_the_newest_are_by_default_exactly_what_was_added(scope):
    grown = {"grown_from": {"b": 4, "c": 7}, "scope": scope, "criterion": "newest"}
    assert pools(**grown) == [("b", 2), ("c", 1)]
    assert pools(layers=[1, 3], **grown) == [("c", 1)]


@pytest.mark.parametrize(
    ("how", "message", "hint"),
    [
        ({"scope": "grwon", "neurons": 1}, 'no scope "grwon"', 'mean "grown"'),
        ({"criterion": "oldest", "neurons": 1}, 'no criterion "oldest"', "newest"),
        ({"part": "heads", "neurons": 1, "scope": "all"}, 'no part "heads"', "channels"),
        ({}, "How much to remove is not clear", "--neurons or --fraction"),
        ({"scope": "all"}, "How much to remove is not clear", "--neurons or --fraction"),
        ({"neurons": 1, "fraction": 0.5, "scope": "grown"}, "How much to remove is not clear", "either"),
        ({"scope": "grown"}, "has not been grown", "deepcheck grow"),
        ({"scope": "grown", "neurons": 1}, "has not been grown", "deepcheck grow"),
        ({"criterion": "newest"}, "has not been grown", "--neurons"),
        ({"scope": "grown", "grown_from": {"b": 4}, "layers": [1, 3]}, "none of these layers", "layer 2 (channels)"),
        ({"fraction": 0.0}, "No unit would be removed", "more"),
        ({"fraction": 0.01, "scope": "all"}, "No unit would be removed", "more"),
        ({"neurons": 4}, "4 units cannot be removed from a, which has 4", "At most 3"),
        ({"neurons": 16, "scope": "all"}, "16 units cannot be removed from 3 groups, which have 18", "At most 15"),
        ({"fraction": 1.0, "scope": "grown", "grown_from": {"b": 4}}, "6 units cannot be removed from b", "At most 5"),
    ],
)
def test_what_cannot_be_asked_for(how, message, hint):
    with pytest.raises(ConfigError) as caught:
        pools(**how)
    assert message in caught.value.message
    assert hint in caught.value.hint


# Selections: who goes.


def test_each_layer_is_ranked_within_itself():
    known = [
        statistics(CONV[0], taylor=[3.0, 1, 4, 2], entropy=[0.0] * 4),
        statistics(CONV[1], taylor=[10.0, 60, 30, 20, 50, 40], entropy=[0.0] * 6),
    ]
    each = [Pool((CONV[0],), 2), Pool((CONV[1],), 2)]
    assert removed(known, each, "gradient") == {"a": [1, 3], "b": [0, 3]}
    [one, _] = select(known, each, "gradient")
    assert one.scores.tolist() == [3, 1, 4, 2]
    assert one.kept.tolist() == [0, 2]
    assert one.group == CONV[0]
    assert one.new == 0


def test_all_are_ranked_together():
    known = [
        statistics(CONV[0], taylor=[3.0, 1, 4, 2], entropy=[1.0, 1, 1, 1]),
        statistics(CONV[1], taylor=[10.0, 0, 30, 20, 50, 2.5], entropy=[2.0, 0.5, 0, 2, 2, 3]),
    ]
    assert removed(known, [Pool((CONV[0], CONV[1]), 4)], "gradient") == {"a": [1, 3], "b": [1, 5]}
    # Ranks by entropy, of 9: b 2: 0, b 1: 1, a: 2, b 0, 3, 4: 6, b 5: 9. By gradient: a 4, 1, 5, 2; b 6, 0, 8, 7, 9, 3.
    [a, b] = select(known, [Pool((CONV[0], CONV[1]), 4)], "gradient-entropy")
    assert (81 * a.scores).round().tolist() == [8, 2, 10, 4]
    assert (81 * b.scores).round().tolist() == [36, 0, 0, 42, 54, 27]
    assert (a.removed.tolist(), b.removed.tolist()) == ([1, 3], [1, 2])


def test_a_group_of_large_weights_has_no_advantage():
    known = [
        statistics(CONV[0], magnitude=[1.0, 2, 3, 2]),
        statistics(CONV[1], magnitude=[100.0, 600, 500, 400, 400, 400]),
    ]
    # Means of 2 and 400: a 0.5, 1, 1.5, 1; b 0.25, 1.5, 1.25, 1, 1, 1.
    assert removed(known, [Pool((CONV[0], CONV[1]), 2)], "magnitude") == {"a": [0], "b": [0]}


def test_no_group_loses_its_last_unit():
    known = [
        statistics(CONV[0], taylor=[0.1, 0.2, 0.3, 0.15]),
        statistics(CONV[1], taylor=[1.0, 2, 3, 4, 5, 6]),
        statistics(CONV[2], taylor=[0.01 * n for n in range(8)]),
    ]
    everyone = [Pool(tuple(CONV), 13)]
    # All of a and c are below all of b; the best of each stays, and b gives the next lowest.
    assert removed(known, everyone, "gradient") == {"a": [0, 1, 3], "b": [0, 1, 2], "c": list(range(7))}
    most = removed(known, [Pool(tuple(CONV), 15)], "gradient")
    assert {name: len(units) for name, units in most.items()} == {"a": 3, "b": 5, "c": 7}
    assert 2 not in most["a"]
    assert 5 not in most["b"]


def test_of_equals_the_older_stays():
    same = statistics(CONV[1], first=4, taylor=[1.0] * 6)
    assert removed([same], [Pool((CONV[1],), 3)], "gradient") == {"b": [3, 4, 5]}
    partly = statistics(CONV[1], first=4, taylor=[0.0, 1, 0, 1, 0, 1])
    assert removed([partly], [Pool((CONV[1],), 2)], "gradient") == {"b": [2, 4]}
    # Between groups, age is what counts first: both new units of b go before any old one of a or c.
    known = [statistics(one, taylor=[1.0] * one.width) for one in CONV]
    known[1] = same
    assert removed(known, [Pool(tuple(CONV), 2)], "gradient") == {"a": [], "b": [4, 5], "c": []}
    # Then the one nearer to the input stays.
    assert removed(known, [Pool(tuple(CONV), 3)], "gradient") == {"a": [], "b": [4, 5], "c": [7]}


def test_the_newest_are_exactly_those_that_were_added():
    known = [statistics(CONV[0]), statistics(CONV[1], first=4), statistics(CONV[2], first=5)]
    added = [Pool((CONV[1],), 2), Pool((CONV[2],), 3)]
    selections = select(known, added, "newest")
    assert [one.removed.tolist() for one in selections] == [[4, 5], [5, 6, 7]]
    assert [one.new for one in selections] == [2, 3]
    # Fewer: the last one first. More: the youngest of the old ones as well.
    assert removed(known, [Pool((CONV[2],), 1)], "newest") == {"c": [7]}
    [more] = select(known, [Pool((CONV[2],), 5)], "newest")
    assert more.removed.tolist() == [3, 4, 5, 6, 7]
    assert more.new == 3
    assert removed(known, [Pool(tuple(CONV), 3)], "newest") == {"a": [], "b": [5], "c": [6, 7]}
    assert removed(known, [Pool(tuple(CONV), 5)], "newest") == {"a": [], "b": [4, 5], "c": [5, 6, 7]}


def test_chance_depends_on_the_seed_alone():
    known = [statistics(one) for one in CONV]
    together = [Pool(tuple(CONV), 6)]
    assert removed(known, together, "random", seed=1) == removed(known, together, "random", seed=1)
    assert removed(known, together, "random", seed=1) != removed(known, together, "random", seed=2)
    each = [Pool((one,), 2) for one in CONV]
    assert removed(known, each, "random", seed=1) == removed(known[::-1], each, "random", seed=1)


RANKED = ("taylor", "entropy", "magnitude", "explained")


@pytest.mark.parametrize("criterion", list(CRITERIA))
def test_as_many_go_as_were_asked_for(criterion):
    generator = torch.Generator().manual_seed(1)
    known = [
        replace(
            statistics(one, first=one.width - 2),
            **{name: torch.rand(one.width, generator=generator) for name in RANKED},
        )
        for one in CONV
    ]
    for count in range(1, 16):
        chosen = removed(known, [Pool(tuple(CONV), count)], criterion)
        assert sum(map(len, chosen.values())) == count
        assert all(len(chosen[one.name]) < one.width for one in CONV)


def test_scores_that_are_no_numbers_are_an_error():
    with pytest.raises(ModelError, match="Some scores by gradient are no finite numbers"):
        select([statistics(CONV[0])], [Pool((CONV[0],), 1)], "gradient")
