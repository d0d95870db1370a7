import importlib.util
import json
import math
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from conftest import TINY_DISTILLED, speechlike
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from typer.testing import CliRunner

from deepcheck.audio.torchaudio_import import import_torchaudio
from deepcheck.card import Card
from deepcheck.checkpoint import load_checkpoint, same_tensors, save_checkpoint, snapshot
from deepcheck.cli.app import app
from deepcheck.detectors.base import build
from deepcheck.detectors.distilled import Distilled, _statistics
from deepcheck.errors import ConfigError, ModelError
from deepcheck.plasticity.growth import group_named
from deepcheck.plasticity.units import resize

SCRIPT = Path(__file__).parents[2] / "examples" / "recipes" / "convert_distillmos.py"
LICENCE = "MIT License\n\nCopyright (c) somebody\n"
CONVOLUTIONS = {f"cnn.{2 * i}.{kind}" for i in range(6) for kind in ("weight", "bias")}
HEAD = {"head.weight", "head.bias"}


def made(**arguments):
    torch.manual_seed(0)
    return Distilled(**{**TINY_DISTILLED, "window_s": 1.0, **arguments}).eval()


def sounds(count=2, seconds=1.0):
    return torch.stack([torch.from_numpy(speechlike(seconds, seed=seed)) for seed in range(count)])


def converter():
    spec = importlib.util.spec_from_file_location("convert_distillmos", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def origin(channels, width, heads, neurons, layers):
    """A network as the package has it, of any size: modules of PyTorch under the package's names, as after training."""
    torch.manual_seed(3)
    convolutions, inputs, bins = [], 2, 161
    for i, outputs in enumerate(channels):
        stride = (1 if i == 0 else 2, 2 if i == len(channels) - 1 else 1)
        convolutions += [nn.Conv2d(inputs, outputs, (3, 3), stride=stride, padding=(0, 1)), nn.LeakyReLU(0.1)]
        inputs, bins = outputs, (bins - 3) // stride[0] + 1
    layer = nn.TransformerEncoderLayer(width, heads, neurons, batch_first=True, dropout=0.0)
    transformer = {
        "norm": nn.BatchNorm1d(inputs * bins),
        "linear_proj": nn.Linear(inputs * bins, width),
        "transformer_encoder": nn.TransformerEncoder(layer, layers, enable_nested_tensor=False),
    }
    rest = {"norm_input": nn.BatchNorm1d(inputs * bins), "transformer": nn.ModuleDict(transformer)}
    cnn = nn.ModuleDict({"cnn": nn.Sequential(*convolutions)})
    model = nn.ModuleDict({"cnn": cnn, "transformer_pool_attn": nn.ModuleDict(rest)})
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.dim() == 1:
                tensor.copy_(torch.rand_like(tensor) + 0.2 if name.endswith(("var", "weight")) else tensor + 0.1)
    return model.eval()


def states_of(model, sound):
    """What the origin makes of (batch, samples): the output of each transformer layer."""
    sound = sound / (sound.abs().max(1, keepdim=True).values + 1e-8)
    sound = nn.functional.pad(sound, (80, 80), mode="reflect")
    window = torch.hann_window(320)
    spectrum = torch.view_as_real(torch.stft(sound, 320, 160, 320, window, center=False, return_complex=True))
    magnitude = spectrum.norm(dim=-1, keepdim=True).clip(1e-12)
    x = model["cnn"]["cnn"]((magnitude**0.3 * spectrum / magnitude).permute(0, 3, 1, 2)).flatten(1, 2)
    rest = model["transformer_pool_attn"]
    x = rest["transformer"]["norm"](rest["norm_input"](x)).transpose(1, 2)
    x = rest["transformer"]["linear_proj"](x)
    steps, width = x.shape[1:]
    places = torch.zeros(384, width)
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(2 * 384) / width))
    places[:, 0::2] = torch.sin(torch.arange(384).unsqueeze(1) * rates)
    places[:, 1::2] = torch.cos(torch.arange(384).unsqueeze(1) * rates)
    x = x + places[:steps]
    states = []
    for layer in rest["transformer"]["transformer_encoder"].layers:
        x = layer(x)
        states.append(x)
    return states


