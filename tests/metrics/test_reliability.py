import math

import numpy as np
import pytest
from metric_examples import gaussian

from deepcheck.errors import ConfigError, DataError
from deepcheck.metrics.intervals import proportion
from deepcheck.metrics.reliability import ReliabilityBin, expected_calibration_error, reliability


def ratio(probability_of_spoof):
    """The log-likelihood ratio at which a spoof is as probable as that, where half of all trials are."""
    return math.log((1 - probability_of_spoof) / probability_of_spoof)


def test_by_hand():
    bonafide = [ratio(0.12), ratio(0.14), ratio(0.74), ratio(1e-9)]
    spoof = [ratio(0.13), ratio(0.71), ratio(0.73), ratio(1 - 1e-12)]
    table = reliability(bonafide, spoof, bins=4)
    assert [(row.low, row.high, row.spoof, row.total) for row in table] == [
        (0, 0.25, 1, 4),
        (0.5, 0.75, 2, 3),
        (0.75, 1, 1, 1),
    ]
    predicted = ((0.12 + 0.14 + 0.13) / 4, (0.74 + 0.71 + 0.73) / 3, 1)
    assert [row.predicted for row in table] == pytest.approx(predicted, abs=1e-8)
    assert [row.observed for row in table] == pytest.approx([1 / 4, 2 / 3, 1])
    assert [row.interval(0.9) for row in table] == [proportion(1, 4, 0.9), proportion(2, 3, 0.9), proportion(1, 1, 0.9)]
    error = (4 * (1 / 4 - predicted[0]) + 3 * (predicted[1] - 2 / 3)) / 8
    assert expected_calibration_error(table) == pytest.approx(error)


def test_spoof_is_as_frequent_as_among_the_trials():
    # Ratios of 1 leave the share of spoof as it is.
    [row] = reliability(np.zeros(10), np.zeros(30))
    assert row == ReliabilityBin(0.7, 0.8, 0.75, 30, 40)
    assert expected_calibration_error([row]) == 0


@pytest.mark.parametrize("sizes", [(50_000, 50_000), (10_000, 90_000)])
def test_right_ratios_come_true_and_overconfident_ones_do_not(sizes):
    bonafide, spoof = gaussian(*sizes, mean=0.7)
    table = reliability(bonafide, spoof)
    assert len(table) == 10
    assert sum(row.total for row in table) == 100_000
    missed = sum(not row.interval(0.99).low <= row.predicted <= row.interval(0.99).high for row in table)
    assert missed <= 1
    assert expected_calibration_error(table) < 0.005
    assert expected_calibration_error(reliability(3 * bonafide, 3 * spoof)) > 0.03


def test_the_ends_belong_to_the_outer_bins():
    table = reliability([1e4], [-1e4], bins=5)
    assert [(row.low, row.predicted, row.spoof, row.total) for row in table] == [(0, 0, 0, 1), (0.8, 1, 1, 1)]
    assert expected_calibration_error(table) == 0
    table = reliability([-1e4], [1e4], bins=5)
    assert expected_calibration_error(table) == 1


def test_unusable_scores_and_settings_are_refused():
    with pytest.raises(DataError):
        reliability([], [0.0])
    with pytest.raises(DataError):
        reliability([0.0], [math.inf])
    with pytest.raises(ConfigError, match="bins is 0"):
        reliability([0.0], [0.0], bins=0)
