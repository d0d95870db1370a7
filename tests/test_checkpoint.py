import json
import os
import struct
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import TINY, TINY_ENCODER
from safetensors.torch import save_file
from torch import nn

from deepcheck.card import Card, DetectorSpec, peek, to_header
from deepcheck.checkpoint import (
    Checkpoint,
    compact,
    describe_widths,
    load_checkpoint,
    same_tensors,
    save_checkpoint,
    snapshot,
)
from deepcheck.detectors import DETECTORS
from deepcheck.detectors.base import Detector, build
from deepcheck.detectors.encoder_config import allowed
from deepcheck.errors import DeepcheckError, ModelError
from deepcheck.plasticity.units import resize


@pytest.fixture
def grown(tiny):
    resize(tiny, tiny.groups()[2], add=3)
    resize(tiny, tiny.groups()[5], keep=torch.tensor([0, 2, 5]))
    return tiny


def card_of(model):
    return Card("mine", model.spec, describe_widths(model), metrics={"dev_eer": 0.1})


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_round_trip_is_exact_to_the_bit(tmp_path, grown, layout):
    grown.to(memory_format=layout)
    path = tmp_path / "deep" / "mine.safetensors"
    save_checkpoint(snapshot(grown, card_of(grown)), path)
    loaded = load_checkpoint(path)
    assert loaded.card == card_of(grown)
    assert loaded.card.widths == {"blocks.2.conv1": 11, "blocks.5.conv1": 3}
    assert same_tensors(loaded.tensors, grown.state_dict())
    model = loaded.build()
    assert same_tensors(model.state_dict(), grown.state_dict())
    assert not any(module.training for module in model.modules())
    sound = torch.randn(3, 16_000)
    model.to(memory_format=layout)
    assert torch.equal(model.score(sound), grown.score(sound))


def test_special_values_survive(tmp_path, tiny):
    with torch.no_grad():
        tiny.head.weight[0, :4] = torch.tensor([float("nan"), float("inf"), -0.0, 1e-42])
    save_checkpoint(snapshot(tiny, card_of(tiny)), tmp_path / "x")
    again = load_checkpoint(tmp_path / "x").tensors["head.weight"]
    assert again.numpy().tobytes() == tiny.head.weight.detach().numpy().tobytes()


def test_same_tensors_sees_every_difference(tiny):
    tensors = snapshot(tiny, card_of(tiny)).tensors
    assert same_tensors(tensors, dict(tiny.state_dict()))
    changed = {**tensors, "head.bias": tensors["head.bias"] + 1e-7}
    assert not same_tensors(tensors, changed)
    assert not same_tensors(tensors, {name: tensor for name, tensor in tensors.items() if name != "head.bias"})
    assert not same_tensors(tensors, {**tensors, "more": torch.zeros(1)})


def test_a_snapshot_is_a_real_copy(tiny):
    checkpoint = snapshot(tiny, card_of(tiny))
    before = {name: tensor.clone() for name, tensor in checkpoint.tensors.items()}
    optimizer = torch.optim.SGD(tiny.parameters(), lr=1.0)
    tiny.train().score(torch.randn(4, 16_000)).sum().backward()
    optimizer.step()
    assert not same_tensors(before, tiny.state_dict())  # training did move the weights and the statistics
    assert same_tensors(before, checkpoint.tensors)


def test_building_twice_gives_two_models(tiny):
    checkpoint = snapshot(tiny, card_of(tiny))
    one, other = checkpoint.build(), checkpoint.build()
    with torch.no_grad():
        one.head.weight.zero_()
    assert torch.equal(other.head.weight, tiny.head.weight)
    assert torch.equal(checkpoint.tensors["head.weight"], tiny.head.weight)


