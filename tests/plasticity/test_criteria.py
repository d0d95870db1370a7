"""What makes a unit worth keeping: statistics against numbers computed by hand."""

import math

import pytest
import torch
from test_families import FAMILIES, WIDTHS, features_of, lived_in, loss_of

from deepcheck.plasticity.criteria import CRITERIA, NEED_DATA
from deepcheck.plasticity.criteria.gradient_entropy import rank
from deepcheck.plasticity.growth import group_named
from deepcheck.plasticity.statistics import BINS, Collector, GroupStatistics, entropy, magnitude
from deepcheck.plasticity.units import tensor_at

CONV = "blocks.2.conv1"
CONSTANT = 3


def collected(model, names, batches, dtype=torch.float64):
    """Statistics from one pass over batches of features."""
    groups = [group_named(model, name) for name in names]
    with Collector(model, groups) as collector:
        for features in batches:
            model.zero_grad()
            loss_of(model, features).backward()
            collector.update()
    return collector, collector.result()


def statistics_with(taylor=(1.0,), entropies=(1.0,), magnitudes=(1.0,)):
    group = group_named(lived_in("gru"), "layers.0.units")
    tensors = [torch.tensor(values, dtype=torch.float64) for values in (taylor, entropies, magnitudes)]
    return GroupStatistics(group, *tensors, grown_from=4)


