import math

import pytest
import torch
from loss_examples import LN3, batch

from deepcheck.engine.losses.worst_source import WorstSource

# Mean cross-entropies: (log(4/3) + log(2)) / 2 and log(4) of the first source, log(2) of the second.
THREE = ([LN3, 0.0, LN3, 0.0], [1, 1, 0, 1], [0, 0, 0, 1])
RISKS = [math.log(8 / 3) / 2, math.log(4), math.log(2)]


def of(sharpness, scores):
    logits, targets, sources = scores
    return float(WorstSource(sharpness)(logits, None, targets, sources))


def test_by_hand():
    assert of(1.0, batch(*THREE)) == pytest.approx(math.log((math.sqrt(8 / 3) + 4 + 2) / 3), abs=1e-6)
    assert of(2.0, batch(*THREE)) == pytest.approx(math.log((8 / 3 + 16 + 4) / 3) / 2, abs=1e-6)


def test_it_lies_between_the_mean_and_the_worst_and_rises_with_the_sharpness():
    values = [of(sharpness, batch(*THREE)) for sharpness in (0.01, 0.1, 1.0, 10.0, 100.0)]
    assert sum(RISKS) / 3 < values[0]
    assert values == sorted(values)
    assert values[-1] < max(RISKS)


def test_at_either_end_it_is_the_mean_or_the_worst():
    assert of(0.01, batch(*THREE)) == pytest.approx(sum(RISKS) / 3, abs=2e-3)
    assert of(100.0, batch(*THREE)) == pytest.approx(max(RISKS), abs=2e-2)


def test_groups_weigh_as_the_softmax_of_their_losses():
    logits, targets, sources = batch([0.5, -1.0, 2.0], [1, 0, 0], [0, 0, 1])
    logits.requires_grad_()
    losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    (own,) = torch.autograd.grad(losses.sum(), logits)
    losses = losses.detach()
    (gradient,) = torch.autograd.grad(WorstSource(3.0)(logits, None, targets, sources), logits)
    assert torch.allclose(gradient, (3.0 * losses).softmax(0) * own)


def test_how_many_clips_a_group_has_counts_for_nothing():
    one = batch([0.5, -1.0], [1, 0], [0, 1])
    many = batch([0.5, 0.5, 0.5, -1.0], [1, 1, 1, 0], [0, 0, 0, 1])
    assert of(1.0, one) == pytest.approx(of(1.0, many), abs=1e-6)
