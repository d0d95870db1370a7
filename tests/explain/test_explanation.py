"""Every method on every detector: shapes, axes, the same numbers each time, and no trace left behind."""

import copy

import numpy as np
import pytest
import torch
from conftest import TINY_DISTILLED, TINY_ENCODER, speechlike

from deepcheck.audio.frontend import build_frontend
from deepcheck.audio.windows import tile
from deepcheck.card import DetectorSpec
from deepcheck.checkpoint import same_tensors
from deepcheck.detectors import DETECTORS
from deepcheck.detectors.base import Detector, build
from deepcheck.errors import ConfigError, DataError
from deepcheck.explain import EXPLAINERS
from deepcheck.explain.explanation import explain

ONE_S = {"window_s": 1.0}
SPECS = {
    **{name: DetectorSpec(name, ONE_S) for name in DETECTORS.names()},
    "resnet18": DetectorSpec("resnet18", {"width": 2, "frontend": {"name": "mel", "bins": 20}, **ONE_S}),
    "resnet18 log-linear": DetectorSpec("resnet18", {"width": 2, "frontend": "log-linear", **ONE_S}),
    "resnet18 lfcc": DetectorSpec("resnet18", {"width": 2, "frontend": "lfcc", **ONE_S}),
    "gru": DetectorSpec("gru", {"units": [5, 4], **ONE_S}),
    "lstm": DetectorSpec("lstm", {"units": [5], "bidirectional": True, "stack": 3, **ONE_S}),
    "wav2vec2": DetectorSpec("wav2vec2", {"config": TINY_ENCODER, **ONE_S}),
    "distilled": DetectorSpec("distilled", {**TINY_DISTILLED, **ONE_S}),
    "progressive": DetectorSpec("progressive", {"base": {"name": "gru", "arguments": {"units": [5, 4], **ONE_S}}}),
    "committee": DetectorSpec(
        "committee",
        {
            "members": [
                {"name": "distilled", "arguments": {**TINY_DISTILLED, **ONE_S}},
                {"name": "gru", "arguments": {"units": [5, 4], **ONE_S}},
            ]
        },
    ),
    "hub": DetectorSpec(
        "hub",
        {
            "config": {"model_type": "hubert", **TINY_ENCODER},
            "extractor": {"feature_extractor_type": "Wav2Vec2FeatureExtractor"},
            "bonafide": [0],
            "spoof": [1],
            **ONE_S,
        },
    ),
}
SOUND = speechlike(1.0)


def made(name: str) -> Detector:
    if name == "snn":
        pytest.importorskip("snntorch", reason="needs the extra snn")
    torch.manual_seed(1)
    return build(SPECS[name]).eval()


def same(a, b):
    return (a.method, a.start_s, a.end_s, a.resolution_s) == (b.method, b.start_s, b.end_s, b.resolution_s) and all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("heat", "times_s", "frequencies_hz", "spectrogram", "spectrogram_times_s", "spectrogram_hz")
        if getattr(a, name) is not None or getattr(b, name) is not None
    )


@pytest.mark.parametrize("name", EXPLAINERS.names())
def test_every_row_of_the_table_is_there(name):
    assert callable(EXPLAINERS.resolve(name))


