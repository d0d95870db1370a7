import json
import shutil
from pathlib import Path

import pytest
import torch
from conftest import TINY_ENCODER
from detectors.hub_models import KINDS, save_model

from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import load_checkpoint, same_tensors, save_checkpoint, snapshot
from deepcheck.detectors.base import build
from deepcheck.detectors.hub import Hub
from deepcheck.detectors.hub_checkpoint import fetch, meanings
from deepcheck.errors import ConfigError, ModelError
from deepcheck.plasticity.growth import grow
from deepcheck.plasticity.inits import Context
from deepcheck.plasticity.plan import Change

SOUND = 0.1 * torch.randn(3, 16_000, generator=torch.Generator().manual_seed(0)) + 0.02


@torch.no_grad()
def theirs(model, extractor, sound=SOUND):
    """(batch, labels): what transformers itself gives."""
    return model(**extractor(list(sound.numpy()), sampling_rate=16_000, return_tensors="pt")).logits


@pytest.mark.parametrize("kind", KINDS)
def test_it_gives_what_transformers_gives(tmp_path, kind):
    model, extractor = save_model(tmp_path, kind)
    expected = theirs(model, extractor)
    assert expected.std() > 1e-3
    detector = fetch(str(tmp_path), window_s=1.0).detector
    with torch.no_grad():
        features = detector.features(SOUND)
        torch.testing.assert_close(detector.outputs(features), expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(detector.score(SOUND), expected[:, 1] - expected[:, 0], atol=1e-5, rtol=0)
        assert detector.logit(features).shape == detector.logit_of(detector.embedded(features)).shape == (3,)
    assert features.ndim == 3  # bins and frames, for what acts on features
    assert detector.has_embedding
    assert detector.spec.arguments["bonafide"] == [1]
    assert sum(parameter.numel() for parameter in detector.cam_target().parameters()) > 1000


@pytest.mark.parametrize("kind", ["audio-spectrogram-transformer", "whisper"])
def test_what_is_filled_up_counts_in_the_length_of_the_features(tmp_path, kind):
    save_model(tmp_path, kind)
    detector = fetch(str(tmp_path), window_s=1.0).detector
    features = detector.features(SOUND)
    assert features.shape[-1] == pytest.approx(100 * detector.features_s(), abs=2)  # frames of 10 ms


def test_it_gives_the_probability_of_their_pipeline(tmp_path):
    model, extractor = save_model(tmp_path)
    from transformers.pipelines import AudioClassificationPipeline

    pipeline = AudioClassificationPipeline(model=model, feature_extractor=extractor)
    found = {row["label"]: row["score"] for row in pipeline(SOUND[0].numpy())}
    with torch.no_grad():
        score = fetch(str(tmp_path), window_s=1.0).detector.score(SOUND[:1])
    assert torch.sigmoid(score).item() == pytest.approx(found["real"], abs=1e-5)


@pytest.mark.parametrize("normalised", [True, False])
def test_sound_is_normalised_if_the_model_wants_it(tmp_path, normalised):
    model, extractor = save_model(tmp_path, normalised=normalised)
    detector = fetch(str(tmp_path), window_s=1.0).detector
    quiet = 0.01 * SOUND
    with torch.no_grad():
        torch.testing.assert_close(
            detector.outputs(detector.features(quiet)), theirs(model, extractor, quiet), atol=1e-5, rtol=0
        )
        assert torch.allclose(detector.score(quiet), detector.score(SOUND), atol=1e-2) == normalised


def test_swapped_labels_swap_the_sign(tmp_path):
    save_model(tmp_path, labels=("A", "B"))
    one, other = (fetch(str(tmp_path), f"spoof={a},bonafide={b}", 1.0).detector for a, b in (("A", "B"), ("B", "A")))
    assert torch.equal(one.score(SOUND), -other.score(SOUND))


def test_several_labels_of_a_kind(tmp_path):
    model, extractor = save_model(tmp_path, labels=("noise", "tts", "human", "vc"))
    found = fetch(str(tmp_path), "spoof=tts,bonafide=human,spoof=vc", 1.0)
    assert found.labels == "bonafide=human,spoof=tts,spoof=vc"
    assert (found.detector.bonafide, found.detector.spoof) == ([2], [1, 3])
    probability = theirs(model, extractor).softmax(1)
    with torch.no_grad():
        torch.testing.assert_close(
            found.detector.score(SOUND), (probability[:, 2] / (probability[:, 1] + probability[:, 3])).log()
        )


@pytest.mark.parametrize(
    ("names", "bonafide", "spoof"),
    [
        (("fake", "real"), [1], [0]),
        (("Bona-Fide", "Spoof"), [0], [1]),
        (("bona fide", "spoofed"), [0], [1]),
        (("AIVoice", "HumanVoice"), [1], [0]),
        (("Real Audio", "Fake Audio"), [0], [1]),
        (("genuine", "AI_generated", "deepfake speech"), [0], [1, 2]),
        (("SYNTHETIC", "authentic"), [1], [0]),
    ],
)
def test_labels_that_leave_no_doubt(names, bonafide, spoof):
    assert meanings(dict(enumerate(names))) == {"bonafide": bonafide, "spoof": spoof}


@pytest.mark.parametrize(
    "names",
    [
        ("LABEL_0", "LABEL_1"),
        ("fake", "LABEL_1"),
        ("real", "human"),
        ("fake", "not fake"),
        ("fake", "nonfake"),
        ("fake", "real", "silence"),
        ("0", "1"),
        ("positive", "negative"),
        ("fake",),
        ("unreal", "real"),
    ],
)
def test_labels_that_leave_a_doubt_are_asked_for(names):
    with pytest.raises(ConfigError, match="not certain what the labels mean") as caught:
        meanings(dict(enumerate(names)))
    assert all(name in caught.value.message for name in names)
    assert "--labels 'spoof=" in caught.value.hint


def test_many_labels_are_not_all_listed():
    with pytest.raises(ConfigError, match=r"sound11 and 488 more\. "):
        meanings({i: f"sound{i}" for i in range(500)})


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("spoof=nobody,bonafide=real", 'The model has no label "nobody"'),
        ("spoof=fake", '"spoof=fake" names no label for bonafide'),
        ("spoof=fake,bonafide=fake", "takes 'fake' for both"),
        ("fake,real", '"fake" says not what a label means'),
        ("false=fake,bonafide=real", '"false=fake" says not what a label means'),
        ("", '"" says not what a label means'),
    ],
)
def test_labels_that_make_no_sense(labels, message):
    with pytest.raises(ConfigError) as caught:
        meanings({0: "fake", 1: "real"}, labels)
    assert message in caught.value.message
    assert "fake" in caught.value.hint