def test_a_truncated_file_is_called_damaged_though_its_card_can_be_read(tmp_path, tiny):
    path = tmp_path / "x.safetensors"
    save_checkpoint(snapshot(tiny, card_of(tiny)), path)
    whole = path.read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    for size in (8 + length, 8 + length + 100, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert peek(path) == card_of(tiny)
        with pytest.raises(ModelError, match=r"x\.safetensors is damaged"):
            load_checkpoint(path)


def test_pickles_and_foreign_files_are_refused(tmp_path, tiny):
    torch.save(tiny.state_dict(), tmp_path / "x.pt")
    with pytest.raises(ModelError, match="is not a safetensors file"):
        load_checkpoint(tmp_path / "x.pt")
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="no deepcheck model"):
        load_checkpoint(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda t: {k: v for k, v in t.items() if k != "head.bias"}, "head.bias"),
        (lambda t: {**t, "extra": torch.zeros(1)}, "extra"),
        (lambda t: {**t, "head.bias": torch.zeros(2)}, "head.bias"),
    ],
)
def test_the_weights_must_be_those_of_the_description(tiny, change, name):
    checkpoint = snapshot(tiny, card_of(tiny))
    with pytest.raises(ModelError, match='The weights of "mine" do not fit its description') as caught:
        replace(checkpoint, tensors=change(checkpoint.tensors)).build()
    assert name in caught.value.message


@pytest.mark.parametrize("spec", [DetectorSpec("resnet99"), DetectorSpec("resnet18", {"depth": 3})])
def test_a_detector_that_this_version_cannot_build(tiny, spec):
    checkpoint = snapshot(tiny, card_of(tiny))
    with pytest.raises(DeepcheckError, match=r"resnet99|depth"):
        replace(checkpoint, card=replace(checkpoint.card, spec=spec)).build()


def test_a_crash_while_writing_leaves_the_old_model(tmp_path, tiny, monkeypatch):
    path = tmp_path / "x.safetensors"
    old = snapshot(tiny, card_of(tiny))
    save_checkpoint(old, path)
    new = snapshot(build(TINY), card_of(tiny))
    assert not same_tensors(old.tensors, new.tensors)
    half_written = []

    def crash(handle):
        half_written.extend(p for p in tmp_path.iterdir() if p != path)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", crash)
        with pytest.raises(OSError, match="No space"):
            save_checkpoint(new, path)
    assert len(half_written) == 1
    assert same_tensors(load_checkpoint(path).tensors, old.tensors)
    assert list(tmp_path.iterdir()) == [path]
    save_checkpoint(new, path)
    assert same_tensors(load_checkpoint(path).tensors, new.tensors)


