from dataclasses import replace

import pytest
import torch
from conftest import TINY, TINY_DISTILLED

from deepcheck.card import DetectorSpec
from deepcheck.config import DataConfig, SamplingConfig, SourceConfig, TrainConfig
from deepcheck.detectors.base import build
from deepcheck.engine.carrier import carrier_of, still_parts, variants_of
from deepcheck.engine.events import Done
from deepcheck.engine.processes import ALONE
from deepcheck.engine.train import train_on
from deepcheck.engine.training_sets import read_all


def distilled(learns, **changes):
    torch.manual_seed(0)
    return build(DetectorSpec("distilled", {**TINY_DISTILLED, "learns": learns, **changes})).eval()


@pytest.mark.parametrize(("learns", "parts"), [("all", 0), ("layers", 1), (1, 1), (0, 2)])
@pytest.mark.parametrize("pool", ["last", "both", "all"])
def test_what_does_not_learn_is_done_once(learns, parts, pool):
    detector = distilled(learns, pool=pool)
    assert still_parts(detector) == parts
    sound = torch.randn(2, 8000)
    carrier = carrier_of(detector, torch.float32)
    assert carrier.parts == parts
    with torch.inference_mode():
        score = detector.score(sound)
        if parts:
            assert torch.equal(detector.logit_of(detector.resumed(carrier.carry(sound), parts)), score)
        else:
            assert carrier.carry is None
    if parts == 2:
        halfway = carrier.halfway.carry(sound)
        assert halfway.shape[2] * carrier.halfway.step == 8000
        assert torch.equal(carrier.onwards(halfway), carrier.carry(sound))
        assert carrier.halfway.key == carrier_of(distilled("layers", pool=pool), torch.float32).key


def test_a_learnt_weight_on_the_layers_learns():
    assert still_parts(distilled(0, pool="layers")) == 1


def test_the_key_is_that_of_what_is_read():
    keys = {carrier_of(distilled(0, pool=pool), torch.float32).key for pool in ("last", "both", "all")}
    assert len(keys) == 3


def test_detectors_without_parts_keep_waveforms():
    carrier = carrier_of(build(TINY), torch.float32)
    assert (carrier.carry, carrier.parts, carrier.step) == (None, 0, 1)


def test_the_key_is_that_of_the_weights_and_the_precision():
    one, other = distilled("layers"), distilled("layers")
    assert carrier_of(one, torch.float32).key == carrier_of(other, torch.float32).key
    assert carrier_of(one, torch.float32).key != carrier_of(one, torch.bfloat16).key
    with torch.no_grad():
        next(other.cnn.parameters()).view(-1)[0] += 1e-3
    assert carrier_of(one, torch.float32).key != carrier_of(other, torch.float32).key


@pytest.fixture
def config(corpus):
    return TrainConfig(
        epochs=2,
        batch_size=8,
        device="cpu",
        precision="fp32",
        detector={"name": "distilled", **TINY_DISTILLED, "window_s": 1.0},
        data=DataConfig(SourceConfig(str(corpus)), workers=0, variants=2),
        sampling=SamplingConfig(samples_per_epoch=32, min_crop_s=0.5),
        augment=[{"name": "gain", "p": 0.5}],
    )


def trained(config, folder):
    [done] = [e for e in train_on(config, folder, read_all(config), None, ALONE) if isinstance(e, Done)]
    return done.checkpoint.tensors


@pytest.mark.parametrize("learns", ["all", "layers", 0])
def test_training_on_what_is_kept(config, tmp_path, learns):
    config = replace(config, detector={**config.detector, "learns": learns, "pool": "all"})
    torch.manual_seed(0)
    found = trained(config, tmp_path / "run")
    start = build(DetectorSpec("distilled", {k: v for k, v in config.detector.items() if k != "name"}))
    still = {name for name, p in start.named_parameters() if not p.requires_grad}
    assert still == {name for name in dict(start.named_parameters()) if _stays(name, learns)}
    kept = list((tmp_path / "run" / "kept").rglob("*.safetensors"))
    assert 12 < len(kept) <= 2 * 24
    elsewhere = replace(config, data=replace(config.data, keep=str(tmp_path / "run" / "kept")))
    again = trained(elsewhere, tmp_path / "again")  # from files alone, to the same weights
    assert all(torch.equal(found[name], again[name]) for name in found)
    assert sorted(kept) == sorted((tmp_path / "run" / "kept").rglob("*.safetensors"))
    assert not (tmp_path / "again" / "kept").exists()


def _stays(name, learns):
    return {"all": False, "layers": name.startswith("cnn."), 0: not name.startswith("head.")}[learns]


def test_nothing_is_kept_unless_it_is_asked_for(config, tmp_path):
    plain = replace(config, data=replace(config.data, variants=0))
    assert variants_of(build(TINY), plain, tmp_path) is None
    trained(plain, tmp_path / "run")
    assert not (tmp_path / "run" / "kept").exists()
