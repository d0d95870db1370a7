"""What holds for every loss of the table."""

import pytest
import torch

from deepcheck.engine.losses import LOSSES
from deepcheck.engine.objective import build_loss
from deepcheck.errors import ConfigError

BATCHES = {
    "couples": ([1, 0, 1, 0, 1, 0], [0, 0, 1, 1, 2, 3]),
    "one source": ([1, 0, 1, 0, 1, 0], [5, 5, 5, 5, 5, 5]),
    "no source twice": ([1, 0, 1, 0, 1, 0], [0, 1, 2, 3, 4, 5]),
    "one label": ([1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 2, 3]),
    "one label of one source": ([0, 0, 0, 0, 0, 0], [9, 9, 9, 9, 9, 9]),
}


@pytest.fixture
def make():
    """Scores and embeddings, drawn anew each time the same."""

    def made(labels, sources, scale=1.0):
        generator = torch.Generator().manual_seed(1)
        logits = (scale * torch.randn(len(labels), generator=generator)).requires_grad_()
        embeddings = torch.randn(len(labels), 5, generator=generator, requires_grad=True)
        return logits, embeddings, torch.tensor(labels).float(), torch.tensor(sources)

    return made


@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0])
@pytest.mark.parametrize("case", BATCHES)
@pytest.mark.parametrize("name", LOSSES.names())
def test_it_is_one_finite_number_with_finite_gradients(make, name, case, scale):
    logits, embeddings, targets, sources = make(*BATCHES[case], scale)
    loss = build_loss({"name": name})(logits, embeddings, targets, sources)
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
    assert embeddings.grad is None or embeddings.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES.names())
def test_the_order_of_the_clips_and_the_numbers_of_the_sources_are_nothing(make, name):
    logits, embeddings, targets, sources = make(*BATCHES["couples"])
    loss = build_loss({"name": name})
    order = torch.tensor([4, 2, 5, 0, 1, 3])
    turned = loss(logits[order], embeddings[order], targets[order], (100 - 7 * sources)[order])
    assert turned.item() == pytest.approx(loss(logits, embeddings, targets, sources).item(), abs=1e-5)


@pytest.mark.parametrize("name", LOSSES.names())
def test_steps_against_its_gradient_lower_it(make, name):
    logits, embeddings, targets, sources = make(*BATCHES["couples"])
    loss = build_loss({"name": name})
    values = []
    for _ in range(20):
        value = loss(logits, embeddings, targets, sources)
        values.append(value.item())
        learning = [logits] if not loss.needs_embedding else [logits, embeddings]
        with torch.no_grad():
            for tensor, gradient in zip(learning, torch.autograd.grad(value, learning), strict=True):
                tensor -= 0.1 * gradient
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0] - 1e-2


@pytest.mark.parametrize("name", [name for name in LOSSES.names() if not build_loss({"name": name}).needs_embedding])
def test_most_do_without_embeddings(make, name):
    logits, embeddings, targets, sources = make(*BATCHES["couples"])
    loss = build_loss({"name": name})
    assert torch.equal(loss(logits, None, targets, sources), loss(logits, embeddings, targets, sources))


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ({"name": "coupels"}, 'There is no loss "coupels".', 'Did you mean "couples"?'),
        ({"name": "couples", "wieght": 1}, 'The loss "couples" has no setting "wieght".', 'Did you mean "weight"?'),
        ({"name": "bce", "weight": 1}, 'The loss "bce" has no setting "weight".', ""),
        ({"name": "couples", "weight": -1}, 'In the loss "couples", weight is -1.', "from 0 to 1000"),
        ({"name": "worst-source", "sharpness": 0}, 'In the loss "worst-source", sharpness is 0.', "from 0.01 to 100"),
        ({"name": "contrastive", "own_source": "x"}, "In the loss \"contrastive\", own_source is 'x'.", "a number"),
    ],
)
def test_what_cannot_be_had_is_named(spec, message, hint):
    with pytest.raises(ConfigError) as caught:
        build_loss(spec)
    assert caught.value.message == message
    assert hint in (caught.value.hint or "")