@pytest.mark.parametrize("name", SPECS)
def test_every_detector_has_a_method_that_runs(name):
    detector = made(name)
    explanation = explain(detector, SOUND, start_s=7.5)
    assert explanation.method == detector.explainer
    assert (explanation.start_s, explanation.end_s) == (7.5, 8.5)
    bins, frames = explanation.heat.shape
    assert explanation.heat.dtype == np.float32
    assert explanation.heat.min() >= 0
    assert explanation.heat.max() <= 1
    assert explanation.times_s.shape == (frames,)
    assert 20 <= frames <= 101
    assert explanation.times_s[0] - 7.5 == pytest.approx(8.5 - explanation.times_s[-1], abs=0.02)
    assert (np.diff(explanation.times_s) > 0).all()
    if explanation.frequencies_hz is None:
        assert bins == 1
    else:
        assert explanation.frequencies_hz.shape == (bins,)
        assert (np.diff(explanation.frequencies_hz) > 0).all()
        assert 0 <= explanation.frequencies_hz[0] < explanation.frequencies_hz[-1] <= 8000
    assert explanation.spectrogram.shape == (80, 101)
    assert explanation.spectrogram_hz.shape == (80,)
    np.testing.assert_allclose(explanation.spectrogram_times_s, 7.5 + 0.01 * np.arange(101))
    assert -60.1 < explanation.spectrogram.min() < explanation.spectrogram.max() < 40
    assert 0 < explanation.resolution_s < 0.5


@pytest.mark.parametrize("hz", [310.0, 1000.0, 2950.0, 6400.0])
@pytest.mark.parametrize(
    "settings", [{}, {"bins": 40}, {"name": "log-linear"}, {"name": "log-linear", "window_ms": 50.0}], ids=str
)
def test_a_tone_is_in_the_bin_of_its_frequency(settings, hz):
    frontend = build_frontend(settings)
    tone = torch.sin(2 * torch.pi * hz * torch.arange(16_000) / 16_000)
    loudest = int(frontend(tone[None])[0, 0].mean(-1).argmax())
    assert len(frontend.frequencies_hz) == frontend.bins
    assert loudest == np.abs(frontend.frequencies_hz - hz).argmin()


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("method", EXPLAINERS.names())
def test_no_trace_is_left(name, method):
    detector = made(name)
    with torch.no_grad():
        detector.score(torch.from_numpy(SOUND)[None])  # in which transformers leaves hooks of its own
    hooks = [(*module._forward_hooks, *module._forward_pre_hooks) for module in detector.modules()]
    last = list(detector.modules())[-1]
    detector.train()
    last.eval()  # a mixture, as a frozen part would be
    for i, parameter in enumerate(detector.parameters()):
        parameter.requires_grad_(i % 2 == 0)
        parameter.grad = torch.full_like(parameter, 3.0) if i % 3 == 0 else None
    before = copy.deepcopy(detector.state_dict())
    learning = [parameter.requires_grad for parameter in detector.parameters()]
    generator = torch.random.get_rng_state()
    try:
        explain(detector, SOUND, method=method)
    except ConfigError:
        assert method != detector.explainer
    assert [module.training for module in detector.modules()] == [module is not last for module in detector.modules()]
    assert same_tensors(detector.state_dict(), before)
    for i, parameter in enumerate(detector.parameters()):
        assert (parameter.grad is None) == (i % 3 != 0)
        assert parameter.grad is None or bool((parameter.grad == 3.0).all())
    assert [parameter.requires_grad for parameter in detector.parameters()] == learning
    assert [(*module._forward_hooks, *module._forward_pre_hooks) for module in detector.modules()] == hooks
    assert torch.equal(torch.random.get_rng_state(), generator)
    assert torch.is_grad_enabled()
    assert torch.backends.cudnn.enabled


@pytest.mark.parametrize("name", SPECS)
def test_the_same_whatever_the_caller_has_switched_off(name):
    detector = made(name)
    expected = explain(detector, SOUND)
    assert same(explain(detector, SOUND), expected)
    with torch.inference_mode():
        assert same(explain(detector, SOUND), expected)
        built_within = made(name)
        assert same(explain(built_within, SOUND), expected)
    assert all(parameter.is_inference() for parameter in built_within.parameters())
    assert same(explain(built_within, SOUND), expected)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert same(explain(detector, SOUND), expected)
    assert same(explain(detector.requires_grad_(False), SOUND), expected)
    assert same(explain(detector.train(), SOUND), expected)


