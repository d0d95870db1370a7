"""Training under torchrun: two processes on the CPU end with what one would, and share it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import TINY, TINY_ENCODER
from typer.testing import CliRunner

from deepcheck import store
from deepcheck.checkpoint import load_checkpoint
from deepcheck.cli.app import app
from deepcheck.engine.processes import ALONE, Processes, joined
from deepcheck.errors import ConfigError

SETTINGS = """
name: {name}
seed: 3
batch_size: 8
patience: null
device: cpu
precision: fp32
detector: {detector}
data: {{train: {{path: {corpus}}}, holdout: 0.3, workers: 0}}
sampling: {{samples_per_epoch: 16, min_crop_s: 1.0}}
optimizer: {{lr: 0.003, warmup_steps: 1, new_rate: 2.0}}
stages:
  - {{do: train, epochs: 2}}
  - {{do: grow, layer: "1", neurons: {neurons}}}
  - {{do: train, epochs: 1, mode: frozen}}
  - {{do: prune, layer: "1", neurons: {neurons}, recordings: 8}}
  - {{do: train, epochs: 1}}
"""


def run(count: int, config: Path, home: Path) -> subprocess.CompletedProcess[str]:
    starter = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"] if count > 1 else []
    return subprocess.run(
        [sys.executable, *starter, "-m", "deepcheck", "train", "--config", str(config)],
        env={**os.environ, "DEEPCHECK_HOME": str(home), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )


def run_alone(config: Path) -> None:
    result = CliRunner().invoke(app, ["train", "--config", str(config)])
    assert result.exit_code == 0, (result.stderr, result.exception)


def write(tmp_path, name, detector, corpus, neurons):
    path = tmp_path / f"{name}.yaml"
    path.write_text(SETTINGS.format(name=name, detector=json.dumps(detector), corpus=corpus, neurons=neurons))
    return path


# Without a BatchNorm, which sees half a batch in each of two processes.
GRU = {"name": "gru", "units": [4, 3], "frontend": {"name": "mel", "bins": 8}, "window_s": 1.0}


def test_two_processes_learn_what_one_does_through_every_surgery(corpus, home, tmp_path):
    result = run(2, write(tmp_path, "two", GRU, corpus, 3), home)
    assert result.returncode == 0, result.stderr
    assert "cpu x 2" in result.stderr
    assert result.stderr.count("stage 5/5") == 1  # one of them speaks
    run_alone(write(tmp_path, "one", GRU, corpus, 3))
    one, two = (load_checkpoint(store.place_of(name)) for name in ("one", "two"))
    for row, other in zip(one.card.history, two.card.history, strict=True):
        assert row["stage"] == other["stage"]
        if row["stage"] == "train":
            losses = [[epoch["loss"] for epoch in history["epochs"]] for history in (row, other)]
            assert losses[0] == pytest.approx(losses[1], rel=1e-3)
            assert [epoch["dev_eer"] for epoch in row["epochs"]] == [epoch["dev_eer"] for epoch in other["epochs"]]
    for name, tensor in one.tensors.items():
        assert torch.allclose(tensor, two.tensors[name], atol=2e-3), name
    # Frozen, nothing that was there before has moved in either process.
    stage = {n: load_checkpoint(home / "runs" / "two" / f"stage-{n}.safetensors").tensors for n in (1, 2, 3)}
    assert stage[3]["layers.0.weight_ih_l0"].shape == (21, 16)
    for name, old in stage[1].items():
        grown, trained = stage[2][name], stage[3][name]
        if old.shape == grown.shape:
            assert trained.equal(old), name
    assert not stage[3]["layers.0.weight_ih_l0"].equal(stage[2]["layers.0.weight_ih_l0"])


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("name", "detector"),
    [
        ("resnet18", {"name": "resnet18", **TINY.arguments}),
        ("gru", GRU),
        ("wav2vec2", {"name": "wav2vec2", "config": TINY_ENCODER, "window_s": 1.0}),
    ],
)
def test_schedules_on_the_gpu(corpus, home, tmp_path, name, detector):
    config = write(tmp_path, name, detector, corpus, 8)
    config.write_text(config.read_text().replace("device: cpu", "device: cuda").replace("fp32", "bf16"))
    result = run(torch.cuda.device_count(), config, home)
    assert result.returncode == 0, result.stderr
    frozen, grown = (load_checkpoint(home / "runs" / name / f"stage-{n}.safetensors").tensors for n in (3, 2))
    same = [key for key in grown if frozen[key].equal(grown[key])]
    assert 0 < len(same) < len(grown)


def test_shares_are_disjoint_and_cover_everything():
    for count in (1, 2, 3, 5):
        items = list(range(11))
        shares = [items[Processes(rank, count, torch.device("cpu")).share(len(items))] for rank in range(count)]
        assert [item for share in shares for item in share] == items
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_one_process_needs_nobody():
    assert ALONE.total(2.0, True) == [2.0, 1.0]
    assert ALONE.gather("x") == ["x"]
    module = torch.nn.Linear(1, 1)
    assert ALONE.wrap(module) is module
    with joined(torch.device("cpu")) as processes:
        assert (processes.rank, processes.count) == (0, 1)


def test_more_processes_than_gpus(monkeypatch):
    for name, value in {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "3"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match="more processes than there are GPUs"), joined(torch.device("cuda")):
        pass


def test_two_processes_train_over_folds(corpus, home, tmp_path):
    schedule, _ = SETTINGS.split("stages:")
    calibration = "calibration: {conditions: []}"
    for name in ("one", "two"):
        text = schedule.format(name=name, detector=json.dumps(GRU), corpus=corpus)
        (tmp_path / f"{name}.yaml").write_text(f"{text}epochs: 1\nfolds: {{count: 2, final: mean}}\n{calibration}\n")
    result = run(2, tmp_path / "two.yaml", home)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("worst") == 1  # one of them speaks
    run_alone(tmp_path / "one.yaml")
    one, two = (load_checkpoint(store.place_of(name)) for name in ("one", "two"))
    for name, tensor in one.tensors.items():
        assert torch.allclose(tensor, two.tensors[name], atol=2e-3), name
    assert one.evidence["dev.ids"].equal(two.evidence["dev.ids"])
    assert torch.allclose(one.evidence["dev.logits"], two.evidence["dev.logits"], atol=2e-2)


def test_two_processes_learn_from_a_teacher_what_one_does(corpus, home, tmp_path, stored_model):
    schedule, _ = SETTINGS.split("stages:")
    distil = f"epochs: 2\ndistil: {{teacher: {stored_model('big')}}}\n"
    for name, more in (("one", distil), ("two", distil), ("gathered", distil + "loss: contrastive\n")):
        text = schedule.format(name=name, detector=json.dumps(GRU), corpus=corpus)
        (tmp_path / f"{name}.yaml").write_text(f"{text}{more}calibration: {{conditions: []}}\n")
        if name == "one":
            run_alone(tmp_path / "one.yaml")
        else:
            result = run(2, tmp_path / f"{name}.yaml", home)
            assert result.returncode == 0, result.stderr
    one, two, gathered = (load_checkpoint(store.place_of(name)) for name in ("one", "two", "gathered"))
    for name, tensor in one.tensors.items():
        assert torch.allclose(tensor, two.tensors[name], atol=2e-3), name
    # A loss on what clips are to each other sees half a batch in each of two processes, and is another number.
    losses = [[epoch["loss"] for epoch in model.card.history[-1]["epochs"]] for model in (two, gathered)]
    assert all(own > plain for plain, own in zip(*losses, strict=True))
