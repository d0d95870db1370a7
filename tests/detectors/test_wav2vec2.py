import json

import pytest
import torch
from conftest import TINY_ENCODER as ENCODER
from torch.utils._python_dispatch import TorchDispatchMode

from deepcheck.audio.torchaudio_import import import_torchaudio
from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import Checkpoint, load_checkpoint, same_tensors, save_checkpoint, snapshot
from deepcheck.detectors.base import build, build_unfilled
from deepcheck.detectors.wav2vec2 import SIZES, Wav2Vec2
from deepcheck.errors import ConfigError, ModelError

STABLE = {**ENCODER, "do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}


def made(config=ENCODER, **arguments):
    torch.manual_seed(0)
    return Wav2Vec2(config=config, window_s=1.0, **arguments).eval()


@pytest.fixture
def saved(tmp_path):
    """Saves an encoder as transformers does; returns it and its folder."""
    import_torchaudio()
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    def save(config):
        torch.manual_seed(4)
        model = Wav2Vec2Model(Wav2Vec2Config(**config)).eval()
        model.save_pretrained(tmp_path / "encoder")
        return model, tmp_path / "encoder"

    return save


@pytest.mark.parametrize("config", [ENCODER, STABLE])
def test_a_pretrained_encoder_gives_what_transformers_gives(saved, config):
    reference, folder = saved(config)
    model = Wav2Vec2(pretrained=str(folder), pool="mean", window_s=1.0).eval()
    sound = 0.1 * torch.randn(2, 16_000) + 0.05
    normal = (sound - sound.mean(1, keepdim=True)) / (sound.std(1, keepdim=True) + 1e-5)
    with torch.no_grad():
        expected = reference(normal)
        features = model.features(sound)
        torch.testing.assert_close(model.encoder.feature_projection(features.transpose(1, 2))[1], expected[1])
        torch.testing.assert_close(model.states(features), expected.last_hidden_state)
        score = model.head(expected.last_hidden_state.mean(1))[:, 0]
        torch.testing.assert_close(model.score(sound), score)


def test_a_pretrained_encoder_is_saved_without_its_origin(saved, tmp_path):
    _, folder = saved(ENCODER)
    model = Wav2Vec2(pretrained=str(folder), window_s=1.0).eval()
    assert "pretrained" not in model.spec.arguments
    assert str(folder) not in json.dumps(model.spec.arguments)
    save_checkpoint(snapshot(model, Card("x", model.spec)), tmp_path / "x.safetensors")
    again = load_checkpoint(tmp_path / "x.safetensors").build()
    assert same_tensors(again.state_dict(), model.state_dict())
    sound = torch.randn(2, 16_000)
    assert torch.equal(again.score(sound), model.score(sound))


def test_a_checkpoint_that_names_weights_elsewhere_is_refused():
    model = made()
    spec = DetectorSpec("wav2vec2", {**model.spec.arguments, "pretrained": "somebody/something"})
    with pytest.raises(ModelError, match="names weights outside its file"):
        Checkpoint(Card("x", spec), model.state_dict()).build()


def test_a_folder_without_an_encoder(tmp_path):
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        Wav2Vec2(pretrained=str(tmp_path))
    assert "save_pretrained" in caught.value.hint


@pytest.mark.parametrize("config", [ENCODER, STABLE])
def test_layers_are_pooled_with_learnt_weights(config):
    model = made(config)
    features = model.features(torch.randn(2, 16_000))
    assert features.shape == (2, 16, 49)
    assert model.states(features).shape == (2, 49, 32)
    model.layer_weights.data = torch.tensor([-200.0, 200.0])
    last = []
    hook = model.encoder.encoder.layers[-1].register_forward_hook(lambda _m, _i, output: last.append(output))
    states = model.states(features)
    hook.remove()
    torch.testing.assert_close(states, last[0])
    model.score(torch.randn(2, 16_000)).sum().backward()
    assert model.layer_weights.grad is not None
    assert not any(layer._forward_hooks for layer in model.encoder.encoder.layers)


def test_layerdrop_and_masking_are_off():
    model = made({**ENCODER, "layerdrop": 0.5, "apply_spec_augment": True})
    assert model.encoder.config.layerdrop == 0
    assert not model.encoder.config.apply_spec_augment
    torch.manual_seed(0)
    assert model.train().score(torch.randn(4, 16_000)).isfinite().all()


def test_groups_and_the_spec():
    model = made()
    assert [(g.layer, g.part, g.width) for g in model.groups()] == [
        (layer, part, width)
        for layer in (1, 2)
        for part, width in (("heads", 4), ("head-dims", 8), ("ffn", 24), ("block", 0))
    ]
    again = build(model.spec)
    assert again.spec == model.spec
    assert again.state_dict().keys() == model.state_dict().keys()
    json.dumps(model.spec.arguments)


def test_what_is_not_there():
    with pytest.raises(ConfigError, match="no pooling") as caught:
        made(pool="max")
    assert "layers" in caught.value.hint
    with pytest.raises(ConfigError, match="of size") as caught:
        Wav2Vec2(size="huge")
    assert all(size in caught.value.hint for size in SIZES)


@pytest.mark.parametrize("pool", ["mean", "layers"])
@pytest.mark.parametrize("config", [ENCODER, STABLE, {**STABLE, "add_adapter": True, "num_adapter_layers": 1}])
def test_every_parameter_is_either_learnt_or_left_alone(config, pool):
    model = made(config, pool=pool)
    sound = torch.randn(2, 16_000)
    before = model.score(sound)
    before.sum().backward()
    idle = {name: parameter for name, parameter in model.named_parameters() if not parameter.requires_grad}
    learnt = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert "encoder.masked_spec_embed" in idle
    assert [name for name, parameter in learnt.items() if parameter.grad is None] == []
    with torch.no_grad():
        for parameter in idle.values():
            parameter.add_(1)
        assert torch.equal(model.score(sound), before)
    assert idle.keys() | learnt.keys() <= model.state_dict().keys()  # a file carries all the same


def test_what_is_idle_depends_on_the_pool():
    final_norm = {"encoder.encoder.layer_norm.weight", "encoder.encoder.layer_norm.bias"}
    for config, pool, expected in (
        (ENCODER, "mean", {"layer_weights"}),
        (ENCODER, "layers", set()),
        (STABLE, "mean", {"layer_weights"}),
        (STABLE, "layers", final_norm),
        ({**ENCODER, "mask_time_prob": 0.0}, "layers", None),
    ):
        idle = {name for name, parameter in made(config, pool=pool).named_parameters() if not parameter.requires_grad}
        assert idle == (set() if expected is None else expected | {"encoder.masked_spec_embed"})


class Draws(TorchDispatchMode):
    """Takes down the shapes of what is drawn at random."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in (torch.ops.aten.normal_, torch.ops.aten.uniform_):
            self.shapes.append(tuple(args[0].shape))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("constructor", "matrices"), [(build, True), (build_unfilled, False)])
def test_a_model_to_be_loaded_is_not_drawn_first(constructor, matrices):
    # transformers replaces the functions of nn.init while it builds a model: they must be known all the same.
    with Draws() as drawn:
        constructor(DetectorSpec("wav2vec2", {"config": ENCODER}))
    assert any(len(shape) == 2 for shape in drawn.shapes) == matrices
