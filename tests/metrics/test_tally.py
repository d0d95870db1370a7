import numpy as np
import pytest
from hypothesis import given
from metric_examples import TIED, examples, operating_points

from deepcheck.metrics.tally import Tally, tally


def arrays(*classes):
    return [np.array(scores, dtype=np.float64) for scores in classes]


def test_by_hand():
    trials = tally(*arrays([3, 1, 1], [2, 1, 0, 2]))
    assert trials.edges.tolist() == [0, 1, 2, 3]
    assert [counts.tolist() for counts in trials.counts] == [[0, 2, 0, 1], [1, 1, 2, 0]]
    assert trials.thresholds.tolist() == [-0.001, 0, 1, 2, 3]
    assert trials.frr.tolist() == pytest.approx([0, 0, 2 / 3, 2 / 3, 1])
    assert trials.fars[0].tolist() == pytest.approx([1, 0.75, 0.5, 0, 0])


@examples(100)
@given(TIED, TIED, TIED)
def test_curves_of_three_classes(first, second, third):
    trials = tally(*arrays(first, second, third))
    points = np.stack([trials.thresholds, trials.frr, *trials.fars], axis=1)
    assert np.array_equal(points, list(operating_points(first, second, third)))


def test_leading_axes_are_resamples():
    one = tally(*arrays([1, 2], [0, 1]))
    counts = tuple(np.stack([c, 3 * c, c[::-1]]) for c in one.counts)
    many = Tally(one.edges, counts, one.means)
    assert many.frr.shape == many.fars[0].shape == (3, 4)
    assert many.frr[0].tolist() == many.frr[1].tolist() == one.frr.tolist()
    assert many.fars[0][2].tolist() == [1, 1, 0.5, 0]