def wheel_of(model, path):
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("distillmos/weights/distill_mos_v7.pt", "w") as file:
            torch.save({"model": model.state_dict(), "step": 1}, file)
        archive.writestr("distillmos-0.9.1.dist-info/LICENSE", LICENCE)
    return path


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """(the origin, its weights as the example script converts them)."""
    folder = tmp_path_factory.mktemp("converted")
    model = origin(**TINY_DISTILLED)
    wheel, place = wheel_of(model, folder / "distillmos-0.9.1-py3-none-any.whl"), folder / "out" / "x.safetensors"
    done = subprocess.run([sys.executable, SCRIPT, wheel, place], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return model, place


def test_converted_weights_give_what_the_origin_gives(converted):
    model, place = converted
    ours = made(pretrained=str(place))
    sound = torch.cat([sounds(3), torch.zeros(1, 16_000)])
    with torch.no_grad():
        expected, states = states_of(model, sound), ours.states(ours.convolved(ours.features(sound)))
    assert len(states) == len(expected) == 2
    for state, other in zip(states, expected, strict=True):
        assert state.shape == (4, 50, 32)
        torch.testing.assert_close(state, other, atol=1e-5, rtol=1e-5)
        assert other.std() > 0.1


def test_the_licence_goes_with_the_weights(converted):
    with safe_open(converted[1], framework="pt") as file:
        assert file.metadata()["licence"] == LICENCE
        assert "distillmos-0.9.1" in file.metadata()["origin"]
        assert not any("pool." in name or "tracked" in name for name in file.keys())  # noqa: SIM118


def test_what_is_no_wheel_of_it(tmp_path):
    (tmp_path / "x.whl").write_bytes(b"no zip")
    command = [sys.executable, SCRIPT, tmp_path / "x.whl", tmp_path / "x.safetensors"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "x.whl is not the wheel of distillmos" in done.stderr
    assert not (tmp_path / "x.safetensors").exists()


def test_the_published_network_gives_what_its_package_gives(tmp_path, capsys):
    import_torchaudio()  # before the package, whose import fails beside a broken torchaudio
    package = pytest.importorskip("distillmos")
    model = package.ConvTransformerSQAModel(segmenting_in_forward=False).eval()
    save_file(converter().converted(model.state_dict()), tmp_path / "x.safetensors")
    ours = Distilled(pretrained=str(tmp_path / "x.safetensors"), window_s=7.68).eval()
    sound = sounds(2, 7.68)
    seen = []
    for layer in model.transformer_pool_attn.transformer.transformer_encoder.layers:
        layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output.detach()))
    model(sound)  # with gradients on, which keeps PyTorch from a way that runs no hooks
    with torch.no_grad():
        states = ours.states(ours.convolved(ours.features(sound)))
    assert len(seen) == 7
    for state, other in zip(states, seen, strict=True):
        torch.testing.assert_close(state, other, atol=2e-5, rtol=1e-5)


def test_the_compressed_spectrum():
    model = made()
    sound = sounds(2)
    features = model.features(sound)
    assert features.shape == (2, 2, 161, 100)
    assert features.is_contiguous(memory_format=torch.channels_last)
    assert (model.frequencies_hz()[[0, 20, 160]] == [0, 1000, 8000]).all()
    tone = torch.sin(2 * math.pi * 1000 * torch.arange(16_000) / 16_000)[None]
    magnitude = model.features(tone).square().sum(1).sqrt()[0, :, 50]
    assert magnitude.argmax() == 20
    assert float(magnitude[20]) == pytest.approx(80**0.3, rel=0.01)  # half of what the window adds up to
    torch.testing.assert_close(model.features(0.01 * sound), features, atol=1e-3, rtol=1e-3)  # whatever the level
    assert not model.features(torch.zeros(1, 16_000)).any()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model.features(sound), features)


