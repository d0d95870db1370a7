import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepcheck.errors import DataError
from deepcheck.metrics.abstention import abstention_curve

SCORES = st.lists(st.floats(-9, 9), min_size=1, max_size=12).map(np.array)


def test_by_hand():
    # By |llr|: 4 (genuine, right), 3 (spoof, right), 2 (a genuine and a spoof, both wrong), 0 (a spoof, right).
    judged, error, least = abstention_curve(np.array([4.0, -2.0]), np.array([-3.0, 2.0, 0.0]))
    assert judged == pytest.approx([1 / 4, 1 / 4 + 1 / 6, 2 / 3 + 1 / 6, 1])
    assert error == pytest.approx([0, 0, (1 / 4 + 1 / 6) / (5 / 6), 1 / 4 + 1 / 6])
    assert least.tolist() == [4, 3, 2, 0]


@given(SCORES, SCORES)
def test_each_point_is_the_error_of_those_that_are_judged(bonafide, spoof):
    judged, error, least = abstention_curve(bonafide, spoof)
    assert judged[-1] == pytest.approx(1)
    assert (np.diff(judged) > 0).all()
    assert (np.diff(least) < 0).all()
    for share, wrong, at in zip(judged, error, least, strict=True):
        sure = [np.abs(scores) >= at for scores in (bonafide, spoof)]
        assert share == pytest.approx((sure[0].mean() + sure[1].mean()) / 2)
        errors = ((bonafide <= 0) & sure[0]).mean() + ((spoof > 0) & sure[1]).mean()
        assert wrong == pytest.approx(errors / 2 / share)


def test_both_labels_are_needed():
    with pytest.raises(DataError):
        abstention_curve(np.array([1.0]), np.array([]))
