import pytest
import torch

from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import same_tensors, snapshot
from deepcheck.detectors.base import build, parameter_count
from deepcheck.errors import ConfigError

MEL = {"frontend": {"name": "mel", "bins": 6}, "window_s": 1.0}
GATES = {"gru": 3, "lstm": 4}


def made(name, **arguments):
    torch.manual_seed(0)
    return build(DetectorSpec(name, {**MEL, **arguments})).eval()


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_one_logit_for_each_recording(name, bidirectional):
    model = made(name, units=[5, 7], bidirectional=bidirectional)
    sound = torch.randn(3, 16_000)
    ways = 2 if bidirectional else 1
    features = model.features(sound)
    assert features.shape[:3] == (3, 1, 6)
    assert model.states(features).shape == (3, features.shape[-1] // 2, 7 * ways)
    assert model.score(sound).shape == (3,)
    torch.testing.assert_close(model.score(sound), model.head(model.states(features).mean(1))[:, 0])
    torch.testing.assert_close(model.score(sound)[:1], model.score(sound[:1]))


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_parameters_by_hand(name, bidirectional):
    model = made(name, units=[5, 7], bidirectional=bidirectional, stack=3)
    ways = 2 if bidirectional else 1
    expected = 7 * ways + 1
    for inputs, units in ((18, 5), (5 * ways, 7)):
        expected += ways * GATES[name] * units * (inputs + units + 2)
    assert parameter_count(model) == expected


def test_stacked_frames_are_neighbours():
    model = made("gru", units=[4], stack=3)
    features = torch.arange(6 * 11.0).reshape(1, 1, 6, 11) / 50
    seen = []
    model.layers[0].register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    model.logit(features)
    [x] = seen
    assert x.shape == (1, 3, 18)  # two frames do not fill a stack
    assert torch.equal(x[0, 1], torch.cat([features[0, 0, :, frame] for frame in (3, 4, 5)]))


def test_it_is_the_stack_of_torch():
    model = made("lstm", units=[5, 5], bidirectional=True)
    whole = torch.nn.LSTM(12, 5, num_layers=2, batch_first=True, bidirectional=True)
    with torch.no_grad():
        for i, layer in enumerate(model.layers):
            for name, weight in layer.named_parameters():
                getattr(whole, name.replace("_l0", f"_l{i}")).copy_(weight)
    features = torch.randn(2, 1, 6, 10)
    expected, _ = whole(features[:, 0].transpose(1, 2).reshape(2, 5, 12))
    torch.testing.assert_close(model.states(features), expected)


@pytest.mark.parametrize("name", GATES)
def test_the_spec_rebuilds_it(name):
    model = made(name, units=(5, 7), bidirectional=True, dropout=0.3)
    assert model.spec.name == name
    assert model.spec.arguments["units"] == [5, 7]
    again = snapshot(model, Card("x", model.spec)).build()
    assert same_tensors(model.state_dict(), again.state_dict())
    assert again.spec == model.spec


def test_groups_are_its_layers():
    model = made("gru", units=[5, 7])
    assert [(g.name, g.layer, g.part, g.width) for g in model.groups()] == [
        ("layers.0.units", 1, "units", 5),
        ("layers.1.units", 2, "units", 7),
    ]
    assert model.cam_target() is model.layers[1]


@pytest.mark.parametrize("settings", [{"stack": 101}, {"frontend": {"name": "mel", "hop_ms": 600.0}}])
def test_a_window_has_to_have_frames(settings):
    with pytest.raises(ConfigError, match="A window of 1 s has fewer than"):
        build(DetectorSpec("gru", {"window_s": 1.0, **settings}))


@pytest.mark.parametrize("arguments", [{"units": []}, {"units": [4, 0]}, {"units": [4], "stack": 0}])
def test_what_makes_no_detector(arguments):
    with pytest.raises(ConfigError, match="make no recurrent detector"):
        made("gru", **arguments)
