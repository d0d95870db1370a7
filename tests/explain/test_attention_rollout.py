"""Attention rollout: hot where and because the reason is, and the arithmetic of its paper."""

import numpy as np
import pytest
import torch
from conftest import TINY_ENCODER
from planted import contrasts, genuine, hottest, likeness_to_strangers, logits, spoofs
from planted import learn as learn_planted

from deepcheck.card import DetectorSpec
from deepcheck.detectors.attention import AttentionMaps
from deepcheck.detectors.base import Detector, build
from deepcheck.errors import ConfigError
from deepcheck.explain.attention_rollout import attention_rollout
from deepcheck.explain.explanation import explain
from deepcheck.plasticity.units import resize

# Each frame normalised by itself: a norm over the window tells every frame at once what one of them has heard.
STABLE = {**TINY_ENCODER, "do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}


def encoder(config=TINY_ENCODER, pool="layers"):
    torch.manual_seed(0)
    return build(DetectorSpec("wav2vec2", {"config": config, "window_s": 1.0, "pool": pool})).eval()


@pytest.fixture(scope="module")
def learnt():
    """A tiny encoder that knows the planted sound."""
    detector = learn_planted(encoder(STABLE, "mean"), steps=100)
    assert logits(detector, [clip.samples for clip in spoofs(1.0)]).max() < 0
    assert logits(detector, genuine(1.0)).min() > 0
    return detector


def test_a_planted_sound_is_where_it_is_hot(learnt):
    found = [(clip, explain(learnt, clip.samples)) for clip in spoofs(1.0)]
    for clip, explanation in found:
        assert explanation.method == "attention-rollout"
        assert explanation.heat.shape == (1, 49)
        assert explanation.frequencies_hz is None
        assert hottest(explanation)[0] == pytest.approx(clip.spoof_s, abs=0.1)
    assert min(contrasts(found, 1.0)) > 2


def test_what_speaks_for_bona_fide_is_cold(learnt):
    assert max(explain(learnt, samples).heat.mean() for samples in genuine(1.0)) < 0.1


def test_random_weights_change_the_map(learnt):
    assert abs(likeness_to_strangers(learnt, spoofs(1.0, 6))) < 0.3


@pytest.mark.parametrize("pool", ["mean", "layers"])
@pytest.mark.parametrize("config", [TINY_ENCODER, STABLE])
def test_maps_are_those_of_transformers(config, pool):
    detector = encoder(config, pool)
    for which in (0, 1):
        resize(detector, detector.groups()[which], add=3)  # heads, then dimensions inside them; the scale stays
    sound = torch.randn(2, 16_000)
    expected = []
    detector.encoder.config._attn_implementation = "eager"
    hooks = [
        layer.attention.register_forward_hook(lambda _module, _inputs, output: expected.append(output[1]))
        for layer in detector.encoder.encoder.layers
    ]
    with torch.no_grad():
        score = detector.score(sound)
        for hook in hooks:
            hook.remove()
        found = detector.attention_maps(sound)
        assert len(found.maps) == len(expected) == 2
        for ours, theirs in zip(found.maps, expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)
        assert [len(maps[0]) for maps in found.maps] == [7, 4]
        assert len(found.states) == (1 if pool == "mean" else 2)
        torch.testing.assert_close(found.read(found.states), score)
    assert not any(module._forward_pre_hooks for module in detector.modules())


@pytest.mark.parametrize("pool", ["mean", "layers"])
def test_frames_add_up_to_the_score(pool):
    detector = encoder(STABLE, pool)
    sound = torch.randn(1, 16_000)
    with torch.no_grad():
        expected = -float(detector.score(sound))
    assert float(attention_rollout(detector, sound).values.sum()) == pytest.approx(expected, abs=1e-4)


class Known(Detector):
    """Three frames, two layers, two heads; the mean of the last states, or a sum over both layers."""

    FIRST = torch.tensor([[[1, 0, 0], [0, 1, 0], [1, 0, 0]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]]]).float()
    SECOND = torch.tensor([[[0, 0, 1], [0, 0, 1], [0, 0, 1]], [[0, 0, 1], [0, 0, 1], [0, 0, 1]]]).float()

    def __init__(self, states, bias=0.0):
        super().__init__()
        self.spec = DetectorSpec("known")
        self.window_s = 1.0
        self.known = [torch.tensor(state)[None, :, None] for state in states]
        self.head = torch.nn.Linear(1, 1)
        torch.nn.init.constant_(self.head.weight, -1.0)
        torch.nn.init.constant_(self.head.bias, -bias)

    def attention_maps(self, waveform):
        maps = [self.FIRST[None], self.SECOND[None]]
        return AttentionMaps(maps, self.known, lambda states: self.head(sum(states).mean(1)).squeeze(-1))


@pytest.mark.parametrize(
    ("states", "bias", "expected"),
    [
        # The first layer lets a quarter of frame 0 into frame 2; the second, half of frame 2 into each.
        ([[3.0, 0.0, 0.0]], 0.0, [0.5 + 0.5 * 0.25, 0.0, 0.5 * 0.75]),
        ([[0.0, 0.0, 3.0]], 0.0, [0.25, 0.0, 0.75]),
        ([[0.0, 0.0, 3.0], [0.0, 0.0, 0.0]], 0.0, [0.25, 0.0, 0.75]),
        ([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0]], 0.0, [1.0 + 0.5 * 0.25, 0.5, 0.5 * 0.75]),
        ([[0.0, 0.0, 0.0]], 3.0, [1.0, 0.5, 1.5]),
    ],
)
def test_by_hand(states, bias, expected):
    values = attention_rollout(Known(states, bias).eval(), torch.zeros(1, 16_000)).values
    np.testing.assert_allclose(values.numpy(), [expected], atol=1e-6)


def test_a_detector_without_attention():
    detector = build(DetectorSpec("resnet18", {"width": 2, "window_s": 1.0})).eval()
    with pytest.raises(ConfigError, match="no attention") as caught:
        explain(detector, spoofs(1.0, 1)[0].samples, method="attention-rollout")
    assert "grad-cam" in caught.value.hint
