"""Learning from a teacher: what it says, what is made of it, and that it has not heard what its pupil is tested on."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import TINY, TINY_DISTILLED
from engine.test_train import finish, of, same_run, settings, start_of_a_run

from deepcheck import store
from deepcheck.audio.augment.chain import Chain
from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import load_checkpoint, same_tensors, save_checkpoint, snapshot
from deepcheck.config import (
    CalibrationConfig,
    DistilConfig,
    FoldsConfig,
    SamplingConfig,
    TrainConfig,
    load_config,
    to_dict,
)
from deepcheck.data.loader import Batch
from deepcheck.detectors.base import build
from deepcheck.engine.distil import Teacher, check_teachers, of_fold
from deepcheck.engine.events import Step
from deepcheck.engine.objective import Objective
from deepcheck.engine.processes import ALONE
from deepcheck.engine.score import Scorer
from deepcheck.engine.train import train, train_on, without_places
from deepcheck.engine.training_sets import read_all
from deepcheck.errors import ConfigError, ModelError
from deepcheck.metrics.calibration import Calibration

CPU = torch.device("cpu")
LONGER = DetectorSpec("gru", {"units": [4, 3], "frontend": {"name": "mel", "bins": 8}, "window_s": 4.0})
FEW = CalibrationConfig(false_alarm=0.4, miss=0.45, confidence=0.5, conditions=[])


def model(place, spec=TINY, calibration=None, seed=1, name="big"):
    """The path of a model that nobody has trained."""
    torch.manual_seed(seed)
    detector = build(spec)
    card = Card(name, detector.spec, calibration=calibration)
    save_checkpoint(snapshot(detector, card), place)
    return str(place)


def heard(clips=6):
    generator = torch.Generator().manual_seed(3)
    labels = (torch.arange(clips) % 2).float()
    return Batch(torch.randn(clips, 8000, generator=generator), labels, torch.zeros(clips, dtype=torch.int64), ())


def teacher(path, pupil, done=0, **changes):
    return Teacher(DistilConfig(str(path), **changes), CPU, torch.float32, pupil, done)


def test_it_says_its_calibrated_ratio_of_what_it_hears(tmp_path, tiny):
    path = model(tmp_path / "big.safetensors", calibration=Calibration(2.0, -0.5))
    sounds = heard().waveforms
    detector = load_checkpoint(Path(path)).build()
    with torch.no_grad():
        expected = 2.0 * detector.score(sounds) - 0.5
    own = teacher(path, tiny)
    assert torch.allclose(own.llr(sounds), expected, atol=1e-6)
    assert torch.equal(own.llr(sounds), own.llr(sounds))  # nothing of it moves
    # Without calibration its logits are what it says.
    plain = model(tmp_path / "plain.safetensors")
    assert torch.allclose(teacher(plain, tiny).llr(sounds), (expected + 0.5) / 2.0, atol=1e-6)


@pytest.mark.parametrize(("weight", "temperature"), [(0.0, 1.0), (0.25, 1.0), (0.5, 3.0), (1.0, 2.0)])
def test_the_mixture_by_hand(tmp_path, tiny, weight, temperature):
    own = teacher(model(tmp_path / "big.safetensors"), tiny, weight=weight, temperature=temperature)
    sounds, logits = heard().waveforms, torch.tensor([0.3, -2.0, 1.0, 0.0, 4.0, -0.7])
    p = 1 / (1 + np.exp(-own.llr(sounds).double().numpy() / temperature))
    q = 1 / (1 + np.exp(-logits.double().numpy() / temperature))
    imitation = temperature**2 * -(p * np.log(q) + (1 - p) * np.log(1 - q)).mean()
    mixed = own.mixed_into(torch.tensor(0.9), logits, sounds)
    assert mixed.item() == pytest.approx((1 - weight) * 0.9 + weight * imitation, rel=1e-5)


def test_its_gradient_reaches_the_pupil_alone(tmp_path, tiny):
    path = model(tmp_path / "big.safetensors", calibration=Calibration(1.5, 0.0))
    config = TrainConfig(distil=DistilConfig(path, weight=1.0))
    objective = Objective(config, tiny, Chain(), 0, torch.float32, ALONE)
    told = objective.backward(heard(), torch.Generator())
    own = objective.teacher
    assert own is not None
    assert all(parameter.grad is None for parameter in own.detector.parameters())
    found = {name: parameter.grad.clone() for name, parameter in tiny.named_parameters()}
    tiny.zero_grad()
    wanted = own.llr(heard().waveforms).sigmoid()
    loss = F.binary_cross_entropy_with_logits(tiny.score(heard().waveforms), wanted)
    loss.backward()
    assert told == pytest.approx(loss.item())
    for name, parameter in tiny.named_parameters():
        assert torch.allclose(found[name], parameter.grad, atol=1e-6), name


def test_a_pupil_comes_nearer_to_its_teacher(corpus, tmp_path):
    config = settings(corpus, epochs=8, augment=[], sampling=SamplingConfig(samples_per_epoch=32, min_crop_s=1.0))
    everything = read_all(config)
    paths = [utterance.path for utterance in everything.utterances]

    def scores_of(checkpoint):
        return np.array([scores.mean_llr() for scores in Scorer(checkpoint.build(), device="cpu").recordings(paths)])

    # A teacher that has learnt nothing, so that nothing but itself leads to what it says.
    path = tmp_path / "big.safetensors"
    model(path, seed=5)
    said = scores_of(load_checkpoint(path))
    known = Calibration(1.0 / said.std(), -said.mean() / said.std())
    model(path, seed=5, calibration=known)
    distances = []
    for number, weight in enumerate((0.0, 0.5, 1.0)):
        own = replace(config, distil=DistilConfig(str(path), weight=weight))
        [*_, done] = train_on(own, tmp_path / f"run{number}", everything, None, ALONE)
        distances.append(np.abs(scores_of(done.checkpoint) - known.llr(said)).mean())
    assert distances[2] < distances[1] < distances[0]
    assert distances[2] < 0.5 * distances[0]


def test_stopped_and_started_again_it_ends_with_the_same_weights(corpus, tmp_path):
    path = model(tmp_path / "big.safetensors", LONGER)
    optimizer = replace(settings(corpus).optimizer, accumulate=2)
    config = settings(corpus, epochs=2, save_minutes=0.0, distil=DistilConfig(path), optimizer=optimizer)
    _, whole = finish(config, tmp_path / "whole")
    for _ in range(5):
        start_of_a_run(config, tmp_path / "run")
    events, done = finish(config, tmp_path / "run")
    assert (of(events, Step)[0].epoch, of(events, Step)[0].step) == (2, 2)
    same_run(done, whole)
    with pytest.raises(ConfigError, match=r"other settings: distil\.weight\."):
        next(train(replace(config, distil=DistilConfig(path, weight=0.1)), tmp_path / "run"))


def test_without_a_teacher_nothing_is_another(corpus, tmp_path):
    config = settings(corpus, epochs=1)
    _, plain = finish(config, tmp_path / "plain")
    _, weighted = finish(replace(config, distil=DistilConfig(weight=0.9, temperature=3.0)), tmp_path / "weighted")
    assert same_tensors(plain.checkpoint.tensors, weighted.checkpoint.tensors)


def test_by_name_and_nothing_of_where_it_lay(corpus, tmp_path, stored_model):
    name = stored_model("big")
    config = settings(corpus, epochs=1, distil=DistilConfig(name))
    _, done = finish(config, tmp_path / "run")
    assert done.checkpoint.card.history[-1]["config"]["distil"]["teacher"] == "big"
    places = DistilConfig(str(tmp_path / "a-{fold}.safetensors"), str(tmp_path / "b.safetensors"))
    blank = without_places(replace(config, distil=places))
    assert (blank["distil"]["teacher"], blank["distil"]["teacher_final"]) == ("a-{fold}.safetensors", "b.safetensors")
    assert str(tmp_path) not in json.dumps(blank["distil"])


def test_a_teacher_that_is_not_there(corpus, tmp_path):
    with pytest.raises(ModelError, match='no model "big"'):
        next(train(settings(corpus, distil=DistilConfig("big")), tmp_path / "run"))


def test_of_what_the_first_parts_give_only_a_teacher_with_the_same_parts_can_tell(tmp_path):
    spec = DetectorSpec("distilled", {**TINY_DISTILLED, "learns": "layers", "window_s": 1.0})
    torch.manual_seed(0)
    pupil = build(spec).eval()
    other = model(tmp_path / "other.safetensors", spec, seed=1)
    with pytest.raises(ConfigError, match='The teacher "big" cannot read what is kept of the recordings'):
        teacher(other, pupil, done=1)
    with pytest.raises(ConfigError, match="cannot read what is kept"):
        teacher(model(tmp_path / "tiny.safetensors"), pupil, done=1)
    with torch.no_grad():
        changed = build(spec)
        changed.cnn.load_state_dict(pupil.cnn.state_dict())
    save_checkpoint(snapshot(changed, Card("same", changed.spec)), tmp_path / "same.safetensors")
    sounds = heard().waveforms
    with torch.no_grad():
        kept = pupil.parts()[0].forward(pupil.features(sounds))
    own = teacher(tmp_path / "same.safetensors", pupil, done=1)
    assert torch.allclose(own.llr(kept), teacher(tmp_path / "same.safetensors", pupil).llr(sounds), atol=1e-5)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("distil.weight=1.5", '"distil.weight" is 1.5.'),
        ("distil.weight=-0.1", '"distil.weight" is -0.1.'),
        ("distil.temperature=0", '"distil.temperature" is 0.0.'),
        ("distil.temperature=.inf", '"distil.temperature" is inf.'),
        ("distil.techer=x", 'There is no setting "distil.techer".'),
    ],
)
def test_settings_that_make_no_sense(override, message):
    with pytest.raises(ConfigError) as caught:
        load_config(None, [override])
    assert caught.value.message == message


def test_a_name_with_a_place_for_the_fold_can_be_written():
    config = load_config(None, ["distil.teacher=runs/big/fold-{fold}.safetensors"])
    assert config.distil == DistilConfig("runs/big/fold-{fold}.safetensors")
    assert to_dict(config)["distil"]["teacher"] == "runs/big/fold-{fold}.safetensors"


def test_of_each_fold():
    config = DistilConfig("big/fold-{fold}.safetensors", "big/final.safetensors", 0.3)
    assert of_fold(config, 3) == DistilConfig("big/fold-3.safetensors", None, 0.3)
    assert of_fold(config, None) == DistilConfig("big/final.safetensors", None, 0.3)
    assert of_fold(DistilConfig(), 3) == of_fold(DistilConfig(), None) == DistilConfig()


def test_teachers_that_a_training_over_folds_cannot_have(tmp_path):
    folds = FoldsConfig(2, final="mean")
    check_teachers(DistilConfig(), folds)
    with pytest.raises(ConfigError, match="may have heard the recordings that the folds are tested on") as caught:
        check_teachers(DistilConfig(model(tmp_path / "big.safetensors")), folds)
    assert "fold-{fold}.safetensors" in caught.value.hint
    each = str(tmp_path / "fold-{fold}.safetensors")
    model(tmp_path / "fold-1.safetensors")
    with pytest.raises(ModelError, match=r"no model file .*fold-2\.safetensors"):
        check_teachers(DistilConfig(each), folds)
    model(tmp_path / "fold-2.safetensors")
    check_teachers(DistilConfig(each), folds)
    on_everything = FoldsConfig(2, final="train")
    with pytest.raises(ConfigError, match="last training, on everything, has no teacher") as caught:
        check_teachers(DistilConfig(each), on_everything)
    assert caught.value.hint == "Set distil.teacher_final, or folds.final=mean."
    with pytest.raises(ModelError, match='no model "big"'):
        check_teachers(DistilConfig(each, "big"), on_everything)
    check_teachers(DistilConfig(each, str(tmp_path / "big.safetensors")), on_everything)


@pytest.fixture
def over_folds(corpus, tmp_path, monkeypatch):
    """The settings of a training over two folds, and the folder of one that is done."""
    monkeypatch.setattr("deepcheck.engine.development._FEWEST", 4)
    config = settings(corpus, epochs=1, calibration=FEW, folds=FoldsConfig(2, final="train"))
    finish(config, tmp_path / "big")
    return config, tmp_path / "big"


def test_over_folds_each_has_the_teacher_that_has_not_heard_it(over_folds, tmp_path, monkeypatch):
    config, big = over_folds
    heard_by = []
    real = store.resolve

    def noted(name=None):
        heard_by.append(name)
        return real(name)

    distil = DistilConfig(str(big / "fold-{fold}.safetensors"), str(big / "final.safetensors"))
    monkeypatch.setattr("deepcheck.engine.distil.store.resolve", noted)
    run = train(replace(config, name="small", distil=distil), tmp_path / "small")
    marks = []
    for event in run:
        if isinstance(event, Step) and event.step == 1:
            marks.append(Path(heard_by[-1]).name)
    assert marks == ["fold-1.safetensors", "fold-2.safetensors", "final.safetensors"]
    cards = [load_checkpoint(tmp_path / "small" / f"{name}.safetensors").card for name in ("fold-1", "fold-2", "final")]
    assert [card.history[-1]["config"]["distil"]["teacher"] for card in cards] == marks
    text = json.dumps(event.checkpoint.card.history)
    assert str(tmp_path) not in text
    assert "fold-{fold}.safetensors" in text


def test_teachers_of_other_folds_are_refused(over_folds, tmp_path):
    config, big = over_folds
    distil = DistilConfig(str(big / "fold-{fold}.safetensors"))
    mean = FoldsConfig(2, final="mean")
    other = replace(config, name="small", seed=config.seed + 1, folds=mean, distil=distil)
    with pytest.raises(ConfigError, match=r"fold-1\.safetensors comes from other folds") as caught:
        next(train(other, tmp_path / "small"))
    assert "the same seed" in caught.value.hint
    assert not (tmp_path / "small").exists()
    # Of a file that lies elsewhere nothing is known.
    for number in (1, 2):
        (big / f"fold-{number}.safetensors").rename(tmp_path / f"fold-{number}.safetensors")
    elsewhere = DistilConfig(str(tmp_path / "fold-{fold}.safetensors"))
    next(train(replace(other, distil=elsewhere), tmp_path / "small"))
