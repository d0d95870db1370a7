import numpy as np
import pytest

from deepcheck.metrics.regression import linear, logistic


def test_logistic_finds_the_weights_that_made_the_labels():
    draw = np.random.default_rng(0)
    features = np.column_stack([np.ones(40_000), draw.standard_normal((40_000, 2))])
    labels = draw.random(40_000) < 1 / (1 + np.exp(-features @ [0.5, -1.0, 2.0]))
    rows = np.where(labels, 1.0, -1.0)[:, None] * features
    found = logistic(rows, np.full(40_000, 1 / 40_000), 1e-9)
    assert found == pytest.approx([0.5, -1.0, 2.0], abs=0.06)


def test_logistic_is_at_its_minimum_with_a_ridge_for_each_feature():
    draw = np.random.default_rng(1)
    rows, importance, ridge = draw.standard_normal((50, 3)), draw.random(50), np.array([0.0, 0.1, 5.0])

    def loss(weights):
        return importance @ np.logaddexp(0, -rows @ weights) + (ridge * weights) @ weights / 2

    found = logistic(rows, importance, ridge)
    for step in 1e-3 * np.concatenate([np.eye(3), -np.eye(3)]):
        assert loss(found + step) > loss(found)
    assert abs(found[2]) < abs(logistic(rows, importance, 0.0 * ridge)[2])


def test_logistic_stays_finite_where_the_classes_do_not_overlap():
    rows = np.column_stack([np.full(20, 1.0), np.linspace(1, 2, 20)]) * 1e3
    found = logistic(rows, np.full(20, 0.05), 0.01)
    assert np.isfinite(found).all()
    assert (rows @ found > 0).all()


def test_linear_is_least_squares_but_for_the_ridge():
    draw = np.random.default_rng(2)
    rows, targets = draw.standard_normal((30, 4)), draw.standard_normal(30)
    np.testing.assert_allclose(linear(rows, targets, 0.0), np.linalg.lstsq(rows, targets, rcond=None)[0], atol=1e-12)
    shrunk = linear(rows, targets, np.array([0.0, 0.0, 0.0, 1e9]))
    np.testing.assert_allclose(shrunk[:3], np.linalg.lstsq(rows[:, :3], targets, rcond=None)[0], atol=1e-6)
    assert abs(shrunk[3]) < 1e-6
