"""What a step minimises: by default what it always was, and with every loss a run that may be stopped."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from conftest import write_corpus
from detectors.test_embedding import Plain
from engine.test_train import finish, same_run, settings, start_of_a_run

from deepcheck.audio.augment.chain import Chain
from deepcheck.card import DetectorSpec
from deepcheck.checkpoint import same_tensors
from deepcheck.config import OptimizerConfig, TrainConfig, load_config, to_dict
from deepcheck.data.loader import Batch
from deepcheck.detectors.base import build
from deepcheck.engine.losses import LOSSES
from deepcheck.engine.objective import Objective
from deepcheck.engine.processes import ALONE
from deepcheck.engine.train import train
from deepcheck.errors import ConfigError

OTHERS = [name for name in LOSSES.names() if name != "bce"]
MEL = {"frontend": {"name": "mel", "bins": 8}, "window_s": 1.0}


def batch(clips=7):
    generator = torch.Generator().manual_seed(3)
    waveforms = torch.randn(clips, 8000, generator=generator)
    numbers = torch.arange(clips)
    return Batch(waveforms, (numbers % 2).float(), numbers // 3, ())


def gradients(detector):
    found = {name: parameter.grad.clone() for name, parameter in detector.named_parameters()}
    detector.zero_grad()
    return found


def objective(detector, **changes):
    config = replace(TrainConfig(optimizer=OptimizerConfig(label_smoothing=0.1)), **changes)
    return Objective(config, detector, Chain(), 0, torch.float32, ALONE)


@pytest.fixture
def detector():
    torch.manual_seed(0)
    return build(DetectorSpec("gru", {"units": [4, 3], **MEL}))


def test_by_default_it_is_the_smoothed_cross_entropy_to_the_bit(detector):
    heard = batch()
    told = objective(detector).backward(heard, torch.Generator())
    found = gradients(detector)
    expected = F.binary_cross_entropy_with_logits(detector.score(heard.waveforms), heard.labels * (1 - 0.1) + 0.1 / 2)
    expected.backward()
    assert told == expected.item()
    assert same_tensors(found, gradients(detector))


@pytest.mark.parametrize("parts", [2, 3, 99])
def test_in_parts_each_clip_weighs_the_same(detector, parts):
    whole = objective(detector).backward(batch(), torch.Generator())
    expected = gradients(detector)
    optimizer = OptimizerConfig(label_smoothing=0.1, accumulate=parts)
    assert objective(detector, optimizer=optimizer).backward(batch(), torch.Generator()) == pytest.approx(whole)
    for name, gradient in gradients(detector).items():
        assert torch.allclose(gradient, expected[name], atol=1e-6), name


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("name", OTHERS)
def test_a_loss_sees_logits_embeddings_labels_and_sources(detector, name, parts):
    heard, optimizer = batch(8), OptimizerConfig(label_smoothing=0.1, accumulate=parts)
    chosen = objective(detector, loss={"name": name}, optimizer=optimizer)
    told = chosen.backward(heard, torch.Generator())
    found = gradients(detector)
    total = 0.0
    for part in torch.arange(8).tensor_split(parts):
        embeddings = detector.embedded(detector.features(heard.waveforms[part]))
        targets = heard.labels[part] * 0.9 + 0.05
        loss = chosen.loss(detector.logit_of(embeddings), embeddings, targets, heard.sources[part]) / parts
        loss.backward()
        total += loss.item()
    assert told == pytest.approx(total)
    for parameter, gradient in gradients(detector).items():
        assert torch.allclose(found[parameter], gradient, atol=1e-6), parameter


def test_a_detector_without_an_embedding_has_most_of_them():
    detector = Plain()
    detector.spec = DetectorSpec("plain")
    heard = replace(batch(8), waveforms=torch.randn(8, 16_000, generator=torch.Generator().manual_seed(0)))
    for name in OTHERS:
        if name != "contrastive":
            assert objective(detector, loss={"name": name}).backward(heard, torch.Generator()) > 0
    with pytest.raises(ConfigError, match='The loss "contrastive" looks at embeddings, and the plain has none'):
        objective(detector, loss={"name": "contrastive"})


def in_couples(corpus):
    """Both labels in each source, so that there are couples."""
    for number in range(3):
        (corpus / "spoof" / f"system{number}").rename(corpus / "spoof" / f"site{number}")
    return corpus


@pytest.fixture
def places(corpus):
    return in_couples(corpus)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """What `bce` ends with on the same recordings."""
    place = tmp_path_factory.mktemp("plain")
    config = settings(in_couples(write_corpus(place / "corpus")), epochs=2, save_minutes=0.0)
    return finish(config, place / "run")[1]


@pytest.mark.parametrize("name", OTHERS)
def test_stopped_and_started_again_it_ends_with_the_same_weights(places, plain, tmp_path, name):
    config = settings(places, epochs=2, save_minutes=0.0, loss={"name": name})
    _, whole = finish(config, tmp_path / "whole")
    for _ in range(6):  # a step each, into the second epoch
        start_of_a_run(config, tmp_path / "run")
    events, done = finish(config, tmp_path / "run")
    assert events[0].first_epoch == 2
    same_run(done, whole)
    assert done.checkpoint.card.history[-1]["config"]["loss"] == {"name": name}
    assert not same_tensors(plain.checkpoint.tensors, whole.checkpoint.tensors)


def test_another_loss_is_another_training(corpus, tmp_path):
    config = settings(corpus, save_minutes=0.0)
    start_of_a_run(config, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"other settings: loss\.name\."):
        next(train(replace(config, loss={"name": "couples"}), tmp_path / "run"))


def test_a_loss_that_does_not_exist_is_noticed_before_anything_else(tmp_path):
    with pytest.raises(ConfigError) as caught:
        next(train(TrainConfig(loss={"name": "worst-sorce"}), tmp_path / "run"))
    assert caught.value.message == 'There is no loss "worst-sorce".'
    assert caught.value.hint.startswith('Did you mean "worst-source"?')


def test_from_the_command_line_and_the_file(tmp_path):
    assert TrainConfig().loss == load_config(None).loss == {"name": "bce"}
    assert load_config(None, ["loss=couples"]).loss == {"name": "couples"}
    assert load_config(None, ["loss.name=couples", "loss.weight=0.5"]).loss == {"name": "couples", "weight": 0.5}
    place = tmp_path / "recipe.yaml"
    place.write_text("loss: {name: worst-source, sharpness: 2}\n")
    assert to_dict(load_config(place))["loss"] == {"name": "worst-source", "sharpness": 2}