def test_labels_are_taken_as_they_are_written_or_else_without_their_case():
    assert meanings({0: "Fake", 1: "fake", 2: "REAL"}, " spoof = fake , Bona-fide = real ") == {
        "bonafide": [2],
        "spoof": [1],
    }


def test_an_unknown_label_is_named_by_the_error_about_the_model(tmp_path):
    save_model(tmp_path, labels=("LABEL_0", "LABEL_1"))
    with pytest.raises(ConfigError, match=r"cannot be used\. It is not certain .*: LABEL_0, LABEL_1\.") as caught:
        fetch(str(tmp_path))
    assert "spoof=LABEL_0,bonafide=LABEL_1" in caught.value.hint
    assert fetch(str(tmp_path), "spoof=LABEL_1,bonafide=LABEL_0").detector.spoof == [1]


def test_pickled_weights_are_refused(tmp_path):
    model, _ = save_model(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no weights in the format safetensors \(only pytorch_model.bin\)") as caught:
        fetch(str(tmp_path))
    assert "no pickled weights" in caught.value.hint


def test_code_beside_the_weights_is_not_run(tmp_path):
    save_model(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["auto_map"] = {
        "AutoModelForAudioClassification": "evil.Model",
        "AutoConfig": "evil.Config",
        "AutoFeatureExtractor": "evil.Extractor",
    }
    config["attn_implementation"] = config["_attn_implementation"] = "somebody/kernels"
    (tmp_path / "config.json").write_text(json.dumps(config))
    preprocessor = json.loads((tmp_path / "preprocessor_config.json").read_text())
    preprocessor["auto_map"] = {"AutoFeatureExtractor": "evil.Extractor"}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'was-here')!r}, 'w')\nclass Model: pass\n")
    detector = fetch(str(tmp_path), window_s=1.0).detector
    assert not (tmp_path / "was-here").exists()
    assert not {"auto_map", "attn_implementation", "_attn_implementation"} & set(detector.spec.arguments["config"])
    assert "auto_map" not in detector.spec.arguments["extractor"]
    # Nor from a checkpoint of a stranger.
    config = {**detector.spec.arguments["config"], "auto_map": {"AutoModelForAudioClassification": "evil.Model"}}
    build(DetectorSpec("hub", {**detector.spec.arguments, "config": config, "window_s": 1.0}))


def test_weights_that_are_not_there_are_not_made_up(tmp_path):
    save_model(tmp_path)
    from safetensors.torch import load_file, save_file

    weights = load_file(tmp_path / "model.safetensors")
    save_file({k: v for k, v in weights.items() if "classifier" not in k}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"no weights for 2 parts of the network, classifier\.bias") as caught:
        fetch(str(tmp_path))
    assert "bare encoder" in caught.value.hint


