"""The constructors of groups, on modules that no shipped detector is made of."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from deepcheck.plasticity.groups import conv_channels
from deepcheck.plasticity.units import Plastic, resize


class Small(Plastic):
    def __init__(self, conv, norm, head):
        super().__init__()
        self.conv, self.norm, self.head = conv, norm, head

    def forward(self, x):
        x = torch.relu(self.conv(x))
        x = self.norm(x) if self.norm else x
        return self.head(x if isinstance(self.head, nn.Conv1d) else x.mean(2))

    def groups(self):
        return [conv_channels(self, "c", layer=1, conv="conv", norm="norm" if self.norm else None, readers=("head",))]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("norm", [nn.BatchNorm1d(5), None])
@pytest.mark.parametrize("head", [nn.Linear(5, 2), nn.Conv1d(5, 2, 3)])
def test_channels_read_by_convolutions_and_linear_layers(bias, norm, head):
    torch.manual_seed(0)
    head = deepcopy(head)  # parameters of a test are made once
    model = Small(nn.Conv1d(1, 5, 7, bias=bias), norm and nn.BatchNorm1d(5), head).double().eval()
    sound = torch.randn(3, 1, 40, dtype=torch.float64)
    before = model(sound).detach()
    [group] = model.groups()
    resize(model, group, add=3)
    assert (model(sound) - before).abs().max() < 1e-12
    assert model.conv.out_channels == 8
    assert (head.in_features if isinstance(head, nn.Linear) else head.in_channels) == 8
    assert not hasattr(model.head, "in_channels" if isinstance(head, nn.Linear) else "in_features")
    [group] = model.groups()
    resize(model, group, keep=torch.arange(5))
    assert torch.equal(model(sound), before)
