import time
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metric_examples import examples

from deepcheck.metrics.pav import _pool_in_turn, pool

PLACES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=10)


def blocks(places):
    bonafide, spoof = pool(*np.array(places).T)
    return list(zip(bonafide.tolist(), spoof.tolist(), strict=True))


def shares_by_the_max_min_formula(places):
    """The share of bona fide at each place that holds a trial, after isotonic regression, in exact arithmetic."""
    held = [place for place in places if sum(place)]

    def share(first, last):
        inside = held[first : last + 1]
        return Fraction(sum(b for b, _ in inside), sum(b + s for b, s in inside))

    ends = range(len(held))
    return [max(min(share(first, last) for last in ends[i:]) for first in range(i + 1)) for i in ends], held


@examples(300)
@given(PLACES.filter(lambda places: any(map(any, places))))
def test_blocks_are_those_of_isotonic_regression(places):
    shares, held = shares_by_the_max_min_formula(places)
    spread = [Fraction(b, b + s) for b, s in blocks(places) for _ in range(b + s)]
    assert spread == [share for share, (b, s) in zip(shares, held, strict=True) for _ in range(b + s)]
    assert np.sum(blocks(places), axis=0).tolist() == np.sum(places, axis=0).tolist()


@examples(300)
@given(PLACES.filter(lambda places: any(map(any, places))))
def test_odds_rise_strictly(places):
    merged = blocks(places)
    assert all(b * next_s < next_b * s for (b, s), (next_b, next_s) in pairwise(merged))


@pytest.mark.parametrize(
    ("places", "merged"),
    [
        ([(0, 2), (1, 0)], [(0, 2), (1, 0)]),
        ([(1, 0), (0, 2)], [(1, 2)]),
        ([(0, 1), (0, 1), (0, 0), (1, 0), (1, 0)], [(0, 2), (2, 0)]),
        ([(1, 1), (2, 2), (0, 0)], [(3, 3)]),  # equal odds are one block
        ([(0, 1), (1, 0), (0, 1), (1, 0)], [(0, 1), (1, 1), (1, 0)]),
        ([(5, 0)], [(5, 0)]),
    ],
)
def test_by_hand(places, merged):
    assert blocks(places) == merged


def test_merging_run_by_run_and_block_by_block_agree():
    draw = np.random.default_rng(0)
    for size in (10, 1000, 30_000):
        bonafide, spoof = draw.integers(0, 3, (2, size))
        one_by_one = _pool_in_turn(*(counts[bonafide + spoof > 0] for counts in (bonafide, spoof)))
        for ours, theirs in zip(pool(bonafide, spoof), one_by_one, strict=True):
            assert ours.tolist() == theirs.tolist()


def test_time_is_proportional_to_the_places_even_where_they_merge_one_at_a_time():
    # Rising odds, and then so many spoofs that the blocks fall one after the other.
    size = 100_000
    bonafide, spoof = np.arange(1, size + 1), np.ones(size, np.int64)
    spoof[-1] = 10**10
    start = time.process_time()
    merged = pool(bonafide, spoof)
    assert time.process_time() - start < 5  # 0.1 s on an idle machine, hours if each round took all places
    assert [counts.tolist() for counts in merged] == [[bonafide.sum()], [spoof.sum()]]
