"""Training over folds that begins, in each fold, with what another such training has left."""

import json
from dataclasses import replace

import pytest
import torch
from conftest import TINY_DISTILLED
from engine.test_fold_training import finish, manifest, models, settings, small  # noqa: F401

from deepcheck.config import FoldsConfig, OptimizerConfig
from deepcheck.engine.train import train
from deepcheck.errors import ConfigError

ENCODER = {"name": "distilled", **TINY_DISTILLED, "pool": "all", "window_s": 1.0}


@pytest.fixture
def probe(manifest, tmp_path):  # noqa: F811
    """A finished probe over two folds, and the folder of its run."""
    config = settings(manifest, mode="probe", detector={**ENCODER, "learns": 0})
    config = replace(config, data=replace(config.data, variants=1))
    finish(config, tmp_path / "probe")
    return config, tmp_path / "probe"


def onwards(probe, **changes):
    config, run = probe
    detector = {**ENCODER, "learns": "layers", "pretrained": str(run / "fold-{fold}.safetensors")}
    still = OptimizerConfig(lr=0.0, warmup_steps=1)
    mean = FoldsConfig(2, final="mean")
    return replace(config, **{"mode": "unfrozen", "detector": detector, "optimizer": still, "folds": mean, **changes})


def test_each_fold_begins_with_the_weights_of_its_own(probe, tmp_path):
    _, done = finish(onwards(probe), tmp_path / "run")
    for before, after in zip(models(probe[1]), models(tmp_path / "run"), strict=True):
        # At a rate of 0 all stays, but for what says what is usual.
        assert all(torch.equal(before.tensors[k], after.tensors[k]) for k in before.tensors if "head_norm" not in k)
    heads = [model.tensors["head.weight"] for model in models(tmp_path / "run")]
    assert not torch.equal(*heads)
    assert torch.allclose(done.checkpoint.tensors["head.weight"], (heads[0] + heads[1]) / 2)
    told = json.dumps(done.checkpoint.card.history)
    assert "fold-{fold}.safetensors" in told
    assert str(tmp_path) not in told


def test_weights_of_other_folds_are_refused(probe, tmp_path):
    with pytest.raises(ConfigError, match=r"model .*fold-1\.safetensors comes from other folds"):
        next(train(onwards(probe, seed=5), tmp_path / "run"))


def test_on_everything_there_are_none(probe, tmp_path):
    with pytest.raises(ConfigError, match="no weights to begin with") as caught:
        next(train(onwards(probe, folds=FoldsConfig(2, final="train")), tmp_path / "run"))
    assert "folds.final=mean" in caught.value.hint
