import numpy as np
import pytest
import torch

from deepcheck import store
from deepcheck.checkpoint import same_tensors
from deepcheck.engine.model import load
from deepcheck.engine.score import Scorer
from deepcheck.errors import ModelError
from deepcheck.files import sha256


def test_by_name_by_file_and_by_default(stored_model, home, tmp_path, monkeypatch):
    stored_model("one", spoof=-2.0)
    stored_model("two")
    store.set_current("two")
    assert load("one").card.thresholds.spoof == -2.0
    assert load().card.name == "two"
    copy = tmp_path / "sent.safetensors"
    copy.write_bytes((home / "models" / "one.safetensors").read_bytes())
    monkeypatch.chdir(tmp_path)
    for place in (copy, str(copy), "sent.safetensors"):
        model = load(place)
        assert model.card.name == "sent"  # as its user calls it, not as its maker did
        assert model.path.resolve() == copy
        assert model.sha256 == sha256(copy)


def test_it_is_ready_for_use(stored_model, tiny):
    model = load(stored_model())
    assert same_tensors(model.detector.state_dict(), tiny.state_dict())
    assert not any(module.training for module in model.detector.modules())
    assert {p.device.type for p in model.detector.parameters()} == {"cpu"}
    sound = torch.randn(2, 16_000)
    assert torch.equal(model.detector.score(sound), tiny.score(sound))


def test_scores_are_made_in_full_float32(tiny):
    # Otherwise those of a GPU differ from those of a CPU by some thousandths.
    allowed = []
    tiny.stem.register_forward_pre_hook(lambda *_: allowed.append(torch.backends.cudnn.allow_tf32))
    Scorer(tiny, device="cpu").logits(np.zeros((1, 16_000), np.float32))
    tiny.score(torch.zeros(1, 16_000))
    assert allowed == [False, True]


def test_errors(stored_model, home, tmp_path):
    with pytest.raises(ModelError, match='There is no model "nobody"'):
        load("nobody")
    path = home / "models" / f"{stored_model()}.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ModelError, match="is damaged"):
        load("tiny")
    (home / "models" / "text.safetensors").write_text("hello, this is text")
    with pytest.raises(ModelError, match="is not a safetensors file"):
        load("text")