def score(criterion, statistics, seed=0):
    return CRITERIA.resolve(criterion)(statistics, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_unit_that_nobody_reads_ranks_lowest_by_gradient(family):
    model = lived_in(family).double()
    with torch.no_grad():
        for name in WIDTHS[family]:
            for span in group_named(model, name).spans:
                if span.reads:
                    span.split(tensor_at(model, span.tensor)).select(span.dim + 1, 1).zero_()
    _, results = collected(model, WIDTHS[family], [features_of(family, seed=seed) for seed in (1, 2, 3)])
    for result in results:
        scores = score("gradient", result)
        assert scores[1] == 0
        assert scores.argmin() == 1
        assert (scores > 0).sum() > 1


def test_a_constant_unit_has_no_entropy():
    model = lived_in("resnet18").double()
    with torch.no_grad():
        norm = model.blocks[2].bn1
        norm.weight[CONSTANT], norm.bias[CONSTANT] = 0, 0.7
    _, [result] = collected(model, [CONV], [features_of("resnet18", batch=16, seed=seed) for seed in (1, 2)])
    assert result.entropy[CONSTANT] == 0
    assert score("entropy", result).argmin() == CONSTANT
    assert (result.entropy > 0.5).any()
    assert score("gradient-entropy", result)[CONSTANT] <= score("gradient-entropy", result).median()


def test_taylor_is_what_the_silence_of_a_unit_would_cost():
    model = lived_in("resnet18").double()
    batches = [features_of("resnet18", seed=seed) for seed in (1, 2, 3)]
    _, [result] = collected(model, [CONV], batches)
    expected = torch.zeros(8, dtype=torch.float64)
    for features in batches:
        gate = torch.ones(8, dtype=torch.float64, requires_grad=True)
        hook = model.blocks[2].conv2.register_forward_pre_hook(
            lambda _module, inputs, gate=gate: (inputs[0] * gate[:, None, None],)
        )
        loss_of(model, features).backward()
        hook.remove()
        expected += gate.grad.square() / len(batches)
    torch.testing.assert_close(result.taylor, expected, rtol=1e-9, atol=1e-18)
    assert result.grown_from == 8


def test_activations_are_counted_in_bins_of_the_layer():
    model = lived_in("resnet18").double()
    batches = [features_of("resnet18", batch=size, seed=size) for size in (7, 4)]
    collector, [result] = collected(model, [CONV], batches)
    means = []
    for features in batches:
        seen = {}
        hook = model.blocks[2].register_forward_pre_hook(lambda _module, inputs, seen=seen: seen.update(x=inputs[0]))
        with torch.no_grad():
            model.logit(features)
            block = model.blocks[2]
            means.append(torch.relu(block.bn1(block.conv1(seen["x"]))).mean((2, 3)))
        hook.remove()
    low, high = float(means[0].min()), float(means[0].max())
    low, high = low - (high - low) / 4, high + (high - low) / 4
    counts = torch.zeros(8, BINS, dtype=torch.float64)
    for row in torch.cat(means):
        for unit, value in enumerate(row):
            place = math.floor((float(value) - low) / (high - low) * BINS)
            counts[unit, min(max(place, 0), BINS - 1)] += 1
    assert torch.equal(collector.counts[CONV], counts)
    assert counts.sum(1).tolist() == [11.0] * 8
    torch.testing.assert_close(result.entropy, entropy(counts))


@pytest.mark.parametrize("family", ["bi-lstm", "wav2vec2"])
def test_every_recording_counts_once_for_every_unit(family):
    model = lived_in(family).double()
    collector, _ = collected(model, WIDTHS[family], [features_of(family, batch=5), features_of(family, batch=4)])
    for name, width in WIDTHS[family].items():
        assert collector.counts[name].sum(1).tolist() == [9.0] * width


def test_hooks_are_gone_afterwards():
    model = lived_in("resnet18").double()
    collector, _ = collected(model, [CONV], [features_of("resnet18")])
    before = collector.counts[CONV].clone()
    model.logit(features_of("resnet18"))
    assert torch.equal(collector.counts[CONV], before)


def test_entropy_of_counts_by_hand():
    uniform = torch.full((1, BINS), 3.0, dtype=torch.float64)
    one = torch.zeros(1, BINS, dtype=torch.float64)
    one[0, 4] = 96
    lopsided = torch.zeros(1, BINS, dtype=torch.float64)
    lopsided[0, [0, 9]] = torch.tensor([3.0, 1.0], dtype=torch.float64)
    none = torch.zeros(1, BINS, dtype=torch.float64)
    values = entropy(torch.cat([uniform, one, lopsided, none])).tolist()
    plain = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    # Miller and Madow: (occupied bins - 1) / (2 * recordings).
    assert values == pytest.approx([math.log(BINS) + 31 / 192, 0, plain + 1 / 8, 0], abs=1e-12)


def test_ranks_share_ties():
    assert rank(torch.tensor([1.0, 1.0, 3.0])).tolist() == [0.25, 0.25, 1.0]
    assert rank(torch.tensor([5.0, -2.0, 0.0, 0.0, 9.0])).tolist() == [0.75, 0.0, 0.375, 0.375, 1.0]
    assert rank(torch.zeros(4)).tolist() == [0.5] * 4
    assert rank(torch.tensor([7.0])).tolist() == [1.0]


def test_gradient_entropy_is_the_product_of_ranks():
    statistics = statistics_with(taylor=(1e-9, 5.0, 0.0), entropies=(0.1, 0.0, 3.0))
    assert score("gradient-entropy", statistics).tolist() == [0.5 * 0.5, 0.0, 0.0]
    assert score("gradient", statistics).tolist() == [1e-9, 5.0, 0.0]
    assert score("entropy", statistics).tolist() == [0.1, 0.0, 3.0]


def test_magnitude_by_hand():
    model = lived_in("resnet18")
    block = model.blocks[2].requires_grad_(False)
    expected = [
        math.sqrt(block.conv1.weight[i].double().square().sum() + block.conv2.weight[:, i].double().square().sum())
        for i in range(8)
    ]
    assert magnitude(model, group_named(model, CONV)).tolist() == pytest.approx(expected)
    assert score("magnitude", statistics_with(magnitudes=(2.0, 1.0))).tolist() == [2.0, 1.0]


def test_newest_goes_first():
    scores = score("newest", statistics_with())
    assert torch.argsort(scores, descending=True, stable=True).tolist() == list(range(6))


def test_random_depends_on_the_seed():
    statistics = statistics_with()
    assert len(score("random", statistics)) == 6
    assert torch.equal(score("random", statistics, 1), score("random", statistics, 1))
    assert not torch.equal(score("random", statistics, 1), score("random", statistics, 2))


def test_criteria_that_need_data_are_in_the_table():
    assert set(CRITERIA) - NEED_DATA == {"magnitude", "newest", "random"}
