"""New units at a rate of their own, beside old ones in the same tensor."""

import pytest
import torch
from torch import nn

from deepcheck.plasticity.pace import Pace

OPTIMIZERS = {
    "sgd": lambda parameters, lr: torch.optim.SGD(parameters, lr=lr, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adamw": lambda parameters, lr: torch.optim.AdamW(parameters, lr=lr, weight_decay=0.1),
}


def trained(optimizer, lr, rate=None, steps=5):
    """A weight after some steps on a loss that keeps its entries apart, so that each learns by itself."""
    model = nn.Linear(3, 2, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.arange(1.0, 7.0).reshape(2, 3))
    moved = OPTIMIZERS[optimizer](model.parameters(), lr)
    if rate:
        mask = torch.zeros(2, 3, dtype=torch.bool)
        mask[:, 2] = True
        Pace(model, {"weight": mask}, rate).attach(moved)
    for _ in range(steps):
        moved.zero_grad()
        # A gradient that does not depend on the weight: then steps of old and new do not either.
        (model.weight * torch.tensor([[1.0, -2.0, 3.0], [0.5, 1.5, -1.0]])).sum().backward()
        moved.step()
    return model.weight.detach()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_old_entries_move_at_the_common_rate_and_new_ones_faster(optimizer):
    slow, fast = trained(optimizer, 0.01), trained(optimizer, 0.03)
    paced = trained(optimizer, 0.03, rate=3.0)
    assert torch.allclose(paced[:, :2], slow[:, :2], rtol=0, atol=1e-12)
    assert paced[:, 2].equal(fast[:, 2])
    assert (fast[:, :2] - slow[:, :2]).abs().min() > 0.01  # else the test could not tell
