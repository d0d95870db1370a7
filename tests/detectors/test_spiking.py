"""Leaky integrate-and-fire units: the membrane by hand, and a gradient through spikes."""

from importlib.util import find_spec

import pytest
import torch
from torch import nn

from deepcheck.card import DetectorSpec
from deepcheck.detectors.base import build
from deepcheck.errors import ConfigError

if find_spec("snntorch") is None:
    pytest.skip("needs the extra snn", allow_module_level=True)

MEL = {"frontend": {"name": "mel", "bins": 8}, "window_s": 1.0}


def spiking(**changes):
    torch.manual_seed(0)
    return build(DetectorSpec("snn", {"units": [9, 6], **MEL, **changes})).eval()


def test_a_unit_adds_up_leaks_and_starts_anew_a_threshold_lower():
    layer = spiking(decay=0.5).layers[0]
    layer.current = nn.Linear(1, 1, bias=False)
    nn.init.ones_(layer.current.weight)
    # The membrane: 0.8, 0.9, 1.25, 2.325 = 1.25 / 2 + 2.7 - 1, 1.1625, -0.119.
    currents = torch.tensor([0.8, 0.5, 0.8, 2.7, 1.0, 0.3])
    assert layer(currents.reshape(1, -1, 1)).flatten().tolist() == [0, 0, 1, 1, 1, 0]


def test_all_units_learn_through_the_spikes():
    model = spiking()
    sound = torch.randn(4, 16000, generator=torch.Generator().manual_seed(0))
    spikes = model.spikes(model.features(sound))
    assert spikes.shape == (4, 50, 6)
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(model.embedded(model.features(sound)), spikes.mean(1))
    model.score(sound).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_a_recording_says_the_same_alone_and_among_others():
    model = spiking()
    sound = torch.randn(3, 16000, generator=torch.Generator().manual_seed(0))
    together = model.score(sound)
    alone = torch.cat([model.score(one[None]) for one in sound])
    assert (together - alone).abs().max() <= 1e-6


@pytest.mark.parametrize("changes", [{"units": []}, {"units": [0]}, {"stack": 0}, {"decay": 1.0}, {"slope": 0}])
def test_what_makes_no_spiking_detector(changes):
    with pytest.raises(ConfigError, match="make no spiking"):
        spiking(**changes)


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "snntorch", None)
    with pytest.raises(ConfigError, match="needs snntorch, which is not installed") as caught:
        spiking()
    assert "deepcheck[snn]" in caught.value.hint
