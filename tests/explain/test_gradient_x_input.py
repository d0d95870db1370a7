"""Gradient times input along a path: hot where and because the reason is, also where the gradient itself is none."""

import numpy as np
import pytest
import torch
from planted import SPOOF_HZ, contrasts, genuine, hottest, likeness_to_strangers, logits, spoofs
from planted import learn as learn_planted
from torch import nn

from deepcheck.audio.frontend import build_frontend
from deepcheck.card import DetectorSpec
from deepcheck.detectors.base import Detector, build
from deepcheck.explain.explanation import explain
from deepcheck.explain.gradient_x_input import gradient_x_input


@pytest.fixture(scope="module")
def learnt():
    """A tiny GRU that knows the planted sound; once it has heard it, nothing changes its mind."""
    torch.manual_seed(0)
    frontend = {"name": "mel", "bins": 40}
    detector = build(DetectorSpec("gru", {"units": [24], "window_s": 1.0, "frontend": frontend}))
    learn_planted(detector, steps=200, rate=5e-3)
    assert logits(detector, [clip.samples for clip in spoofs(1.0)]).max() < 0
    assert logits(detector, genuine(1.0)).min() > 0
    return detector


def test_a_planted_sound_is_where_it_is_hot(learnt):
    found = [(clip, explain(learnt, clip.samples)) for clip in spoofs(1.0)]
    for clip, explanation in found:
        found_s, found_hz = hottest(explanation)
        assert found_s == pytest.approx(clip.spoof_s, abs=0.05)
        assert found_hz == pytest.approx(SPOOF_HZ, rel=0.1)
        assert explanation.heat.max() > 0.9
    assert min(contrasts(found, 1.0, np.max)) > 2


def test_random_weights_change_the_map(learnt):
    assert abs(likeness_to_strangers(learnt, spoofs(1.0, 6))) < 0.3


class Linear(Detector):
    """A weight for each bin of a spectrogram, and the mean over time."""

    def __init__(self, weights, saturating=False):
        super().__init__()
        self.spec = DetectorSpec("linear")
        self.window_s = 1.0
        self.frontend = build_frontend({"name": "log-linear"})
        self.weights = nn.Parameter(weights, requires_grad=False)
        self.saturating = saturating

    def features(self, waveform):
        return self.frontend(waveform)

    def logit(self, features):
        score = (features.squeeze(1) * self.weights[:, None]).sum(1).mean(1)
        return torch.tanh(score / 2) if self.saturating else score

    def frequencies_hz(self):
        return self.frontend.frequencies_hz


@pytest.mark.parametrize("saturating", [False, True])
def test_products_add_up_to_what_the_difference_does(saturating):
    weights = torch.zeros(256)
    weights[160:190] = -1.0  # 5.03 to 5.94 kHz
    detector = Linear(weights, saturating).eval()
    clip = spoofs(1.0, 1)[0]
    waveform = torch.from_numpy(clip.samples)[None]
    evidence = gradient_x_input(detector, waveform)
    features = detector.features(waveform)
    ordinary = features.median(-1, keepdim=True).values.expand_as(features)
    difference = float(detector.logit(ordinary) - detector.logit(features))
    # Averages over neighbours keep the sum, but for what crosses the borders.
    assert float(evidence.values.sum()) == pytest.approx(difference, rel=0.05)
    explanation = explain(detector, clip.samples)
    assert hottest(explanation)[0] == pytest.approx(clip.spoof_s, abs=0.03)
    assert hottest(explanation)[1] == pytest.approx(SPOOF_HZ, abs=100)
    assert not explanation.heat[:150].any()
    assert not explanation.heat[200:].any()
    opposite = explain(Linear(-weights, saturating).eval(), clip.samples)
    column = int(np.abs(opposite.times_s - clip.spoof_s).argmin())
    assert opposite.heat[:, column].max() < 0.2 < explanation.heat[:, column].max()


class Plain(Detector):
    """Reads the waveform itself: the more power at its end, the more a spoof."""

    def __init__(self):
        super().__init__()
        self.spec = DetectorSpec("plain")
        self.window_s = 1.0
        self.weights = nn.Parameter(torch.linspace(0, 1, 16_000), requires_grad=False)

    def features(self, waveform):
        return waveform.unsqueeze(1)

    def logit(self, features):
        return -(features.square() * self.weights).sum((1, 2))


def test_a_waveform_as_features_is_shown_in_frames():
    samples = np.zeros(16_000, np.float32)
    samples[1600:3200] = samples[12_800:14_400] = np.sin(np.arange(1600))
    explanation = explain(Plain().eval(), samples)
    assert explanation.heat.shape == (1, 100)
    assert explanation.resolution_s == pytest.approx(0.11)
    assert hottest(explanation)[0] == pytest.approx(0.85, abs=0.05)
    assert explanation.heat[0, 15] == pytest.approx(0.18, abs=0.02)
    assert explanation.heat[0, 50] == 0


class Padded(Plain):
    """Has features of 2.5 s, whatever the window."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.ones(40_000), requires_grad=False)

    def features(self, waveform):
        return nn.functional.pad(waveform, (0, 24_000), value=0.9).unsqueeze(1)

    def features_s(self):
        return 2.5


def test_padding_is_no_part_of_the_window():
    samples = np.zeros(16_000, np.float32)
    samples[4800:6400] = np.sin(np.arange(1600))
    explanation = explain(Padded().eval(), samples)
    assert explanation.heat.shape == (1, 100)
    assert hottest(explanation)[0] == pytest.approx(0.35, abs=0.05)
    assert explanation.times_s[-1] < 1.0