@pytest.mark.parametrize("pool", ["last", "layers", "all"])
def test_one_logit_a_window(pool):
    model = made(pool=pool).eval()
    sound = sounds(5)
    scores = model.score(sound)
    assert scores.shape == (5,)
    assert scores.std() > 1e-3
    torch.testing.assert_close(scores, torch.cat([model.score(one[None]) for one in sound]))
    assert torch.equal(model.logit_of(model.embedded(model.features(sound))), scores)
    cached = model.convolved(model.features(sound))  # as a training with still convolutions may keep it
    assert cached.shape == (5, 50, model.projection.in_features)
    assert torch.equal(model.logit_of(model.pooled(model.states(cached), cached)), scores)
    for odd in (torch.zeros(2, 16_000), torch.ones(1, 8000), torch.randn(1, 160_000)):
        model.zero_grad()
        model.score(odd).sum().backward()
        assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_layers_are_pooled_with_learnt_weights():
    model = made(pool="layers")
    convolved = model.convolved(model.features(sounds()))
    states = model.states(convolved)
    pooled = model.pooled(states, convolved)
    mean = (states[0] + states[1]) / 2
    torch.testing.assert_close(pooled[:, :32], mean.mean(1))
    torch.testing.assert_close(pooled[:, 32:], mean.std(1, correction=0), atol=1e-5, rtol=1e-4)
    model.layer_weights.data = torch.tensor([-200.0, 200.0])
    torch.testing.assert_close(model.pooled(states, convolved), made().pooled(states, convolved))  # the last one


def test_the_head_may_read_the_convolutions_beside_the_last_layer():
    model, plain = made(pool="both"), made()
    convolved = model.convolved(model.features(sounds()))
    states = model.states(convolved)
    pooled = model.pooled(states, convolved)
    torch.testing.assert_close(pooled[:, :64], plain.pooled(states, convolved))
    standardised = model.standardise(convolved)
    torch.testing.assert_close(pooled[:, 64 : 64 + standardised.shape[2]], 0.3 * standardised.mean(1))
    assert pooled.shape[1] == model.head.in_features == 64 + 2 * standardised.shape[2]


