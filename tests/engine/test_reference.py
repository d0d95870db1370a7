import numpy as np
import pytest
import torch

from deepcheck.engine import reference
from deepcheck.engine.reference import Reference, fit_reference, is_reference, reference_of
from deepcheck.errors import ModelError


def cloud(windows=4000, seed=0):
    """Embeddings of three values with standard deviations 2, 1 and 0.5, turned by 45 degrees in the first plane."""
    rng = np.random.default_rng(seed)
    turn = np.array([[1, -1, 0], [1, 1, 0], [0, 0, np.sqrt(2)]]) / np.sqrt(2)
    return rng.standard_normal((windows, 3)) * (2, 1, 0.5) @ turn + (10, -5, 0)


def test_distance_by_hand():
    # Two axes of variance 4 and 1, and 0.25 beside them: 2 along the first, 3 along the second, 1 beside.
    reference = Reference(np.zeros(3), np.eye(3)[:2], np.array([4.0, 1.0, 0.25]))
    points = np.array([[2.0, 0, 0], [0, 3.0, 0], [0, 0, 1.0], [2.0, 3.0, 1.0], [0, 0, 0]])
    np.testing.assert_allclose(reference.distances(points), [1.0, 3.0, 2.0, np.sqrt(1 + 9 + 4), 0.0])


def test_distance_is_that_of_mahalanobis():
    embeddings = cloud()
    reference = fit_reference(embeddings)
    points = cloud(50, seed=1)
    centred = points - embeddings.mean(0)
    inverse = np.linalg.inv(np.cov(embeddings.T, bias=True))
    expected = np.sqrt(np.einsum("ij,jk,ik->i", centred, inverse, centred))
    # Of thousands of windows, shrinkage leaves next to nothing.
    np.testing.assert_allclose(reference.distances(points), expected, rtol=0.01)


def test_shrinkage_by_hand():
    # Chen et al. 2010, equation 23, for S = diag(3, 1), n = 4, p = 2: (0 * 10 + 16) / ((4 + 1 - 1) * (10 - 8)) = 2, at
    # most 1.
    rows = np.array([[np.sqrt(6), 0], [-np.sqrt(6), 0], [0, np.sqrt(2)], [0, -np.sqrt(2)]])
    np.testing.assert_allclose(rows.T @ rows / 4, np.diag([3.0, 1.0]))
    np.testing.assert_allclose(fit_reference(rows).variances, [2.0, 2.0, 2.0])
    # The same shape from forty windows: 16 / (40 * 2) = 0.2, so 0.8 * 3 + 0.2 * 2 and 0.8 * 1 + 0.2 * 2.
    np.testing.assert_allclose(fit_reference(np.tile(rows, (10, 1))).variances[:2], [2.8, 1.2])


def test_few_axes_share_one_variance_beside_them():
    embeddings = cloud()
    reference = fit_reference(embeddings, axes=1)
    assert reference.axes.shape == (1, 3)
    assert reference.variances[0] == pytest.approx(4.0, rel=0.1)
    assert reference.variances[1] == pytest.approx((1 + 0.25) / 2, rel=0.1)
    squared = np.square(reference.distances(embeddings)).mean()
    assert squared == pytest.approx(3.0, rel=0.02)  # one for each value, however they are shared out


def test_more_values_than_windows():
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((20, 200))
    reference = fit_reference(embeddings)
    assert np.isfinite(reference.distances(embeddings)).all()
    assert (reference.variances > 0).all()
    other = reference.distances(rng.standard_normal((20, 200)))
    assert reference.distances(rng.standard_normal((20, 200)) + 3).min() > other.max()


def test_what_is_shifted_lies_farther():
    reference = fit_reference(cloud())
    reference = reference.scaled(reference.distances(cloud(seed=1)))
    near = reference.distances(cloud(seed=2))
    assert (near > 1).mean() == pytest.approx(0.01, abs=0.007)
    shifted = [np.median(reference.distances(cloud(seed=3) + shift)) for shift in (0, 2, 4, 8)]
    assert shifted == sorted(shifted)
    assert shifted[0] < 1 < shifted[-1]


