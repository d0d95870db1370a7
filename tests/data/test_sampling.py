from collections import Counter
from pathlib import Path

import pytest

from deepcheck.config import SamplingConfig
from deepcheck.data.sampling import BatchSampler
from deepcheck.data.utterance import Label, Utterance


def recordings(label, source, count, pairs=()):
    name = f"{label.name}-{source}"
    return [
        Utterance(f"{name}-{i}", Path("x"), label, source=source, pair=pairs[i] if i < len(pairs) else None)
        for i in range(count)
    ]


MIXED = [
    *recordings(Label.BONAFIDE, "big", 90),
    *recordings(Label.BONAFIDE, "small", 10),
    *recordings(Label.SPOOF, "big", 30),
    *recordings(Label.SPOOF, "small", 10),
    *recordings(Label.SPOOF, "alone", 60),  # a source without a genuine recording
]


def sampler(utterances=MIXED, batch_size=16, seed=0, **settings):
    return BatchSampler(utterances, SamplingConfig(**settings), batch_size, seed)


def couples(batch, utterances):
    """(genuine, spoof) utterances of a batch."""
    drawn = [utterances[draw.item] for draw in batch]
    return list(zip(drawn[::2], drawn[1::2], strict=True))


@pytest.mark.parametrize("batch_size", [2, 16, 17, 64])
@pytest.mark.parametrize("paired", [0.0, 0.5, 1.0])
def test_every_batch_is_half_and_half(batch_size, paired):
    batches = sampler(batch_size=batch_size, paired=paired)
    for batch in batches:
        assert len(batch) == batch_size // 2 * 2
        assert Counter(MIXED[draw.item].label for draw in batch) == {
            Label.SPOOF: batch_size // 2,
            Label.BONAFIDE: batch_size // 2,
        }


def test_couples_share_their_source():
    batches = sampler(paired=1.0)
    for batch in batches:
        for genuine, spoof in couples(batch, MIXED):
            assert genuine.label is Label.BONAFIDE
            assert genuine.source == spoof.source != "alone"


def test_a_named_pair_goes_before_the_source():
    genuine = recordings(Label.BONAFIDE, "place", 20)
    copies = recordings(Label.SPOOF, "vocoder", 20, [u.id for u in genuine])
    utterances = [*genuine, *copies]
    for batch in sampler(utterances, paired=1.0):
        for one, other in couples(batch, utterances):
            assert other.pair == one.id


def test_paired_is_a_share():
    utterances = [u for s in range(50) for label in Label for u in recordings(label, f"site{s}", 4)]
    batches = sampler(utterances, paired=0.3, samples_per_epoch=8000)
    same = sum(one.source == other.source for batch in batches for one, other in couples(batch, utterances))
    # 30 % by design, and 1 of 50 of the others by chance.
    assert same / 4000 == pytest.approx(0.3 + 0.7 / 50, abs=0.03)


def test_without_partners_couples_are_independent():
    utterances = [*recordings(Label.BONAFIDE, "a", 4), *recordings(Label.SPOOF, "b", 4)]
    batch = sampler(utterances, paired=1.0).batch(0, 0)
    assert {(one.source, other.source) for one, other in couples(batch, utterances)} == {("a", "b")}


@pytest.mark.parametrize(
    ("power", "genuine", "spoof"),
    [
        (1.0, {"big": 0.9, "small": 0.1}, {"big": 0.3, "small": 0.1, "alone": 0.6}),
        (0.0, {"big": 1 / 2, "small": 1 / 2}, {"big": 1 / 3, "small": 1 / 3, "alone": 1 / 3}),
        # Square roots: 3 to 1, and sqrt(30) to sqrt(10) to sqrt(60).
        (0.5, {"big": 0.75, "small": 0.25}, {"big": 0.3344, "small": 0.1931, "alone": 0.4729}),
    ],
)
def test_sources_are_drawn_by_their_size_to_a_power(power, genuine, spoof):
    batches = sampler(paired=0.0, source_power=power, samples_per_epoch=12_000, batch_size=100)
    counts = Counter((MIXED[draw.item].label, MIXED[draw.item].source) for batch in batches for draw in batch)
    for label, expected in ((Label.BONAFIDE, genuine), (Label.SPOOF, spoof)):
        for source, share in expected.items():
            assert counts[label, source] / 6000 == pytest.approx(share, abs=0.025), (label, source)


def test_recordings_of_a_source_are_drawn_alike():
    counts = Counter(
        draw.item for batch in sampler(paired=0.0, source_power=1.0, samples_per_epoch=40_000) for draw in batch
    )
    shares = [counts[i] / 20_000 for i, u in enumerate(MIXED) if u.label is Label.BONAFIDE]
    assert min(shares) > 0.006
    assert max(shares) < 0.014


def test_a_batch_depends_on_seed_epoch_and_step_alone():
    one, other = sampler(seed=3), sampler(seed=3)
    list(one)  # what was drawn before does not matter
    assert one.batch(2, 5) == other.batch(2, 5)
    different = [sampler(seed=3).batch(*where) for where in ((2, 5), (2, 6), (3, 5))] + [sampler(seed=4).batch(2, 5)]
    assert len({tuple(batch) for batch in different}) == 4
    seeds = [draw.seed for batch in different for draw in batch]
    assert len(set(seeds)) == len(seeds)


def test_an_epoch_can_go_on_anywhere():
    whole = sampler()
    whole.start(4)
    batches = list(whole)
    rest = sampler()
    rest.start(4, 7)
    assert list(rest) == batches[7:]
    assert (len(whole), len(rest)) == (13, 6)  # 200 recordings in batches of 16


def test_length_of_an_epoch():
    assert sampler(batch_size=64).steps == 4
    assert sampler(batch_size=64, samples_per_epoch=65).steps == 2
    assert sampler(batch_size=64, samples_per_epoch=1).steps == 1
