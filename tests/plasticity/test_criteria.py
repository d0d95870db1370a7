"""What makes a unit worth keeping: statistics against numbers computed by hand."""

import math

import pytest
import torch
from test_families import FAMILIES, WIDTHS, features_of, lived_in, loss_of

from deepcheck.errors import ModelError
from deepcheck.plasticity.criteria import CRITERIA, DATA_FREE
from deepcheck.plasticity.criteria.gradient_entropy import rank
from deepcheck.plasticity.growth import group_named
from deepcheck.plasticity.statistics import (
    BINS,
    FINE,
    Collector,
    GroupStatistics,
    Histogram,
    entropy,
    magnitude,
    pooled,
)
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


def statistics_with(taylor=(1.0,), entropies=(1.0,), magnitudes=(1.0,), added=(-1, 0, 1, 2), explained=(0.5,)):
    group = group_named(lived_in("gru"), "layers.0.units")
    tensors = [
        torch.tensor(values, dtype=torch.float64) for values in (taylor, entropies, magnitudes, added, explained)
    ]
    return GroupStatistics(*tensors, group)


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
        assert scores[1] == scores.min() == 0
        assert family == "snn" or scores.argmin() == 1  # units that never fire cost as little
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
    assert result.added.tolist() == [-7, -6, -5, -4, -3, -2, -1, 0]  # it has not been grown


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
    histogram = collector.histograms[CONV]
    counts = torch.zeros(8, FINE, dtype=torch.int32)
    for row in torch.cat(means):
        for unit, value in enumerate(row):
            counts[unit, math.floor((float(value) - histogram.low) / histogram.width * FINE)] += 1
    assert torch.equal(histogram.counts, counts)
    coarse = histogram.coarse()
    assert coarse.shape == (8, BINS)
    assert coarse.sum(1).tolist() == [11.0] * 8
    torch.testing.assert_close(result.entropy, entropy(coarse))


@pytest.mark.parametrize("family", ["bi-lstm", "wav2vec2"])
def test_every_recording_counts_once_for_every_unit(family):
    model = lived_in(family).double()
    collector, _ = collected(model, WIDTHS[family], [features_of(family, batch=5), features_of(family, batch=4)])
    for name, width in WIDTHS[family].items():
        assert collector.histograms[name].counts.sum(1).tolist() == [9] * width


def test_hooks_are_gone_afterwards():
    model = lived_in("resnet18").double()
    collector, _ = collected(model, [CONV], [features_of("resnet18")])
    before = collector.histograms[CONV].counts.clone()
    model.logit(features_of("resnet18"))
    assert torch.equal(collector.histograms[CONV].counts, before)


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


def histogram_of(*batches):
    histogram = Histogram(batches[0].shape[1])
    for batch in batches:
        histogram.add(batch)
    return histogram


