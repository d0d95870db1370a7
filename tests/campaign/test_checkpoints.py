"""What strangers may send in the place of a model."""

import builtins
import pickle
from collections import Counter
from dataclasses import replace

import pytest
import torch

from deepcheck.card import Card, DetectorSpec, peek
from deepcheck.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, snapshot
from deepcheck.detectors.allowance import Allowance
from deepcheck.detectors.base import build
from deepcheck.errors import ConfigError, DeepcheckError, ModelError

from .checkpoints import MUTATIONS, counted, mutated, originals, used


def test_a_thousand_mutated_checkpoints_load_or_are_refused(tmp_path):
    before = _peak_mb()
    tally, loaded = counted(tmp_path, 1000, 0)
    assert tally.broken == []
    assert tally.kept
    # Otherwise it would be a test of nothing but the first check: some do load, and most do not.
    assert 100 < loaded < 400
    assert tally.peak_mb - before < 400


def test_each_mutation_is_refused_at_times_and_the_unchanged_never(tmp_path):
    sources = originals(tmp_path)
    refused, sentences = Counter(), []
    path = tmp_path / "x.safetensors"
    for case in range(4 * len(MUTATIONS)):
        name, content = mutated(sources, case, 5)
        path.write_bytes(content)
        try:
            used(path)
        except DeepcheckError as error:
            refused[name] += 1
            sentences.append(error.message)
    assert all("\n" not in sentence and len(sentence) < 600 for sentence in sentences)
    assert not refused["unchanged"]
    assert refused.keys() >= MUTATIONS.keys() - {"unchanged", "append", "flip_data", "no_numbers", "added", "renamed"}
    assert mutated(sources, 7, 5) == mutated(sources, 7, 5) != mutated(sources, 7, 6)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("resnet18", {"width": 1_000_000}),
        ("resnet18", {"width": 4096}),
        ("gru", {"units": [100_000]}),
        ("gru", {"units": [1] * 100_000}),
        ("distilled", {"layers": 10**9, "width": 8, "neurons": 1}),
        ("distilled", {"channels": [10**6]}),
        ("committee", {"members": [{"name": "gru", "arguments": {"units": [50_000]}}] * 2}),
        ("resnet18", {"frontend": {"name": "mel", "bins": 10**7}}),
        ("resnet18", {"frontend": {"name": "mel", "window_ms": 1e9}}),
        ("resnet18", {"frontend": {"name": "mel", "hop_ms": 1e-9}}),
        ("resnet18", {"frontend": {"name": "lfcc", "filters": 10**7}}),
        ("resnet18", {"frontend": {"name": "cqt", "bins": 10**7, "bins_per_octave": 10**7}}),
        ("gru", {"stack": 10**9}),
        ("gru", {"bidirectional": [1]}),
        ("gru", {"dropout": "much"}),
        ("resnet18", {"window_s": 1e9}),
    ],
    ids=range(16),
)
def test_a_description_that_would_fill_the_memory_is_refused_before_it_does(name, arguments):
    before = _peak_mb()
    with pytest.raises(DeepcheckError):
        Checkpoint(Card("x", DetectorSpec(name, arguments)), {"head.bias": torch.zeros(1)}).build()
    assert _peak_mb() - before < 300


def _peak_mb():
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_absurd_widths_are_refused_before_they_are_allocated(tiny):
    card = Card(
        "x", tiny.spec, widths={"blocks.7.conv1": 1 << 20, "blocks.6.conv1": 1 << 20, "blocks.5.conv1": 1 << 20}
    )
    before = _peak_mb()
    with pytest.raises(ModelError, match="far larger than its weights"):
        Checkpoint(card, snapshot(tiny, card).tensors).build()
    assert _peak_mb() - before < 300


