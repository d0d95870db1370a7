import pytest
import torch
from loss_examples import added, batch

from deepcheck.engine.losses.couples import Couples

TWO = ([1.0, 0.0, 3.0, -1.0], [1, 0, 1, 0], [0, 0, 1, 1])


def test_by_hand():
    # One couple of each source, 1 and 4 apart: log(1 + e^-1) and log(1 + e^-4).
    assert added(Couples(weight=1.0), *batch(*TWO)) == pytest.approx((0.3132617 + 0.0181499) / 2, abs=1e-6)
    assert added(Couples(weight=0.5), *batch(*TWO)) == pytest.approx((0.3132617 + 0.0181499) / 4, abs=1e-6)
    # With a margin of 1: log(1 + e^0) and log(1 + e^-3).
    assert added(Couples(1.0, margin=1.0), *batch(*TWO)) == pytest.approx((0.6931472 + 0.0485874) / 2, abs=1e-6)


def test_every_genuine_clip_of_a_source_meets_every_spoof_of_it():
    scores = batch([1.0, 2.0, 0.0, 0.5], [1, 1, 0, 0], [7, 7, 7, 7])
    expected = torch.nn.functional.softplus(-torch.tensor([1.0, 0.5, 2.0, 1.5])).mean()
    assert added(Couples(1.0), *scores) == pytest.approx(float(expected), abs=1e-6)


def test_what_all_scores_of_a_source_have_in_common_cancels():
    logits, targets, sources = batch(*TWO)
    moved = logits + torch.tensor([5.0, 5.0, -3.0, -3.0])
    assert added(Couples(1.0), moved, targets, sources) == pytest.approx(
        added(Couples(1.0), logits, targets, sources), abs=1e-6
    )
    # Which the scores of one clip do not.
    moved = logits + torch.tensor([5.0, 0.0, 0.0, 0.0])
    assert added(Couples(1.0), moved, targets, sources) < added(Couples(1.0), logits, targets, sources) - 0.1


def test_without_a_couple_it_is_the_plain_one():
    assert added(Couples(1.0), *batch([1.0, 0.0, 3.0, -1.0], [1, 1, 0, 0], [0, 1, 2, 3])) == 0.0


def test_smoothed_labels_are_labels():
    logits, targets, sources = batch(*TWO)
    assert added(Couples(1.0), logits, targets * 0.9 + 0.05, sources) == pytest.approx(
        added(Couples(1.0), logits, targets, sources), abs=1e-6
    )
