"""`models fuse`: two trainings over folds become one model, which can be used as any other."""

import json
import shutil

import pytest
import yaml
from conftest import TINY, speechlike, write_wav
from typer.testing import CliRunner

from deepcheck.checkpoint import load_checkpoint
from deepcheck.cli.app import app

SETTINGS = {
    "epochs": 1,
    "batch_size": 8,
    "device": "cpu",
    "precision": "fp32",
    "data": {"workers": 0},
    "sampling": {"samples_per_epoch": 48, "min_crop_s": 0.5},
    "optimizer": {"lr": 0.005, "warmup_steps": 2},
    "calibration": {"false_alarm": 0.4, "miss": 0.45, "confidence": 0.5, "conditions": []},
}
RESNET = {"name": "resnet18", **TINY.arguments}
GRU = {"name": "gru", "units": [5], "frontend": {"name": "mel", "bins": 20}, "window_s": 1.0}


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.stderr, result.exception)
    return result


@pytest.fixture(scope="module")
def trained(lasting_corpus, tmp_path_factory):
    """A store with two trainings over the same folds."""
    place, recipes = tmp_path_factory.mktemp("trained"), tmp_path_factory.mktemp("recipes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPCHECK_HOME", str(place))
        for name, detector in (("one", RESNET), ("other", GRU)):
            recipe = recipes / f"{name}.yaml"
            recipe.write_text(yaml.safe_dump({**SETTINGS, "detector": detector}))
            run("train", "--config", recipe, "--data", lasting_corpus, "--name", name, "--folds", 3)
    return place


@pytest.fixture
def runs(trained, lasting_corpus, home):
    shutil.copytree(trained, home, dirs_exist_ok=True)
    return lasting_corpus


def test_two_runs_become_one_model(runs, tmp_path, home):
    where = ("--data", runs, "--device", "cpu")
    result = run(
        "models", "fuse", "one", home / "runs" / "other", "--name", "both", *where, "--half", "-o", tmp_path / "b"
    )
    assert "alarms promised" in " ".join(result.stdout.split())
    lines = result.stderr.splitlines()
    assert "Measuring: the development set" in lines
    assert any("On the folds, each by a model that has not heard it: EER" in line for line in lines)
    assert sum(line.endswith((" x one", " x other")) for line in lines) == 2
    place = home / "models" / "both.safetensors"
    assert place.read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in (home / "runs" / "both").iterdir()) == [
        "fold-abstention.json",
        "fold-abstention.png",
        "fold-groups.csv",
        "fold-scores.csv",
    ]
    assert load_checkpoint(place).card.spec.name == "committee"

    shown = run("models", "show", "both").stdout
    assert "worst" in shown
    assert " x one" in shown
    assert len(json.loads(run("models", "show", "both", "--json").stdout)["history"][0]["members"]) == 2
    assert "EER" in run("eval", "--score-file", home / "runs" / "both" / "fold-scores.csv", "--data", runs).stdout
    sound = write_wav(tmp_path / "x.wav", speechlike(3.0))
    scanned = run("scan", sound, "--model", "both", "--format", "jsonl", "--explain", tmp_path / "pictures")
    assert "x.wav" in scanned.stdout
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 1
    # It grows as others do.
    run("grow", "both", "--layer", 9, "--neurons", 2, "--name", "wider")
    assert set(load_checkpoint(home / "models" / "wider.safetensors").card.grown_from) <= {
        "members.0.layers.0.units",
        "members.1.layers.0.units",
        "members.0.blocks.7.conv1",
        "members.1.blocks.7.conv1",
    }


def test_what_is_refused_before_any_work(runs, home):
    where = ("--data", runs, "--device", "cpu")
    (home / "models" / "taken.safetensors").write_bytes(b"")
    for arguments, message in (
        (("one", "other", "--name", "one"), '"one" is a training over folds'),
        (("one", "nothing", "--name", "both"), "holds no training over folds"),
        (("one", "--name", "both"), "1 runs make no committee"),
        (("one", "other", "--name", "taken"), "add --replace"),
    ):
        result = run("models", "fuse", *arguments, *where, code=1)
        assert message in " ".join(result.stderr.split())
    assert not (home / "runs" / "both").exists()
