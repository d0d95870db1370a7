import logging

import pytest
import torch
from conftest import TINY

from deepcheck.config import DataConfig, SamplingConfig, SourceConfig, TrainConfig
from deepcheck.engine import compiled
from deepcheck.engine.compiled import Compiled
from deepcheck.engine.events import Done
from deepcheck.engine.train import train
from deepcheck.engine.train_state import load_state

CALLS = []


def counting(graph, _):
    """A compiler that leaves all as it is, and counts what it was given."""
    CALLS.append(graph)
    return graph.forward


def broken(graph, _):
    raise RuntimeError("No working C++ compiler found\nin this place")


@pytest.fixture(autouse=True)
def forgotten():
    CALLS.clear()
    torch._dynamo.reset()


def trained(corpus, run_dir, **changes):
    config = TrainConfig(
        epochs=1,
        batch_size=8,
        device="cpu",
        precision="fp32",
        detector={"name": "resnet18", **TINY.arguments, "dropout": 0.2},
        data=DataConfig(SourceConfig(str(corpus)), holdout=0.3, workers=0),
        sampling=SamplingConfig(samples_per_epoch=16, min_crop_s=1.0),
        **changes,
    )
    *_, done = train(config, run_dir)
    assert isinstance(done, Done)
    return done.checkpoint


def test_a_compiled_training_is_the_plain_one(lasting_corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "BACKEND", counting)
    plain = trained(lasting_corpus, tmp_path / "plain")
    assert CALLS == []
    fast = trained(lasting_corpus, tmp_path / "fast", compile=True)
    assert len(CALLS) == 1
    assert fast.card.history[-1]["config"]["compile"] is True
    assert fast.tensors.keys() == plain.tensors.keys()
    assert not any("_orig_mod" in name for name in load_state(tmp_path / "fast" / "state.safetensors").tensors["model"])
    for name, tensor in plain.tensors.items():
        assert torch.allclose(tensor, fast.tensors[name], atol=1e-4), name


def test_where_the_compiler_fails_the_function_goes_on_alone(monkeypatch, caplog):
    monkeypatch.setattr(compiled, "BACKEND", broken)
    twice = Compiled(lambda x: 2 * x + 1)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert twice(torch.ones(3)).tolist() == [3.0] * 3
    assert len(caplog.records) == 1
    assert "torch.compile does not work here" in caplog.text
    assert "No working C++ compiler found): the training goes on without it." in caplog.text
    monkeypatch.setattr(compiled, "BACKEND", "eager")
    with pytest.raises(ZeroDivisionError):  # an error of the function is its own
        Compiled(lambda x: x + 1 // 0)(torch.ones(1))
