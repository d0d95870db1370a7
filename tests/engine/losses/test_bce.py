import pytest
import torch
import torch.nn.functional as F
from loss_examples import batch

from deepcheck.engine.losses.bce import CrossEntropy


def test_by_hand():
    logits, targets, sources = batch([0.0, 2.0], [1, 0], [0, 0])
    # log(2), and log(1 + e^2)
    assert float(CrossEntropy()(logits, None, targets, sources)) == pytest.approx((0.6931472 + 2.1269280) / 2)


def test_it_is_that_of_torch_to_the_bit():
    generator = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(33, generator=generator), torch.rand(33, generator=generator)
    expected = F.binary_cross_entropy_with_logits(logits, targets)
    assert torch.equal(CrossEntropy()(logits, None, targets, torch.zeros(33, dtype=torch.int64)), expected)
