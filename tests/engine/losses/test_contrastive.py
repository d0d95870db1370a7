import math

import pytest
import torch
from loss_examples import added, batch

from deepcheck.engine.losses.contrastive import Contrastive

FOUR = ([0.5, -0.5, 1.0, 0.0], [1, 0, 1, 0], [0, 0, 1, 1])  # of each of two sources a couple
SEPARATED = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
MIXED = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])  # by source


def test_by_hand():
    # For each clip one to lie beside, at a cosine of 1, and two others, at 0: -log(e / (e + 2)).
    plain = Contrastive(weight=1.0, temperature=1.0)
    assert added(plain, *batch(*FOUR), SEPARATED) == pytest.approx(math.log(1 + 2 / math.e), abs=1e-6)
    half = Contrastive(weight=0.5, temperature=1.0)
    assert added(half, *batch(*FOUR), SEPARATED) == pytest.approx(math.log(1 + 2 / math.e) / 2, abs=1e-6)
    # Colder: -log(e^4 / (e^4 + 2)).
    colder = Contrastive(weight=1.0, temperature=0.25)
    assert added(colder, *batch(*FOUR), SEPARATED) == pytest.approx(math.log(1 + 2 * math.exp(-4)), abs=1e-6)


def test_the_other_label_of_its_own_source_may_count_more():
    loss = Contrastive(weight=1.0, temperature=1.0, own_source=3.0)
    assert added(loss, *batch(*FOUR), SEPARATED) == pytest.approx(math.log(1 + 4 / math.e), abs=1e-6)


def test_embeddings_that_lie_together_by_label_cost_less_than_by_source():
    loss = Contrastive(weight=1.0)
    same = added(loss, *batch(*FOUR), torch.ones(4, 2))
    assert same == pytest.approx(math.log(3), abs=1e-6)  # one of three, with nothing to choose between
    assert added(loss, *batch(*FOUR), SEPARATED) < 1e-3 < same < added(loss, *batch(*FOUR), MIXED)


def test_only_directions_count():
    loss = Contrastive(weight=1.0)
    embeddings = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    scaled = embeddings * torch.tensor([[0.1], [1.0], [10.0], [3.0]])
    assert added(loss, *batch(*FOUR), scaled) == pytest.approx(added(loss, *batch(*FOUR), embeddings), abs=1e-5)


@pytest.mark.parametrize("first", [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
def test_clips_of_one_source_and_label_are_neither_gathered_nor_parted(first):
    embeddings = torch.tensor([first, [0.0, 1.0], [0.0, 1.0]])
    # The first two have the third to lie beside, and nothing else in their sums; it shares between the two.
    shares = torch.tensor([first[1], 1.0]).log_softmax(0)
    loss = Contrastive(weight=1.0, temperature=1.0)
    scores = batch([0.0, 0.0, 0.0], [1, 1, 1], [0, 0, 1])
    assert added(loss, *scores, embeddings) == pytest.approx(float(-shares.mean()) / 3, abs=1e-6)


def test_without_another_source_it_is_the_plain_one_with_a_gradient():
    logits, targets, sources = batch([0.5, -0.5, 1.0], [1, 0, 1], [0, 0, 0])
    embeddings = torch.randn(3, 2, requires_grad=True)
    logits.requires_grad_()
    loss = Contrastive(weight=1.0)
    assert added(loss, logits, targets, sources, embeddings) == 0.0
    loss(logits, embeddings, targets, sources).backward()
    assert logits.grad.isfinite().all()
    assert not embeddings.grad.any()