def activations(batches=32, units=6, seed=5):
    """Units that have more and more to say, around different means."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(batches, 16, units, generator=generator, dtype=torch.float64)
    return noise * torch.linspace(0.05, 1, units) + torch.linspace(-1, 1, units)


def test_a_histogram_by_hand():
    # The first batch sets the range: 0 to 4, half as wide again, from -1 to 5.
    histogram = histogram_of(torch.tensor([[0.0, 4.0], [1.0, 1.0]], dtype=torch.float64))
    assert (histogram.low, histogram.width) == (-1.0, 6.0)
    places = [[math.floor((value + 1) / 6 * FINE) for value in unit] for unit in ([0.0, 1.0], [4.0, 1.0])]
    for unit, expected in enumerate(places):
        assert sorted(histogram.counts[unit].nonzero().flatten().tolist()) == sorted(expected)
    # -8 lies below: twice the range, then four times, downwards.
    histogram.add(torch.tensor([[-8.0, 2.0]], dtype=torch.float64))
    assert (histogram.low, histogram.width) == (-19.0, 24.0)
    values = ([0.0, 1.0, -8.0], [4.0, 1.0, 2.0])
    for unit, row in enumerate(values):
        expected = torch.zeros(FINE, dtype=torch.int32)
        for value in row:
            expected[math.floor((value + 19) / 24 * FINE)] += 1
        assert torch.equal(histogram.counts[unit], expected)
    # 5 is where the range ends, so it doubles once more, upwards.
    histogram.add(torch.tensor([[5.0, 5.0]], dtype=torch.float64))
    assert (histogram.low, histogram.width) == (-19.0, 48.0)
    assert histogram.counts.sum(1).tolist() == [4, 4]


def test_the_coarse_bins_cover_what_is_there():
    values = torch.linspace(0, 1, 320, dtype=torch.float64)[:, None]
    counts = histogram_of(values[::4], values).coarse()
    # The central nine tenths in equal shares, the tails at the ends.
    assert counts.sum() == 400
    assert counts[0, 1:-1].min() >= 8
    assert counts[0, 1:-1].max() <= 14
    assert counts[0, 0] > 25
    assert counts[0, -1] > 25
    assert Histogram(3).coarse().tolist() == torch.zeros(3, BINS).tolist()


@pytest.mark.parametrize(
    "unusual",
    [
        pytest.param(lambda batch: batch * 0.01, id="hardly any spread"),
        pytest.param(lambda batch: batch * 0 + 0.3, id="none at all"),
        pytest.param(lambda batch: batch * 0, id="silence"),
        pytest.param(lambda batch: batch * 20, id="twenty times the spread"),
        pytest.param(lambda batch: batch + 30, id="far off"),
    ],
)
def test_an_unusual_first_batch_hardly_matters(unusual):
    usual = list(activations())
    expected = entropy(histogram_of(*usual).coarse())
    odd = unusual(usual[0])
    first = entropy(histogram_of(odd, *usual[1:]).coarse())
    last = entropy(histogram_of(*usual[1:], odd).coarse())
    assert first.argsort().tolist() == expected.argsort().tolist() == list(range(6))
    # But for a unit that hardly leaves its bin: where the edges lie decides.
    assert (first - last)[1:].abs().max() < 0.1
    assert (first - expected)[1:].abs().max() < 0.2


def test_the_estimate_is_deterministic():
    once, again = (histogram_of(*activations()).coarse() for _ in range(2))
    assert torch.equal(entropy(once), entropy(again))


@pytest.mark.parametrize("value", [0.0, 0.7, -1e-3, 1e6])
@pytest.mark.parametrize("position", ["the least", "in between", "the greatest"])
def test_a_constant_among_others_has_exactly_no_entropy(value, position):
    others = activations(units=4) + {"the least": 9, "in between": 0, "the greatest": -9}[position]
    constant = torch.full((32, 16, 1), value, dtype=torch.float64)
    batches = torch.cat([others * max(abs(value), 1), constant], 2)
    values = entropy(histogram_of(*batches).coarse())
    assert values[-1] == 0
    assert (values[1:-1] > 0).all()


def test_rounding_is_no_information():
    noise = 1 + 1e-8 * activations(units=3)
    assert entropy(histogram_of(*noise).coarse()).tolist() == [0.0] * 3


def test_activations_that_are_no_numbers_are_an_error():
    model = lived_in("resnet18").double()
    with torch.no_grad():
        model.blocks[2].conv1.weight[0] = math.nan
    with pytest.raises(ModelError, match=r"activations of blocks\.2\.conv1 are not finite"):
        collected(model, [CONV], [features_of("resnet18")])


def test_without_data_only_the_weights_are_known():
    model = lived_in("resnet18")
    [result] = Collector(model, [group_named(model, CONV)]).result({CONV: 6})
    assert result.taylor.isnan().all()
    assert result.entropy.isnan().all()
    assert result.magnitude.isfinite().all()
    assert result.added.tolist() == [-5, -4, -3, -2, -1, 0, 1, 2]


def test_pooled_statistics_follow_each_other_and_norms_are_relative_to_the_group():
    one = statistics_with(taylor=(1, 2), entropies=(3, 4), magnitudes=(1, 3), added=(0, 1))
    other = statistics_with(taylor=(5, 6), entropies=(7, 8), magnitudes=(100, 100), added=(-1, 0))
    together = pooled([one, other])
    assert len(together) == 4
    assert together.taylor.tolist() == [1, 2, 5, 6]
    assert together.entropy.tolist() == [3, 4, 7, 8]
    assert together.magnitude.tolist() == [0.5, 1.5, 1, 1]
    assert together.added.tolist() == [0, 1, -1, 0]
    nothing = pooled([statistics_with(magnitudes=(0, 0))])
    assert nothing.magnitude.tolist() == [0, 0]


def test_ties_have_the_lowest_of_their_ranks():
    assert rank(torch.tensor([1.0, 1.0, 3.0])).tolist() == [0.0, 0.0, 1.0]
    assert rank(torch.tensor([5.0, -2.0, 0.0, 0.0, 9.0])).tolist() == [0.75, 0.0, 0.25, 0.25, 1.0]
    assert rank(torch.zeros(4)).tolist() == [0.0] * 4
    assert rank(torch.tensor([7.0])).tolist() == [1.0]


def test_units_that_nobody_reads_yet_are_worth_nothing_however_many_they_are():
    statistics = statistics_with(taylor=(2.0, 0.0, 0.0, 0.0, 0.0), entropies=(0.1, 3.0, 2.0, 1.0, 4.0))
    assert score("gradient-entropy", statistics).tolist() == [0.0] * 5
    statistics = statistics_with(taylor=(2.0, 1.0, 0.0, 0.0, 0.0), entropies=(1.0, 1.5, 2.0, 0.5, 4.0))
    assert score("gradient-entropy", statistics).tolist() == [0.25, 0.375, 0.0, 0.0, 0.0]


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
    assert score("newest", statistics_with(added=(-1, 0, 1, 2))).tolist() == [1, 0, -1, -2]


def test_random_depends_on_the_seed():
    statistics = statistics_with()
    assert len(score("random", statistics)) == 4
    assert torch.equal(score("random", statistics, 1), score("random", statistics, 1))
    assert not torch.equal(score("random", statistics, 1), score("random", statistics, 2))


def test_criteria_that_need_no_data_are_in_the_table():
    assert set(CRITERIA) - DATA_FREE == {"gradient-entropy", "gradient", "entropy", "coactivation"}