def edited(folder, name, **settings):
    document = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**document, **settings}))


def test_models_that_cannot_be_used(tmp_path):
    save_model(tmp_path / "whole")

    def broken(name):
        return Path(shutil.copytree(tmp_path / "whole", tmp_path / name))

    edited(broken("kind"), "config.json", model_type="bert")
    with pytest.raises(ConfigError, match="'bert' do not sort sound into labels"):
        fetch(str(tmp_path / "kind"))
    (broken("no-extractor") / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match="does not say how its input is made"):
        fetch(str(tmp_path / "no-extractor"))
    edited(broken("rate"), "preprocessor_config.json", sampling_rate=8_000)
    with pytest.raises(ConfigError, match="hears sound at 8000 Hz"):
        fetch(str(tmp_path / "rate"))
    (broken("adapter") / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="holds an adapter"):
        fetch(str(tmp_path / "adapter"))
    edited(broken("wider"), "config.json", hidden_size=64)
    with pytest.raises(ModelError, match="cannot be used"):
        fetch(str(tmp_path / "wider"))
    place = broken("cut") / "model.safetensors"
    place.write_bytes(place.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cannot be used"):
        fetch(str(tmp_path / "cut"))
    (broken("no-config") / "config.json").write_text("[]")
    with pytest.raises(ModelError, match=r"no config\.json"):
        fetch(str(tmp_path / "no-config"))
    with pytest.raises(ModelError, match="There is no folder"):
        fetch(str(tmp_path / "nowhere"))


def test_a_window_that_is_longer_than_what_the_network_sees(tmp_path):
    save_model(tmp_path, "audio-spectrogram-transformer")
    with pytest.raises(ConfigError, match=r"sees 1\.01 s at a time, less than windows of 4 s"):
        fetch(str(tmp_path))
    save_model(tmp_path / "whisper", "whisper")
    with pytest.raises(ConfigError, match=r"sees 30\.00 s"):
        fetch(str(tmp_path / "whisper"), window_s=31)


@pytest.mark.parametrize("kind", ["hubert", "audio-spectrogram-transformer"])
def test_a_checkpoint_is_rebuilt_without_its_origin(tmp_path, kind):
    save_model(tmp_path / "origin", kind)
    detector = fetch(str(tmp_path / "origin"), window_s=1.0).detector
    assert str(tmp_path) not in json.dumps(detector.spec.arguments)
    save_checkpoint(snapshot(detector, Card("x", detector.spec)), tmp_path / "x.safetensors")
    shutil.rmtree(tmp_path / "origin")
    again = load_checkpoint(tmp_path / "x.safetensors").build()
    assert again.spec == detector.spec
    assert same_tensors(again.state_dict(), detector.state_dict())
    with torch.no_grad():
        assert torch.equal(again.score(SOUND), detector.score(SOUND))


def test_half_precision_and_several_files(tmp_path):
    model, extractor = save_model(tmp_path)
    expected = theirs(model, extractor)
    shutil.rmtree(tmp_path)
    model.half().save_pretrained(tmp_path, max_shard_size="50KB")
    extractor.save_pretrained(tmp_path)
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    detector = fetch(str(tmp_path), window_s=1.0).detector
    assert {parameter.dtype for parameter in detector.parameters()} == {torch.float32}
    with torch.no_grad():
        torch.testing.assert_close(detector.score(SOUND), expected[:, 1] - expected[:, 0], atol=5e-3, rtol=0)
    next(tmp_path.glob("model-*.safetensors")).unlink()
    with pytest.raises(ModelError, match="no weights in the format safetensors"):
        fetch(str(tmp_path))


def test_the_digest_is_that_of_the_files_and_of_what_they_are_taken_for(tmp_path):
    save_model(tmp_path)
    digests = [
        fetch(str(tmp_path), labels, window_s).sha256
        for labels, window_s in (
            (None, 1.0),
            ("spoof=fake,bonafide=real", 1.0),
            ("spoof=real,bonafide=fake", 1.0),
            (None, 2.0),
        )
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    save_model(tmp_path, seed=5)
    assert fetch(str(tmp_path), window_s=1.0).sha256 not in digests


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert"])
def test_layers_that_are_known_can_grow(tmp_path, kind):
    save_model(tmp_path, kind)
    detector = fetch(str(tmp_path), window_s=1.0).detector
    assert [(g.layer, g.part, g.width) for g in detector.groups()] == [
        (layer, part, width) for layer in (1, 2) for part, width in (("heads", 4), ("head-dims", 8), ("ffn", 24))
    ]
    with torch.no_grad():
        before = detector.score(SOUND)
        grow(detector, [Change(group, 2) for group in detector.groups()[-1:]], "zero", Context(torch.Generator()))
        torch.testing.assert_close(detector.score(SOUND), before)
    assert detector.groups()[-1].width == 26


def test_other_networks_do_not_grow(tmp_path):
    save_model(tmp_path, "wavlm")
    assert fetch(str(tmp_path), window_s=1.0).detector.groups() == []


def test_arguments_that_make_no_sense():
    config, extractor = (
        {"model_type": "wav2vec2", **TINY_ENCODER},
        {"feature_extractor_type": "Wav2Vec2FeatureExtractor"},
    )
    for bonafide, spoof in (([0], [0]), ([], [1]), ([0], [2]), ([-1], [0]), ([True], [0]), ([0, 0], [1])):
        with pytest.raises(ConfigError, match="make no detector"):
            Hub(config=config, extractor=extractor, bonafide=bonafide, spoof=spoof)
    with pytest.raises(ConfigError, match="feature extractor 'Evil' is not known"):
        Hub(config=config, extractor={"feature_extractor_type": "Evil"}, bonafide=[0], spoof=[1])
    with pytest.raises(ConfigError, match="None do not sort sound"):
        Hub(config={}, extractor=extractor, bonafide=[0], spoof=[1])
    with pytest.raises(ConfigError, match="configuration of the network makes no sense"):
        Hub(config={**config, "hidden_size": "wide"}, extractor=extractor, bonafide=[0], spoof=[1])
    model = Hub(config=config, extractor=extractor, bonafide=[0], spoof=[1], window_s=1.0)
    assert not model.network.wav2vec2.masked_spec_embed.requires_grad
    assert build(model.spec).spec == model.spec


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """What huggingface_hub has fetched: nothing; asked for more, the network is down."""
    import huggingface_hub

    calls = []

    def snapshot_download(repository, *, revision, allow_patterns, local_files_only):
        from huggingface_hub.errors import LocalEntryNotFoundError

        calls.append((repository, revision, local_files_only))
        assert not any("bin" in pattern or pattern.endswith(".py") for pattern in allow_patterns)
        place = tmp_path / "hub" / repository.replace("/", "--") / (revision or "0" * 40)
        if place.is_dir():
            return str(place)
        if local_files_only:
            raise LocalEntryNotFoundError("not cached")
        raise ConnectionError("Name or service not known.")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return calls


def test_what_was_fetched_before_needs_no_network(cache, tmp_path):
    save_model(tmp_path / "hub" / "somebody--detector" / ("0" * 40))
    save_model(tmp_path / "hub" / "somebody--detector" / "v2", seed=9)
    found = fetch("somebody/detector", window_s=1.0)
    assert found.revision == "0" * 40
    assert cache == [("somebody/detector", None, True)]
    other = fetch("somebody/detector@v2", window_s=1.0)
    assert cache[1:] == [("somebody/detector", "v2", True)]
    assert other.sha256 != found.sha256


def test_without_a_network(cache):
    with pytest.raises(ModelError, match=r"not on this machine, and .* \(Name or service not known\)\.") as caught:
        fetch("somebody/detector")
    assert "hf:/path" in caught.value.hint
    assert cache == [("somebody/detector", None, True), ("somebody/detector", None, False)]


def test_what_was_fetched_in_part_is_fetched_again(cache, tmp_path):
    place = tmp_path / "hub" / "somebody--detector" / ("0" * 40)
    save_model(place)
    (place / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no weights in the format safetensors"):
        fetch("somebody/detector")
    assert [local for *_, local in cache] == [True, False]


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        ("RepositoryNotFoundError", 'There is no model "a/b" on the Hugging Face hub', "Check its name"),
        ("GatedRepoError", "given only to those who ask", "hf auth login"),
        ("RevisionNotFoundError", 'has no revision "None"', "huggingface.co"),
        ("HfHubHTTPError", "cannot be reached", "hf:/path"),
    ],
)
def test_what_the_hub_refuses(monkeypatch, error, message, hint):
    import huggingface_hub
    from huggingface_hub import errors

    class Response:
        def __init__(self):
            self.headers, self.request = {}, None

    def snapshot_download(*_, local_files_only, **__):
        if local_files_only:
            raise errors.LocalEntryNotFoundError("not cached")
        raise getattr(errors, error)("no", response=Response())

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(ModelError) as caught:
        fetch("a/b")
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize("name", ["", "owner", "a/b/c", "../b", "~/nowhere", "/nowhere", "a b/c"])
def test_names_that_are_neither_folder_nor_model(name, tmp_path, monkeypatch, cache):
    monkeypatch.chdir(tmp_path)
    if not name:
        name = "nowhere"
    with pytest.raises(ModelError, match="There is no folder"):
        fetch(name)
    assert cache == []