def test_a_process_killed_while_writing_leaves_the_old_model(tmp_path, tiny):
    import subprocess
    import sys

    path = tmp_path / "x.safetensors"
    save_checkpoint(snapshot(tiny, card_of(tiny)), path)
    code = (
        "import os, signal, sys; from pathlib import Path; from deepcheck.files import write_atomically\n"
        "os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomically(Path(sys.argv[1]), b'half')"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert killed.returncode == -9
    assert same_tensors(load_checkpoint(path).tensors, tiny.state_dict())
    assert [p.suffix for p in tmp_path.glob("*")].count(".safetensors") == 1
    assert Path(path).stat().st_size > 1000


SPECS = {
    **{name: DetectorSpec(name, {"window_s": 1.0}) for name in DETECTORS.names()},
    "hub": DetectorSpec(
        "hub",
        {
            "config": {"model_type": "hubert", **TINY_ENCODER},
            "extractor": {"feature_extractor_type": "Wav2Vec2FeatureExtractor"},
            "bonafide": [0],
            "spoof": [1],
            "window_s": 1.0,
        },
    ),
    "progressive": DetectorSpec("progressive", {"base": {"name": "gru", "arguments": {"window_s": 1.0}}}),
    "committee": DetectorSpec(
        "committee",
        {
            "members": [
                {"name": "resnet18", "arguments": {"width": 4, "window_s": 1.0}},
                {"name": "gru", "arguments": {"window_s": 1.0}},
            ]
        },
    ),
    "log-linear": DetectorSpec("resnet18", {"width": 4, "frontend": "log-linear", "window_s": 1.0}),
    "lfcc": DetectorSpec("lstm", {"units": [5], "bidirectional": True, "frontend": "lfcc", "window_s": 1.0}),
    "wav2vec2-stable": DetectorSpec(
        "wav2vec2",
        {"config": {**TINY_ENCODER, "do_stable_layer_norm": True}, "pool": "mean", "window_s": 1.0},
    ),
}


@pytest.mark.parametrize("family", SPECS)
def test_what_is_built_from_a_file_is_what_was_saved(tmp_path, family):
    if family == "snn":
        pytest.importorskip("snntorch", reason="needs the extra snn")
    torch.manual_seed(0)
    model = build(SPECS[family])
    with torch.no_grad():  # as after some training: no number is the constructor's
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    resize(model, model.groups()[-1], add=3)
    resize(model, model.groups()[0], keep=torch.arange(1, model.groups()[0].width))
    model.eval()
    sound = torch.randn(2, 16_000)
    scores = model.score(sound)
    state = torch.get_rng_state()
    save_checkpoint(snapshot(model, card_of(model)), tmp_path / "x")
    again = load_checkpoint(tmp_path / "x").build()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(again.score(sound), scores)
    assert same_tensors(dict(again.named_buffers()), dict(model.named_buffers()))
    assert {n: p.requires_grad for n, p in again.named_parameters()} == {
        n: p.requires_grad for n, p in model.named_parameters()
    }
    # Memory of its own: the file can go, or be written over.
    with (tmp_path / "x").open("r+b") as file:
        file.seek(-1000, os.SEEK_END)
        file.write(bytes(1000))
    assert same_tensors(again.state_dict(), model.state_dict())


class Foreign(Detector):
    """What others may do in a constructor, of which a file carries only a part."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = DetectorSpec("foreign")
        self.window_s = 1.0
        self.register_buffer("bank", torch.hann_window(400) + 1, persistent=False)
        self.register_buffer("directions", torch.randn(400, 8))
        self.constant = torch.linspace(0, 1, 8)
        self.inside = nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8))
        self.norm = nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))
        self.attention = nn.MultiheadAttention(8, 2)
        self.embedding = nn.Embedding(4, 8, padding_idx=0)
        self.truncated = nn.Parameter(nn.init.trunc_normal_(torch.empty(8), std=2))
        self.fixed = nn.Parameter(torch.empty(8), requires_grad=False)
        nn.init.trunc_normal_(self.fixed)
        nn.init.normal_(self.fixed.data)
        self.tame = nn.Parameter(torch.full((8,), torch.inf))
        with torch.no_grad():
            while self.tame.abs().max() > 3:  # until the draw pleases
                self.tame.normal_()
        nn.init.orthogonal_(self.attention.out_proj.weight)
        assert self.constant.numpy()[-1] == 1

    def features(self, waveform):
        return waveform.unfold(-1, 400, 400) * self.bank @ self.directions

    def logit(self, features):
        x = self.norm(self.inside(features * self.constant)) + self.embedding.weight[0] + self.truncated
        return (self.attention(x, x, x)[0] * self.fixed * self.tame).mean((1, 2))

    def groups(self):
        return []


def test_a_detector_of_others_is_built_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setitem(DETECTORS._rows, "foreign", f"{__name__}:Foreign")
    model = build(DetectorSpec("foreign")).eval()
    sound = torch.randn(2, 16_000)
    scores = model.score(sound)
    assert scores.std() > 0
    state = torch.get_rng_state()
    save_checkpoint(snapshot(model, card_of(model)), tmp_path / "x")
    again = load_checkpoint(tmp_path / "x").build()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(again.score(sound), scores)
    assert same_tensors(dict(again.named_buffers()), dict(model.named_buffers()))
    assert not again.fixed.requires_grad


@pytest.mark.parametrize(
    "settings",
    [
        {"num_labels": 10**9},
        {"num_hidden_layers": 10**6},
        {"hidden_size": "many"},
        {"num_attention_heads": 0},
        {"hidden_act": "nope"},
        {"conv_dim": []},
        {"conv_dim": [1 << 20] * 7},
        {"num_conv_pos_embeddings": 10**6},
        {"hidden_size": 16_384},
        {"vocab_size": 10**12},
    ],
    ids=str,
)
def test_networks_that_make_no_sense_are_refused_before_they_are_built(tiny, settings):
    config = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, **settings}
    card = Card("x", DetectorSpec("wav2vec2", {"config": config}))
    with pytest.raises(DeepcheckError):
        Checkpoint(card, {}).build()


def test_a_configuration_cannot_ask_for_code_from_elsewhere():
    config = {"hidden_size": 32, "attn_implementation": "kernels-community/x", "_attn_implementation": "someone/evil"}
    assert allowed(config) == {"hidden_size": 32}


@pytest.mark.parametrize("change", [{"history": ["x"]}, {"spec": {"name": "resnet18", "arguments": None}}], ids=str)
def test_a_card_of_other_shapes_is_refused(tmp_path, tiny, change):
    path = tmp_path / "x.safetensors"
    header = json.loads(to_header(Card("x", TINY))["deepcheck"]) | change
    save_file({"a": torch.zeros(1)}, path, metadata={"deepcheck": json.dumps(header)})
    with pytest.raises(ModelError, match="makes no sense"):
        peek(path)


@pytest.mark.parametrize("family", ["resnet18", "gru", "lstm", "distilled", "committee", "wav2vec2-stable"])
def test_compact_takes_half_the_space_and_moves_no_score_by_much(tmp_path, family):
    torch.manual_seed(0)
    model = build(SPECS[family]).train()
    with torch.no_grad():
        for _ in range(20):  # until the statistics of the normalisations are those of the weights
            model.score(torch.randn(4, 8_000))
    model.eval()
    whole = snapshot(model, card_of(model), {"dev.logits": torch.randn(100, dtype=torch.float64)})
    save_checkpoint(whole, tmp_path / "whole")
    save_checkpoint(compact(whole), tmp_path / "half")
    assert (tmp_path / "half").stat().st_size < 0.62 * (tmp_path / "whole").stat().st_size
    loaded = load_checkpoint(tmp_path / "half")
    assert same_tensors(loaded.evidence, whole.evidence)
    again = loaded.build()
    assert {tensor.dtype for tensor in again.state_dict().values() if tensor.is_floating_point()} == {torch.float32}
    stored = {name: tensor.to(whole.tensors[name].dtype) for name, tensor in loaded.tensors.items()}
    assert same_tensors(again.state_dict(), stored)
    with torch.no_grad():
        sound = torch.randn(4, 16_000)
        assert (again.score(sound) - model.score(sound)).abs().max() < 1e-2
    assert same_tensors(compact(compact(whole)).tensors, compact(whole).tensors)


def test_what_float16_cannot_hold_is_left_as_it_is(tiny):
    whole = snapshot(tiny, card_of(tiny))
    kept = torch.ones(4, 5)
    for tensor in (
        kept * 7e4,  # beyond the range
        torch.cat([kept, kept * 1e-6]),  # one row without digits
        kept * torch.nan,
        torch.ones(5),
        torch.ones(4, 5, dtype=torch.float64),
        torch.ones(4, 5, dtype=torch.int64),
    ):
        [found] = compact(replace(whole, tensors={"x": tensor})).tensors.values()
        assert found is tensor
    for tensor in (kept * 6e4, kept * 1e-3, kept * 0, torch.randn(3, 4, 5)):
        [found] = compact(replace(whole, tensors={"x": tensor})).tensors.values()
        assert found.dtype == torch.float16
        torch.testing.assert_close(found.float(), tensor, rtol=1e-3, atol=1e-6)