def test_scale_is_where_the_farthest_hundredth_begins():
    reference = Reference(np.zeros(1), np.eye(1), np.ones(2))
    distances = np.arange(101.0)  # its 99 % quantile is 99
    scaled = reference.scaled(distances)
    assert scaled.scale == pytest.approx(99.0)
    np.testing.assert_allclose(scaled.distances(np.array([[99.0], [198.0]])), [1.0, 2.0])
    # Once more, on distances that are measured in the new unit.
    assert scaled.scaled(distances / 99.0).scale == pytest.approx(99.0)
    assert reference.scaled(np.zeros(5)) == reference


@pytest.mark.parametrize(
    "embeddings", [np.zeros((0, 1)), np.ones((1, 3)), np.ones((9, 3)), np.full((4, 2), np.nan), np.ones((4, 2, 2))]
)
def test_nothing_is_known_from_nothing(embeddings):
    assert fit_reference(embeddings) is None


def test_of_many_values_the_largest_variances_are_found_alone(monkeypatch):
    draw = np.random.default_rng(0)
    embeddings = (
        draw.standard_normal((500, 300)) * np.geomspace(10, 0.1, 300) @ np.linalg.qr(draw.random((300, 300)))[0]
    )
    whole = fit_reference(embeddings, axes=20)
    monkeypatch.setattr(reference, "_LARGE", 100)
    found = fit_reference(embeddings, axes=20)
    np.testing.assert_allclose(found.variances, whole.variances, rtol=1e-4)
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(20), atol=1e-9)
    points = draw.standard_normal((50, 300))
    np.testing.assert_allclose(found.distances(points), whole.distances(points), rtol=1e-3)
    assert found.axes.tolist() == fit_reference(embeddings, axes=20).axes.tolist()


def test_what_no_file_would_be_read_with_is_not_made():
    assert fit_reference(np.random.default_rng(0).standard_normal((3, (1 << 14) + 1))) is None


def test_there_and_back():
    reference = fit_reference(cloud()).scaled(np.array([2.0, 3.0]))
    evidence = reference.as_evidence()
    assert is_reference(evidence)
    again = reference_of(evidence)
    points = cloud(20, seed=1)
    np.testing.assert_allclose(again.distances(points), reference.distances(points), rtol=1e-5)
    assert reference_of({}) is None
    assert not is_reference({"dev.ids": torch.zeros(1)})


def test_embeddings_of_another_network():
    with pytest.raises(ModelError, match="those of another network"):
        fit_reference(cloud()).distances(np.zeros((2, 4)))


@pytest.mark.parametrize(
    "change",
    [
        {"reference.mean": None},
        {"reference.scale": torch.zeros(1)},
        {"reference.scale": torch.tensor([-1.0])},
        {"reference.scale": torch.ones(2)},
        {"reference.variances": torch.ones(3)},
        {"reference.variances": torch.tensor([1.0, 1.0, 0.0, 1.0])},
        {"reference.variances": torch.tensor([1.0, 1.0, float("nan"), 1.0])},
        {"reference.mean": torch.ones(4)},
        {"reference.mean": torch.full((3,), float("inf"))},
        {"reference.mean": torch.ones(3, dtype=torch.int64)},
        {"reference.axes": torch.eye(3).unsqueeze(0)},
        {"reference.axes": torch.zeros(0, 3)},
        {"reference.axes": torch.zeros(4, 3)},
    ],
)
def test_statistics_of_strangers_that_make_no_sense(change):
    whole = fit_reference(cloud()).as_evidence()
    evidence = {name: part for name, part in {**whole, **change}.items() if part is not None}
    with pytest.raises(ModelError, match="make no sense"):
        reference_of(evidence)


def test_an_embedding_of_more_values_than_any_network_has():
    values = (1 << 14) + 1
    evidence = Reference(np.zeros(values), np.eye(1, values), np.ones(2)).as_evidence()
    with pytest.raises(ModelError, match="make no sense"):
        reference_of(evidence)


def test_the_deviation_of_a_value():
    by_hand = Reference(np.zeros(3), np.eye(3)[:2], np.array([4.0, 1.0, 0.25]))
    assert by_hand.deviation == pytest.approx((5.25 / 3) ** 0.5)
    embeddings = cloud()
    for axes in (1, 2, 3):
        found = fit_reference(embeddings, axes=axes).deviation
        assert found == pytest.approx(np.sqrt(embeddings.var(0).mean()), rel=1e-2)
