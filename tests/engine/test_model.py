import numpy as np
import pytest
import torch
from conftest import speechlike, write_wav
from detectors.hub_models import save_model

from deepcheck import store
from deepcheck.checkpoint import same_tensors, save_checkpoint, snapshot
from deepcheck.engine.model import from_hub, load
from deepcheck.engine.score import Scorer
from deepcheck.errors import ModelError
from deepcheck.files import sha256
from deepcheck.scanner.panel import Panel


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


def test_scores_of_a_gpu_are_made_in_full_float32(tiny, monkeypatch):
    # Otherwise they differ from those of a CPU by some thousandths.
    allowed = []
    tiny.stem.register_forward_pre_hook(lambda *_: allowed.append(torch.backends.cudnn.allow_tf32))
    scorer = Scorer(tiny, device="cpu")
    monkeypatch.setattr(scorer, "_whole", torch.from_numpy)
    scorer.device = torch.device("cuda")  # in name: the tensors stay where they are
    scorer.logits(np.zeros((1, 16_000), np.float32))
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


@pytest.mark.parametrize("kind", ["wav2vec2", "audio-spectrogram-transformer"])
def test_a_model_of_the_hub_is_the_same_by_its_place_and_by_its_name(tmp_path, home, kind):
    settings = {"max_length": 1024} if kind.startswith("audio") else {}
    save_model(tmp_path / "theirs", kind, **settings)
    if settings:
        import transformers

        transformers.ASTFeatureExtractor(num_mel_bins=32, max_length=1024).save_pretrained(tmp_path / "theirs")
    by_place = load(f"hf:{tmp_path / 'theirs'}")
    assert by_place.card.name == f"hf:{tmp_path / 'theirs'}"
    assert (by_place.card.calibration, by_place.card.thresholds) == (None, None)
    assert by_place.path == tmp_path / "theirs"
    assert not by_place.detector.training
    save_checkpoint(snapshot(by_place.detector, by_place.card), home / "models" / "mine.safetensors")
    by_name = load("mine")
    files = [write_wav(tmp_path / f"{i}.wav", speechlike(4.5 + i, seed=i)) for i in range(2)]
    expected = dict(Panel([by_place], device="cpu").results(files, 1))
    found = dict(Panel([by_name], device="cpu").results(files, 1))
    assert [found[i].llr for i in (0, 1)] == [expected[i].llr for i in (0, 1)]
    assert {(result.verdict, result.notes[-1].name) for result in found.values()} == {("inconclusive", "uncalibrated")}
    settings = dict(Panel([by_name], device="cpu").basis().settings)
    assert settings["labels"] == "bonafide=real,spoof=fake"


def test_the_labels_of_a_model_of_the_hub(tmp_path):
    save_model(tmp_path / "theirs", labels=("A", "B"))
    place = f"hf:{tmp_path / 'theirs'}"
    one, other = (load(place, labels=labels) for labels in ("spoof=A,bonafide=B", "spoof=B,bonafide=A"))
    sound = torch.randn(2, 64_000)
    assert torch.equal(one.detector.score(sound), -other.detector.score(sound))
    assert one.sha256 != other.sha256
    assert from_hub(place, "spoof=A,bonafide=B", 2.0).detector.window_s == 2.0