def test_an_allowance_counts_what_is_made():
    with Allowance(numbers=100, tensors=3), pytest.raises(ModelError):
        torch.zeros(101)
    with Allowance(numbers=100, tensors=3):
        made = torch.empty(4, 5), torch.ones((2, 3)), torch.arange(70)
    assert sum(tensor.numel() for tensor in made) == 96
    with Allowance(numbers=100, tensors=3), pytest.raises(ModelError):
        torch.nn.ModuleList(torch.nn.Linear(1, 1) for _ in range(2))
    for make in (
        lambda: torch.full((11, 10), 0.5),
        lambda: torch.eye(11),
        lambda: torch.linspace(0, 1, steps=101),
        lambda: torch.zeros(1).new_empty((101,)),
        lambda: torch.zeros(1).expand(101).clone(),
        lambda: torch.nn.Linear(10, 11),
        lambda: torch.nn.Conv2d(10, 11, 1),
        lambda: torch.nn.GRU(5, 5),
    ):
        with Allowance(numbers=100), pytest.raises(ModelError):
            make()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.fill_(float("nan")), "head.weight holds a number that is not finite"),
        (lambda t: t.fill_(float("-inf")), "head.weight holds a number that is not finite"),
        (lambda t: t.to(torch.int64), "head.weight holds numbers of the type int64"),
        (lambda t: t.to(torch.complex64), "head.weight holds numbers of the type complex64"),
        (lambda t: t.to(torch.bool), "head.weight holds numbers of the type bool"),
    ],
)
def test_weights_that_nothing_can_be_computed_with_are_refused(tiny, change, reason):
    checkpoint = snapshot(tiny, Card("mine", tiny.spec))
    tensors = {**checkpoint.tensors, "head.weight": change(checkpoint.tensors["head.weight"].clone())}
    with pytest.raises(ModelError, match=f'The weights of "mine" do not fit its description: {reason}'):
        replace(checkpoint, tensors=tensors).build()
    for kind in (torch.float16, torch.bfloat16, torch.float64):
        whole = {**checkpoint.tensors, "head.weight": checkpoint.tensors["head.weight"].to(kind)}
        assert replace(checkpoint, tensors=whole).build().head.weight.dtype == torch.float32


def test_a_variance_below_nothing_is_refused(tiny):
    checkpoint = snapshot(tiny, Card("mine", tiny.spec))
    wrong = {**checkpoint.tensors, "stem_norm.running_var": -checkpoint.tensors["stem_norm.running_var"]}
    with pytest.raises(ModelError, match=r"stem_norm\.running_var holds a variance below 0"):
        replace(checkpoint, tensors=wrong).build()


def test_a_checkpoint_of_a_later_version_says_so(tmp_path, tiny, monkeypatch):
    path = tmp_path / "x.safetensors"
    monkeypatch.setattr("deepcheck.card.FORMAT", 2)
    save_checkpoint(snapshot(tiny, Card("mine", tiny.spec, version="9.0")), path)
    monkeypatch.undo()
    with pytest.raises(ModelError, match=r"was made by a newer deepcheck \('9\.0'\)") as caught:
        peek(path)
    assert caught.value.hint == "Update deepcheck."


def test_what_a_stage_tells_of_itself_cannot_stop_the_command_that_shows_it(tmp_path, tiny, capsys):
    from deepcheck.cli.models import show

    odd = ({"stage": "fuse", "members": [{"gain": "x"}]}, {"stage": "grow", "changes": 3}, {"stage": "x", "from": 1})
    path = tmp_path / "x.safetensors"
    save_checkpoint(snapshot(tiny, Card("mine", tiny.spec, history=odd, rates={"miss": 0.5})), path)
    show(str(path), as_json=False)
    assert capsys.readouterr().out.count("makes no sense") == 2


def test_types_of_arguments_are_those_of_the_constructor():
    with pytest.raises(ConfigError, match=r'"width" of the detector "resnet18" should be of type int, not \'8\''):
        build(DetectorSpec("resnet18", {"width": "8"}))
    with pytest.raises(ConfigError, match='"units" of the detector "gru" should be of type Sequence'):
        build(DetectorSpec("gru", {"units": [8, "8"]}))


def test_loading_a_model_unpickles_nothing(tmp_path, tiny, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("something is unpickled")

    path = tmp_path / "x.safetensors"
    save_checkpoint(snapshot(tiny, Card("mine", tiny.spec)), path)
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr(builtins, "eval", refuse)
    assert torch.isfinite(load_checkpoint(path).build().score(torch.ones(1, 16_000))).all()
