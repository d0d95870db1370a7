"""Grad-CAM: hot where and because the reason is, with the geometry of the map right."""

import numpy as np
import pytest
import torch
from planted import contrasts, genuine, hottest, likeness_to_strangers, logits, spoofs
from planted import learn as learn_planted
from torch import nn

from deepcheck.audio.frontend import build_frontend
from deepcheck.card import DetectorSpec
from deepcheck.detectors.base import Detector, build
from deepcheck.errors import ConfigError
from deepcheck.explain.explanation import explain
from deepcheck.explain.grad_cam import grad_cam

SECONDS = 2.0


@pytest.fixture(scope="module")
def learnt():
    """A tiny ResNet18 that knows the planted sound, 3 by 7 cells to a window."""
    torch.manual_seed(0)
    detector = learn_planted(build(DetectorSpec("resnet18", {"width": 4, "window_s": SECONDS})), steps=60)
    assert logits(detector, [clip.samples for clip in spoofs(SECONDS)]).max() < 0
    assert logits(detector, genuine(SECONDS)).min() > 0
    return detector


def test_a_planted_sound_is_where_it_is_hot(learnt):
    found = [(clip, explain(learnt, clip.samples)) for clip in spoofs(SECONDS)]
    for clip, explanation in found:
        assert abs(hottest(explanation)[0] - clip.spoof_s) < 0.4  # a cell is 0.32 s
    assert min(contrasts(found, SECONDS)) > 2
    assert np.mean([abs(hottest(explanation)[0] - clip.spoof_s) for clip, explanation in found]) < 0.2
    # Of the three rows of cells the sound lies in the highest.
    upper, lower = ([heat_near_rows(e, clip, rows) for clip, e in found] for rows in (slice(57, 80), slice(0, 23)))
    assert np.mean(upper) > 1.2 * np.mean(lower)


def heat_near_rows(explanation, clip, rows):
    near = np.abs(explanation.times_s - clip.spoof_s) < 0.1
    return explanation.heat[rows, near].mean()


def test_what_speaks_for_bona_fide_is_cold(learnt):
    assert np.mean([explain(learnt, samples).heat.mean() for samples in genuine(SECONDS)]) < 0.1
    assert np.mean([explain(learnt, clip.samples).heat.mean() for clip in spoofs(SECONDS)]) > 0.2


def test_random_weights_change_the_map(learnt):
    assert abs(likeness_to_strangers(learnt, spoofs(SECONDS, 6))) < 0.3


def test_cells_add_up_to_the_score(learnt):
    for clip in spoofs(SECONDS, 3):
        waveform = torch.from_numpy(clip.samples)[None]
        values = grad_cam(learnt, waveform).values
        assert values.shape == (80, 201)
        cells = values[[0, 32, 64]][:, ::32]
        assert cells.shape == (3, 7)
        assert float(cells.sum()) == pytest.approx(-logits(learnt, [clip.samples])[0], abs=1e-4)


def test_the_grid_of_the_resnet_is_where_its_cells_look():
    detector = build(DetectorSpec("resnet18", {"width": 2})).eval()
    for module in detector.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.ones_(module.weight)  # so that each field of view is even on both sides
    features = torch.ones(1, 1, 1601, 1601, requires_grad=True)
    seen = []
    hook = detector.cam_target().register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    detector.logit(features)
    hook.remove()
    (gradient,) = torch.autograd.grad(seen[0][0, 0, 24, 26], features)
    places = torch.arange(1601.0)
    weight = gradient[0, 0].double()
    for axis, cell, (first, step) in zip((1, 0), (24, 26), detector.cam_grid(), strict=True):
        centre = float((weight.sum(axis) * places).sum() / weight.sum())
        assert centre == pytest.approx(first + cell * step, abs=3)  # pooling takes the first of equals


class Known(Detector):
    """Reads the mean of the power in cells of 8 bins by 10 frames; the more of it, the more a spoof."""

    def __init__(self, *, frontend="log-linear", window_s=1.0, sign=-1.0):
        super().__init__()
        self.spec = DetectorSpec("known")
        self.window_s = window_s
        self.frontend = build_frontend({"name": frontend, "normalise": "none"})
        self.cells = nn.Conv2d(1, 1, (8, 10), (8, 10), bias=False)
        nn.init.constant_(self.cells.weight, sign / 80)
        self.requires_grad_(False)

    def features(self, waveform):
        return self.frontend(waveform).exp()

    def logit(self, features):
        return self.cells(features).mean((1, 2, 3))

    def cam_target(self):
        return self.cells

    def cam_grid(self):
        return (3.5, 8), (4.5, 10)

    def frequencies_hz(self):
        return self.frontend.frequencies_hz


@pytest.mark.parametrize(("time_s", "hz"), [(0.145, 1120.0), (0.145, 6150.0), (0.745, 1120.0), (0.445, 6150.0)])
@pytest.mark.parametrize("told", [True, False])
def test_the_place_is_exact_where_the_detector_is_known(time_s, hz, told, monkeypatch):
    if not told:
        monkeypatch.setattr(Known, "cam_grid", Detector.cam_grid)
    samples = np.zeros(16_000, np.float32)
    at = np.arange(round((time_s - 0.03) * 16_000), round((time_s + 0.03) * 16_000))
    samples[at] = np.sin(2 * np.pi * hz * at / 16_000)
    explanation = explain(Known().eval(), samples, 100.0, "grad-cam")
    found_s, found_hz = hottest(explanation)
    assert found_s == pytest.approx(time_s, abs=0.01)
    assert found_hz == pytest.approx(hz, abs=130)
    assert explanation.heat.shape == (256, 101)
    assert explanation.heat.max() == 1
    assert explanation.resolution_s == pytest.approx(0.1, abs=0.01)
    assert not explain(Known(sign=1.0).eval(), samples, method="grad-cam").heat.any()


def test_without_frequencies_there_is_one_row():
    torch.manual_seed(0)
    detector = build(DetectorSpec("resnet18", {"width": 4, "frontend": "lfcc", "window_s": 1.0})).eval()
    explanation = explain(detector, spoofs(1.0, 1)[0].samples)
    assert explanation.heat.shape == (1, 101)
    assert explanation.frequencies_hz is None


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_a_detector_whose_map_has_no_places(name):
    detector = build(DetectorSpec(name, {"units": [4], "window_s": 1.0})).eval()
    with pytest.raises(ConfigError, match="no map over frequency and time") as caught:
        explain(detector, spoofs(1.0, 1)[0].samples, method="grad-cam")
    assert detector.explainer in caught.value.hint
    assert not any(module._forward_hooks for module in detector.modules())
