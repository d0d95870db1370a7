"""Arithmetic counted by hand."""

import pytest
import torch
from conftest import TINY_ENCODER
from torch import nn

from deepcheck.card import DetectorSpec
from deepcheck.detectors.base import build
from deepcheck.engine.cost import cost_of

MEL = {"frontend": {"name": "mel", "bins": 20}, "window_s": 1.0}


@pytest.mark.parametrize(("name", "gates"), [("gru", 3), ("lstm", 4)])
def test_a_recurrent_layer(name, gates):
    detector = build(DetectorSpec(name, {"units": [8], "stack": 1, **MEL}))
    frames = detector.features(torch.zeros(1, 16_000)).shape[-1]
    bare = cost_of(build(DetectorSpec(name, {"units": [1], "stack": 1, **MEL}))).gflop_per_s

    def recurrence(units):
        return 2 * frames * gates * units * (20 + units) + 2 * units

    assert (cost_of(detector).gflop_per_s - bare) * 1e9 == pytest.approx(recurrence(8) - recurrence(1))
    assert cost_of(detector).parameters == sum(p.numel() for p in detector.parameters())


def test_a_wider_window_costs_no_more_a_second():
    one, four = (
        cost_of(build(DetectorSpec("resnet18", {"width": 4, **MEL, "window_s": window}))).gflop_per_s
        for window in (1.0, 4.0)
    )
    assert four == pytest.approx(one, rel=0.1)


def test_attention_counts_too():
    spec = DetectorSpec("wav2vec2", {"config": TINY_ENCODER, "window_s": 1.0})
    detector = build(spec).eval()
    whole = cost_of(detector).gflop_per_s
    for layer in detector.encoder.encoder.layers:
        layer.feed_forward = nn.Identity()
    frames = detector.features(torch.zeros(1, 16_000)).shape[-1]
    assert (whole - cost_of(detector).gflop_per_s) * 1e9 == pytest.approx(2 * 2 * 2 * frames * 32 * 24)
