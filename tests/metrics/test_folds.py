import numpy as np
import pytest

from deepcheck.metrics.folds import group_folds, random_folds


@pytest.mark.parametrize(("bonafide", "spoof"), [(50, 50), (7, 91), (5, 5), (3, 4)])
def test_random_folds_hold_the_same_share_of_each_label(bonafide, spoof):
    labels = np.random.default_rng(1).permutation([True] * bonafide + [False] * spoof)
    folds = random_folds(labels, 5)
    for label, total in ((True, bonafide), (False, spoof)):
        sizes = np.bincount(folds[labels == label], minlength=5)
        assert sizes.sum() == total
        assert sizes.max() - sizes.min() <= 1
    np.testing.assert_array_equal(folds, random_folds(labels, 5))
    assert not np.array_equal(folds, random_folds(labels, 5, seed=1))


def test_no_group_is_divided_and_folds_are_even():
    draw = np.random.default_rng(0)
    groups = [f"source {i}" for i in range(23) for _ in range(draw.integers(3, 60))]
    labels = draw.random(len(groups)) < 0.4
    order = draw.permutation(len(groups))
    folds = group_folds(labels[order], [groups[i] for i in order], 5)
    fold_of = {}
    for i, fold in zip(order, folds, strict=True):
        assert fold_of.setdefault(groups[i], fold) == fold
    for label in (True, False):
        sizes = np.bincount(folds[labels[order] == label], minlength=5)
        assert sizes.min() > 0.6 * sizes.mean()
        assert sizes.max() < 1.4 * sizes.mean()


def test_groups_of_one_label_each_are_spread_label_by_label():
    groups = [name for name in "abcdefghij" for _ in range(8)]
    labels = np.repeat([True, False], 40)
    folds = group_folds(labels, groups, 5)
    assert [sorted(set(folds[labels == label])) for label in (True, False)] == [[0, 1, 2, 3, 4]] * 2


def test_one_label_alone_is_no_matter():
    assert set(group_folds(np.ones(6, bool), list("aabbcc"), 3)) == {0, 1, 2}
