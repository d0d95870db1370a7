"""Weights that are rounded once give what autocast gives that rounds them each time."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from conftest import TINY, TINY_DISTILLED, TINY_ENCODER, speechlike

from deepcheck.card import DetectorSpec
from deepcheck.detectors.base import build
from deepcheck.engine.rounded import Rounded

SPECS = {
    "resnet18": TINY,
    "gru": DetectorSpec("gru", {"units": [6], "frontend": {"name": "mel", "bins": 20}, "window_s": 1.0}),
    "distilled": DetectorSpec("distilled", {**TINY_DISTILLED, "window_s": 1.0}),
    "wav2vec2": DetectorSpec("wav2vec2", {"config": TINY_ENCODER, "window_s": 1.0}),
}


@pytest.fixture(params=SPECS)
def detector(request):
    torch.manual_seed(0)
    return build(SPECS[request.param]).eval()


@pytest.fixture
def sounds():
    return torch.stack([torch.from_numpy(speechlike(1.0, seed=seed)) for seed in range(3)])


def embedded(detector, sounds):
    with torch.inference_mode():
        with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
            found = detector.embedded(detector.features(sounds))
        return found, detector.logit_of(found.float())


def rounded_layers(detector):
    return {name for name, weight in detector.named_parameters() if weight.dtype == torch.bfloat16}


def test_the_same_bits(detector, sounds):
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    expected = embedded(detector, sounds)
    rounded = Rounded(detector)
    for _ in range(2):
        with rounded as copy:
            for ours, theirs in zip(embedded(copy, sounds), expected, strict=True):
                assert torch.equal(ours, theirs)
    assert all(torch.equal(value, before[name]) for name, value in detector.state_dict().items())


def test_what_computes_in_float32_keeps_its_weights(detector, sounds):
    rounded = Rounded(detector)
    with rounded as copy:
        embedded(copy, sounds)
    found = rounded_layers(copy)
    assert "head.weight" not in found
    assert bool(found) is (detector.spec.name != "gru")  # a recurrence is in float32 on every CPU
    if detector.spec.name == "distilled":
        convolutions = {name for name in found if name.startswith("cnn.") and name.endswith("weight")}
        assert convolutions == {f"cnn.{2 * place}.weight" for place in range(1, 5)}  # neither the first nor the last


def test_many_threads_from_the_start(detector, sounds):
    expected, _ = embedded(detector, sounds)
    rounded = Rounded(detector)

    def work(_):
        with rounded as copy:
            return embedded(copy, sounds)[0]

    with ThreadPoolExecutor(4) as pool:
        assert all(torch.equal(found, expected) for found in pool.map(work, range(8)))


def test_a_batch_that_fails_decides_nothing(detector, sounds):
    rounded = Rounded(detector)
    with pytest.raises(RuntimeError, match="no such thing"), rounded:
        raise RuntimeError("no such thing")
    with rounded as copy:
        assert not rounded_layers(copy)
        expected, _ = embedded(copy, sounds)
    with rounded as copy:
        assert torch.equal(embedded(copy, sounds)[0], expected)
