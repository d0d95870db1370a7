"""Units that say what another says: shares of variance by hand, and who goes."""

import pytest
import torch
from plasticity.test_families import features_of, grow_groups, lived_in, loss_of

from deepcheck.plasticity.coactivation import Coactivation, explained
from deepcheck.plasticity.growth import group_named
from deepcheck.plasticity.selection import Ask, pools_of, select
from deepcheck.plasticity.statistics import Collector


def squared(rows):
    matrix = torch.tensor(rows, dtype=torch.float64)
    return matrix + matrix.T + torch.eye(len(rows), dtype=torch.float64)


def test_one_after_the_other_the_best_explained_goes():
    # 0 and 2 are twins; 1 is half explained by 2, which is gone by then, and by a tenth by 0.
    matrix = squared([[0, 0.1, 1.0, 0.2], [0, 0, 0.5, 0.3], [0, 0, 0, 0.0], [0, 0, 0, 0]])
    alive = torch.ones(4, dtype=torch.bool)
    # 2 goes with 1; then 3 and 1 explain each other by 0.3, and the younger goes; then 1, by 0.1 of 0; 0 is left.
    assert explained(matrix, alive).tolist() == pytest.approx([0.0, 0.1, 1.0, 0.3])


def test_a_unit_that_never_varies_is_explained():
    matrix = squared([[0, 0.4, 0.9], [0, 0, 0.9], [0, 0, 0]])
    assert explained(matrix, torch.tensor([True, True, False])).tolist() == pytest.approx([0.0, 0.4, 1.0])
    assert explained(matrix, torch.zeros(3, dtype=torch.bool)).tolist() == [1.0, 1.0, 1.0]
    assert explained(squared([[0]]), torch.ones(1, dtype=torch.bool)).tolist() == [0.0]


def test_sums_over_batches_are_the_correlations_of_all():
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(300, 3, generator=generator, dtype=torch.float64)
    values = torch.cat([values, -2 * values[:, :1] + 7, 3 * torch.ones(300, 1)], 1)  # a twin, and a constant
    values[:, 2] += 0.5 * values[:, 1]
    found = Coactivation(5)
    for batch in values.split(70):
        found.add(batch)
    r = torch.corrcoef(values[:, :4].T)[1, 2]
    share = found.explained()
    assert share[3] == pytest.approx(1.0)
    assert share[4] == 1.0
    assert share[2] == pytest.approx(float(r**2), rel=1e-6)


@pytest.mark.parametrize(("family", "name"), [("bi-lstm", "layers.0.units"), ("resnet18", "blocks.2.conv1")])
def test_copies_go_first(family, name):
    model = lived_in(family).double()
    old = group_named(model, name).width
    grow_groups(model, {name: 2}, "net2net")
    groups = [group_named(model, name)]
    with Collector(model, groups, pairs=True) as collector:
        for seed in (1, 2):
            model.zero_grad()
            loss_of(model, features_of(family, seed=seed)).backward()
            collector.update()
    statistics = collector.result({name: old})
    assert statistics[0].explained[old:].tolist() == pytest.approx([1.0, 1.0])
    assert statistics[0].explained[:old].max() < 0.999
    pools = pools_of(groups, Ask([groups[0].layer], neurons=2), criterion="coactivation")
    [selection] = select(statistics, pools, "coactivation")
    assert selection.removed.tolist() == [old, old + 1]


def test_pairs_are_looked_at_only_if_asked_for():
    model = lived_in("gru")
    with Collector(model, [group_named(model, "layers.0.units")]) as collector:
        loss_of(model, features_of("gru", dtype=torch.float32)).backward()
        collector.update()
    assert collector.result()[0].explained.isnan().all()
