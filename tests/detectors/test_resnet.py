import math

import numpy as np
import pytest
import torch
from conftest import TINY

from deepcheck.audio.frontend import FRONTENDS
from deepcheck.card import DetectorSpec
from deepcheck.detectors.base import Detector, build, parameter_count
from deepcheck.engine.score import Scorer
from deepcheck.errors import ConfigError


def resnet(**arguments):
    torch.manual_seed(0)
    return build(DetectorSpec("resnet18", {"width": 4, **arguments})).eval()


@pytest.mark.parametrize("frontend", list(FRONTENDS))
@pytest.mark.parametrize(("batch", "seconds"), [(1, 1.0), (3, 2.5)])
def test_one_logit_a_window_with_every_front_end(frontend, batch, seconds):
    model = resnet(frontend=frontend)
    sound = torch.randn(batch, round(16_000 * seconds))
    features = model.features(sound)
    bins = {"mel": 80, "log-linear": 256, "lfcc": 60, "cqt": 96}[frontend]
    assert features.shape[:3] == (batch, 1, bins)
    assert features.shape[3] == pytest.approx(100 * seconds, abs=1)  # 10 ms a frame
    score = model.score(sound)
    assert score.shape == (batch,)
    assert score.dtype == torch.float32
    assert torch.isfinite(score).all()
    assert torch.equal(model(sound), score)
    assert torch.equal(model.logit(features), score)


def test_a_window_is_scored_by_itself():
    model = resnet()
    sound = torch.randn(4, 16_000)
    together = model.score(sound)
    alone = torch.cat([model.score(row[None]) for row in sound])
    assert torch.allclose(together, alone, atol=1e-5)
    assert together.std() > 1e-3


def test_parameters_of_the_published_resnet18():
    # torchvision counts 11,689,512 with three input channels and 1000 classes. Without the classes (512,000 + 1,000)
    # and two of three planes of the first convolution (2 * 64 * 7 * 7), with one logit (512 + 1):
    expected = 11_689_512 - 513_000 - 6_272 + 513
    assert expected == 11_170_753
    assert parameter_count(resnet(width=64)) == expected


def test_parameters_by_hand():
    def block(inputs, outputs):
        skip = inputs * outputs + 2 * outputs if inputs != outputs else 0
        return 9 * inputs * outputs + 9 * outputs * outputs + 4 * outputs + skip

    stem = 49 * 4 + 2 * 4
    stages = 2 * block(4, 4) + sum(block(n, 2 * n) + block(2 * n, 2 * n) for n in (4, 8, 16))
    assert parameter_count(resnet()) == stem + stages + 32 + 1


def test_groups_come_in_the_order_of_the_forward_pass():
    model = resnet()
    groups = model.groups()
    assert [group.layer for group in groups] == [1, 2, 3, 4, 5, 6, 7, 8]
    ran = []
    names = {module: name for name, module in model.named_modules()}
    for group in groups:
        model.get_submodule(group.name).register_forward_hook(lambda module, *_: ran.append(names[module]))
    model.score(torch.randn(1, 16_000))
    assert ran == [group.name for group in groups]
    assert len({group.name for group in groups}) == 8
    tensors = model.state_dict().keys()
    assert all(span.tensor in tensors for group in groups for span in group.spans)


def test_the_map_of_the_last_block():
    model = resnet(window_s=4.0)
    seen = []
    model.cam_target().register_forward_hook(lambda _, __, output: seen.append(output))
    score = model.score(torch.randn(2, 64_000))
    [output] = seen
    assert output.shape == (2, 32, math.ceil(80 / 32), math.ceil(401 / 32))
    # The score is the mean of the map through the last layer, which is what class activation maps rest on.
    assert torch.allclose(model.head(output.mean((-2, -1))).squeeze(-1), score, atol=1e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"width": 6, "dropout": 0.25, "window_s": 2.0},
        {"frontend": {"name": "lfcc", "bins": 20, "filters": 40}},
        {"frontend": "log-linear"},
        {"frontend": {"bins": 30}},
    ],
)
def test_the_spec_rebuilds_the_same_architecture(arguments):
    model = build(DetectorSpec("resnet18", arguments))
    again = build(model.spec)
    assert again.spec == model.spec
    assert again.window_s == model.window_s
    assert str(again) == str(model)
    assert {n: t.shape for n, t in again.state_dict().items()} == {n: t.shape for n, t in model.state_dict().items()}
    again.load_state_dict(model.state_dict())
    sound = torch.randn(2, 16_000)
    assert torch.equal(again.eval().score(sound), model.eval().score(sound))


def test_the_spec_holds_every_argument():
    spec = resnet().spec
    assert spec.name == "resnet18"
    assert spec.arguments == {"width": 4, "frontend": {"name": "mel"}, "dropout": 0.0, "window_s": 4.0}


def test_a_front_end_without_a_name_is_the_usual_one():
    assert resnet(frontend={"bins": 30}).spec.arguments["frontend"] == {"name": "mel", "bins": 30}


def test_dropout_acts_in_training_alone():
    model = resnet(dropout=0.9)
    features = model.features(torch.randn(8, 16_000))
    assert torch.equal(model.logit(features), model.logit(features))
    model.dropout.train()
    assert not torch.equal(model.logit(features), model.logit(features))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widht": 3}, "widht"),
        ({"frontend": {"name": "mel", "bns": 3}}, "bns"),
        ({"frontend": "mell"}, 'front end "mell"'),
        ({"frontend": {"name": "mel", "normalise": "loud"}}, 'normalisation "loud"'),
    ],
)
def test_unknown_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ConfigError) as caught:
        resnet(**arguments)
    assert message in caught.value.message


def test_an_unknown_detector_gets_the_nearest():
    with pytest.raises(ConfigError, match='There is no detector "resnet"') as caught:
        build(DetectorSpec("resnet"))
    assert "resnet18" in caught.value.hint


def test_a_detector_must_say_what_it_is():
    incomplete = Detector()
    for method in (incomplete.groups, incomplete.cam_target):
        with pytest.raises(NotImplementedError):
            method()
    with pytest.raises(NotImplementedError):
        incomplete.score(torch.zeros(1, 16_000))


@pytest.mark.gpu
def test_the_same_scores_on_the_gpu():
    sound = torch.randn(16, 16_000).numpy()
    model = build(TINY).eval()
    on_cpu, on_gpu = (Scorer(model, device=device).logits(sound) for device in ("cpu", "cuda"))
    assert on_cpu.std() > 1e-3
    assert np.abs(on_gpu - on_cpu).max() <= 1e-3