@pytest.mark.parametrize("name", ["resnet18", "gru", "wav2vec2"])
@pytest.mark.parametrize("samples", [3000, 9001, 15_900])
def test_a_short_recording_is_repeated(name, samples):
    detector = made(name)
    short = SOUND[:samples]
    explanation = explain(detector, short, start_s=2.0)
    whole = explain(detector, tile(short, 16_000), start_s=2.0)
    assert explanation.end_s == pytest.approx(2.0 + samples / 16_000)
    frames = explanation.heat.shape[1]
    assert frames == pytest.approx(whole.heat.shape[1] * samples / 16_000, abs=1)
    np.testing.assert_allclose(explanation.times_s, whole.times_s[:frames])
    assert explanation.times_s[-1] < explanation.end_s
    assert explanation.spectrogram_times_s[-1] <= explanation.end_s
    np.testing.assert_allclose(explanation.spectrogram, whole.spectrogram[:, : explanation.spectrogram.shape[1]])


def test_each_moment_is_the_mean_of_its_repetitions(monkeypatch):
    from deepcheck.explain.evidence import Evidence

    def stepped(detector, waveform):
        return Evidence(torch.arange(100.0)[None], 0.01)  # of a window of 1 s

    monkeypatch.setitem(EXPLAINERS._rows, "stepped", f"{__name__}:_stepped")
    monkeypatch.setitem(globals(), "_stepped", stepped)
    heat = explain(made("gru"), SOUND[:6400], method="stepped").heat[0]
    # The first 20 frames come three times, 40 frames apart; the other 20 twice.
    expected = np.concatenate([np.arange(20) + 40, np.arange(20, 40) + 20])
    np.testing.assert_allclose(heat, expected / expected.max(), rtol=1e-5)


def test_what_speaks_against_sets_the_scale_as_well(monkeypatch):
    from deepcheck.explain.evidence import Evidence

    values = torch.tensor([[1.0, -4.0], [0.0, 2.0]])
    monkeypatch.setitem(globals(), "_given", lambda detector, waveform: Evidence(values, 0.5))
    monkeypatch.setitem(EXPLAINERS._rows, "given", f"{__name__}:_given")
    detector = made("gru")
    np.testing.assert_allclose(explain(detector, SOUND, method="given").heat, [[0.25, 0.0], [0.0, 0.5]])
    values[:] = -1.0
    assert not explain(detector, SOUND, method="given").heat.any()
    values[:] = 0.0
    assert not explain(detector, SOUND, method="given").heat.any()
    values[0, 0] = float("nan")
    with pytest.raises(DataError, match="no numbers"):
        explain(detector, SOUND, method="given")


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0, np.float32),
        np.zeros(16_001, np.float32),
        np.zeros((2, 100), np.float32),
        np.full(100, np.nan, np.float32),
    ],
    ids=["empty", "long", "stereo", "no number"],
)
def test_what_is_no_window(samples):
    with pytest.raises(DataError, match="no window"):
        explain(made("gru"), samples)


@pytest.mark.parametrize("name", ["resnet18", "gru", "wav2vec2"])
def test_silence_and_a_few_samples(name):
    detector = made(name)
    assert np.isfinite(explain(detector, np.zeros(16_000, np.float32)).heat).all()
    assert explain(detector, SOUND[:5]).heat.shape[1] == 1


def test_a_method_that_does_not_exist():
    with pytest.raises(ConfigError, match='"gradcam"') as caught:
        explain(made("resnet18"), SOUND, method="gradcam")
    assert "grad-cam" in caught.value.hint


@pytest.mark.gpu
@pytest.mark.parametrize("name", SPECS)
def test_the_same_on_the_gpu(name):
    detector = made(name)
    expected = explain(detector, SOUND)
    found = explain(detector.to("cuda"), SOUND)
    np.testing.assert_allclose(found.heat, expected.heat, atol=1e-2)
    assert same(explain(detector, SOUND), found)
