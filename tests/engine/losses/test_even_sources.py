import math

import pytest
from loss_examples import LN3, added, batch

from deepcheck.engine.losses.even_sources import EvenSources


def test_by_hand():
    # log(4) and log(2): the variance is the square of half the difference.
    scores = batch([LN3, 0.0], [0, 1], [0, 1])
    assert added(EvenSources(1.0), *scores) == pytest.approx((math.log(2) / 2) ** 2, abs=1e-6)
    assert added(EvenSources(3.0), *scores) == pytest.approx(3 * (math.log(2) / 2) ** 2, abs=1e-6)


def test_where_all_sources_fare_alike_nothing_is_added():
    # Each has one clip that is right and one that is not, the second source twice.
    scores = batch([LN3, -LN3, -LN3, LN3, LN3, -LN3], [1, 1, 0, 0, 1, 1], [0, 0, 1, 1, 1, 1])
    assert added(EvenSources(5.0), *scores) == pytest.approx(0.0, abs=1e-6)


def test_a_single_source_has_nobody_to_differ_from():
    assert added(EvenSources(5.0), *batch([LN3, 0.0], [0, 1], [4, 4])) == 0.0


def test_the_more_uneven_the_more_is_added():
    fair, unfair = (added(EvenSources(1.0), *batch([x, -x], [0, 0], [0, 1])) for x in (0.5, 3.0))
    assert 0 < fair < unfair