def test_the_head_may_read_all_layers_each_value_on_its_own_scale():
    model, plain = made(pool="all"), made()
    convolved = model.convolved(model.features(sounds(6)))
    states = model.states(convolved)
    pooled = model.pooled(states, convolved)
    standardised = model.standardise(convolved)
    values = standardised.shape[2]
    assert pooled.shape[1] == model.head.in_features == 2 * values + 2 * 64
    torch.testing.assert_close(pooled[:, values : 2 * values], standardised.std(1, correction=0), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(pooled[:, -128:-96], states[0].mean(1))
    torch.testing.assert_close(pooled[:, -64:], plain.pooled(states, convolved))
    model.train()
    usual = pooled.mean(0), pooled.std(0, correction=0)
    expected = model.head((pooled - usual[0]) / (usual[1].square() + 1e-5).sqrt()).squeeze(1)
    torch.testing.assert_close(model.logit_of(pooled), expected, atol=1e-4, rtol=1e-4)


def test_the_head_may_read_what_moves_within_some_steps():
    model, still = made(pool="all", lags=[1, 3]), made(pool="all")
    convolved = model.convolved(model.features(sounds()))
    states = model.states(convolved)
    pooled = model.pooled(states, convolved)
    assert pooled.shape[1] == model.head.in_features == 2 * still.head.in_features
    expected = (states[-1][:, 3:] - states[-1][:, :-3]).square().mean(1).sqrt()
    torch.testing.assert_close(pooled[:, -32:], expected, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(pooled[:, -128:-64], still.pooled(states, convolved)[:, -64:])


def test_what_moves_by_hand():
    # 0 0 2 0: moves of 0, 2, -2 in a step, 2, 0 in two, and 0 in three, which is all there is for a lag of nine.
    steps = torch.tensor([0.0, 0.0, 2.0, 0.0])[None, :, None]
    found = _statistics(steps, (1, 2, 9))[0]
    torch.testing.assert_close(
        found, torch.tensor([0.5, 0.75, 8 / 3, 2.0, 0.0]).pow(torch.tensor([1.0, *[0.5] * 4])), atol=1e-3, rtol=0.0
    )
    torch.testing.assert_close(_statistics(steps[:, :1], (1,))[0], torch.tensor([0.0, 0.0, 0.0]), atol=1e-3, rtol=0.0)


def test_means_are_finer_than_the_numbers_of_autocast():
    # 3 of 200 steps differ: by less than bfloat16 resolves beside 1.
    steps = torch.ones(1, 200, 4, dtype=torch.bfloat16)
    steps[:, :3] += 2**-6
    with torch.autocast("cpu", torch.bfloat16):
        mean = _statistics(steps, ())[0, 0]
    assert mean.dtype == torch.float32
    assert float(mean) == pytest.approx(1 + 3 / 200 / 64, abs=1e-6)


@pytest.mark.parametrize(
    ("learns", "still"),
    [
        ("all", set()),
        ("layers", CONVOLUTIONS),
        (1, {*CONVOLUTIONS, "projection", "layers.0"}),
        (0, {*CONVOLUTIONS, "projection", "layers.0", "layers.1"}),
    ],
)
@pytest.mark.parametrize("pool", ["last", "layers"])
def test_what_learns(learns, still, pool):
    model = made(learns=learns, pool=pool).train()
    assert model.spec.arguments["learns"] == learns
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=0.01, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model.score(sounds(4)).square().sum().backward()
        optimizer.step()
    moved = {name for name, tensor in model.state_dict().items() if not tensor.equal(before[name])}
    buffers = {"standardise.scale", "standardise.shift"}
    quiet = {name for name in before if name.startswith(tuple(still))} if still else set()
    # Keys' biases add the same to all products of a query: to the softmax they are nothing.
    assert {name for name in before if not name.endswith("k_proj.bias")} - moved - buffers == {
        name for name in quiet if not name.endswith("k_proj.bias")
    }
    assert not moved & quiet
    again = snapshot(model, Card("x", model.spec)).build()
    assert {n for n, p in again.named_parameters() if not p.requires_grad} == quiet


def test_a_saved_model_is_a_start_with_its_head_and_without_its_origin(converted, tmp_path):
    model = made(pretrained=str(converted[1]), learns=0)
    assert "pretrained" not in model.spec.arguments
    assert str(tmp_path) not in json.dumps(model.spec.arguments)
    measured = {"dev.llr": torch.zeros(5)}
    save_checkpoint(snapshot(model, Card("x", model.spec), measured), tmp_path / "model.safetensors")
    assert load_checkpoint(tmp_path / "model.safetensors").build().spec == model.spec
    again = made(pretrained=str(tmp_path / "model.safetensors"), learns="all")
    assert same_tensors(again.state_dict(), model.state_dict())
    assert all(parameter.requires_grad for parameter in again.parameters())


def test_a_new_head_is_drawn_and_the_rest_is_read(converted):
    torch.manual_seed(1)
    one = Distilled(pretrained=str(converted[1]), **TINY_DISTILLED)
    torch.manual_seed(2)
    other = Distilled(pretrained=str(converted[1]), **TINY_DISTILLED)
    ours, theirs = one.state_dict(), other.state_dict()
    assert {name for name in ours if not ours[name].equal(theirs[name])} == HEAD
    assert ours.keys() - load_file(converted[1]).keys() == HEAD


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: {}, "it has no cnn.0.weight"),
        (lambda tensors: {**tensors, "mystery": torch.zeros(1)}, "nothing here is called mystery"),
        (lambda tensors: {**tensors, "layers.2.up.bias": torch.zeros(24)}, "nothing here is called layers.2.up.bias"),
        (lambda tensors: {**tensors, "layers.0.up.bias": torch.zeros(25)}, "size mismatch for layers.0.up.bias"),
    ],
)
def test_weights_that_do_not_fit(converted, tmp_path, change, message):
    save_file(change(load_file(converted[1])), tmp_path / "y.safetensors")
    with pytest.raises(ModelError, match="pretrained weights") as caught:
        made(pretrained=str(tmp_path / "y.safetensors"))
    assert message in caught.value.message
    assert "convert_distillmos.py" in caught.value.hint


def test_a_file_of_weights_that_is_none(tmp_path):
    (tmp_path / "z.safetensors").write_bytes(b"rubbish")
    for path in (tmp_path / "z.safetensors", tmp_path / "nothing.safetensors", tmp_path):
        with pytest.raises(ModelError, match="cannot be loaded"):
            made(pretrained=str(path))


def test_groups_and_the_spec():
    model = made()
    assert [(g.layer, g.part, g.width) for g in model.groups()] == [
        (layer, part, width)
        for layer in (1, 2)
        for part, width in (("heads", 4), ("head-dims", 8), ("ffn", 24), ("block", 0))
    ]
    json.dumps(model.spec.arguments)
    again = build(model.spec)
    assert again.spec == model.spec
    assert again.state_dict().keys() == model.state_dict().keys()


def test_what_still_layers_grow_stays_still_until_it_is_asked_to_learn():
    model = made(learns=1)
    for name in ("layers.0.ffn", "layers.1.ffn"):
        resize(model, group_named(model, name), add=3)
    assert not model.get_submodule("layers.0.up").weight.requires_grad
    assert model.get_submodule("layers.1.up").weight.requires_grad


def test_the_published_shape():
    model = Distilled()
    assert (len(model.layers), model.projection.in_features, model.projection.out_features) == (7, 1024, 200)
    assert model.window_s == 4.0
    assert sum(parameter.numel() for parameter in model.parameters()) == 4_048_129


def test_where_the_cells_of_the_convolutions_lie():
    model = made()
    features = model.features(sounds(1)).requires_grad_()
    (first, step), (first_frame, frames) = model.cam_grid()
    cells = []
    hook = model.cam_target().register_forward_hook(lambda _module, _inputs, output: cells.append(output))
    model.logit(features)
    hook.remove()
    [cells] = cells
    assert cells.shape == (1, 6, 4, 50)
    for row, column in ((0, 20), (3, 31)):
        (gradient,) = torch.autograd.grad(cells[0, :, row, column].sum(), features, retain_graph=True)
        rows, columns = (gradient.abs().sum((0, 1, other)).nonzero() for other in (3, 2))
        assert (rows.min() + rows.max()).item() / 2 == first + row * step
        assert (columns.min() + columns.max()).item() / 2 == first_frame + column * frames


@pytest.mark.parametrize("pool", ["last", "layers"])
def test_attention_maps(pool):
    model = made(pool=pool)
    sound = sounds(2)
    with torch.no_grad():
        attention = model.attention_maps(sound)
        assert [tuple(maps.shape) for maps in attention.maps] == [(2, 4, 50, 50)] * 2
        torch.testing.assert_close(attention.maps[1].sum(-1), torch.ones(2, 4, 50))
        assert len(attention.states) == (1 if pool == "last" else 2)
        torch.testing.assert_close(attention.read(attention.states), model.score(sound))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pool": "max"}, "no pooling"),
        ({"lags": [0]}, "lags are"),
        ({"lags": [1.5]}, "lags are"),
        ({"width": 33}, "make no detector"),
        ({"layers": 0}, "make no detector"),
        ({"channels": []}, "make no detector"),
        ({"channels": [4] * 7}, "make no detector"),
        ({"channels": [4, 0]}, "make no detector"),
        ({"learns": 3}, "learns is 3"),
        ({"learns": "head"}, "learns is 'head'"),
        ({"learns": -1}, "learns is -1"),
    ],
)
def test_what_makes_no_detector(arguments, message):
    with pytest.raises(ConfigError, match=message):
        made(**arguments)


def test_training_begins_with_the_weights(converted, corpus, home):
    settings = {
        **{f"detector.{name}": value for name, value in TINY_DISTILLED.items()},
        "detector.window_s": 1,
        "detector.learns": 1,
        "data.workers": 0,
        "data.holdout": 0.3,
        "sampling.samples_per_epoch": 16,
        "precision": "fp32",
    }
    flags = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    flags += ["--epochs", "1", "--batch-size", "8", "--device", "cpu", "--name", "mine"]
    result = CliRunner().invoke(app, ["train", "--pretrained", str(converted[1]), "--data", str(corpus), *flags])
    assert result.exit_code == 0, (result.stderr, result.exception)
    checkpoint = load_checkpoint(home / "models" / "mine.safetensors")
    assert checkpoint.card.spec.name == "distilled"
    origin = load_file(converted[1])
    assert checkpoint.tensors["layers.0.up.weight"].equal(origin["layers.0.up.weight"])
    assert not checkpoint.tensors["layers.1.up.weight"].equal(origin["layers.1.up.weight"])
