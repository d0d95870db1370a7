import json
import sys

import pytest
import torch
import yaml
from conftest import TINY, altered_copy
from typer.testing import CliRunner

from deepcheck import store
from deepcheck.checkpoint import load_checkpoint, same_tensors
from deepcheck.cli.app import app
from deepcheck.engine import train as engine
from deepcheck.engine.events import EpochDone

SETTINGS = {
    "epochs": 2,
    "batch_size": 8,
    "device": "cpu",
    "precision": "fp32",
    "detector": {"name": "resnet18", **TINY.arguments},
    "data": {"holdout": 0.3, "workers": 0},
    "sampling": {"samples_per_epoch": 48, "min_crop_s": 0.5},
    "augment": ["gain"],
    "optimizer": {"lr": 0.005, "warmup_steps": 2},
}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(SETTINGS))
    return path


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["train", *(str(argument) for argument in arguments)])
    assert result.exit_code == code, (result.stderr, result.exception)
    return result


def config_of(checkpoint):
    return checkpoint.card.history[-1]["config"]


def test_from_yaml_and_flags_to_a_stored_model(corpus, recipe, tmp_path, home):
    out = tmp_path / "out" / "mine.safetensors"
    result = run("--config", recipe, "--data", corpus, "--name", "mine", "--set", "optimizer.lr=4e-3", "--output", out)
    assert result.stdout == ""  # messages go to stderr
    lines = result.stderr.splitlines()
    assert lines[0].startswith("Training on corpus: 8 bona fide, 8 spoof")
    assert lines[1].startswith("Development set corpus (30% held out by source): 4 bona fide, 4 spoof")
    assert sum(line.startswith("epoch ") for line in lines) == 2
    assert any("On the development set: EER" in line for line in lines)
    assert "deepcheck eval mine" in lines[-1]

    place = home / "models" / "mine.safetensors"
    assert place.read_bytes() == out.read_bytes()
    checkpoint = load_checkpoint(place)
    assert checkpoint.card.name == "mine"
    assert checkpoint.card.calibration is not None
    assert (config_of(checkpoint)["epochs"], config_of(checkpoint)["optimizer"]["lr"]) == (2, 4e-3)
    assert checkpoint.build().score(torch.randn(1, 16_000)).shape == (1,)
    [log] = (home / "runs" / "mine").iterdir()
    assert len(log.read_text().splitlines()) == 2  # epochs
    assert store.current() == store.DEFAULT  # training makes nothing current


def test_flags_win_over_the_yaml(corpus, recipe, home):
    flags = ("--epochs", 1, "--batch-size", 4, "--lr", 4e-3, "--seed", 7, "--device", "cpu")
    run("--config", recipe, "--data", corpus, "--name", "mine", *flags)
    config = config_of(load_checkpoint(home / "models" / "mine.safetensors"))
    assert (config["epochs"], config["batch_size"], config["seed"]) == (1, 4, 7)
    assert config["optimizer"] == {**config["optimizer"], "lr": 4e-3, "warmup_steps": 2}


def test_flags_alone_will_do(corpus, home):
    settings = [
        "detector.width=4",
        "detector.frontend.bins=20",
        "detector.window_s=1",
        "data.workers=0",
        "sampling.samples_per_epoch=48",
        "precision=fp32",
        "data.holdout=0.3",
    ]
    flags = [word for setting in settings for word in ("--set", setting)]
    run("--data", corpus, "--name", "mine", "--epochs", 1, "--batch-size", 8, "--device", "cpu", "--lr", 5e-3, *flags)
    card = load_checkpoint(home / "models" / "mine.safetensors").card
    assert card.spec.name == "resnet18"
    assert (card.spec.arguments["width"], card.spec.arguments["window_s"]) == (4, 1)
    assert card.spec.arguments["frontend"] == {"name": "mel", "bins": 20}


def test_long_paths_with_spaces(recipe, corpus, tmp_path, home):
    far = tmp_path / ("recordings of the desk, " * 4 + "2026") / "ä: [new] #1"
    far.parent.mkdir()
    corpus.rename(far)
    dev = altered_copy(far, far.parent / "dev" / far.name)
    run("--config", recipe, "--data", far, "--dev", dev, "--name", "mine", "--epochs", 1)
    row = load_checkpoint(home / "models" / "mine.safetensors").card.history[0]
    assert row["train"].startswith("ä: [new] #1: 12 bona fide, 12 spoof")
    assert row["dev"].startswith("ä: [new] #1: 12 bona fide, 12 spoof")


def test_a_part_of_the_data_to_develop_on(recipe, corpus, home):
    lines = ["path,label,subset"]
    for number, path in enumerate(sorted(corpus.rglob("*.wav"))):
        subset = "val" if number % 4 == 0 else "train"
        lines.append(f"{path.relative_to(corpus)},{path.parent.parent.name},{subset}")
    (corpus / "manifest.csv").write_text("\n".join(lines) + "\n")
    run("-c", recipe, "--data", corpus, "--subset", "train", "--dev-subset", "val", "--name", "mine", "--epochs", 1)
    row = load_checkpoint(home / "models" / "mine.safetensors").card.history[0]
    assert row["train"] == "corpus (train): 9 bona fide, 9 spoof"
    assert row["dev"] == "corpus (val): 3 bona fide, 3 spoof"


def test_a_name_that_is_taken(corpus, recipe, home, stored_model):
    stored_model("mine")
    before = (home / "models" / "mine.safetensors").read_bytes()
    result = run("--config", recipe, "--data", corpus, "--name", "mine", code=1)
    assert result.stderr.splitlines()[0] == 'Error: There is a model "mine" already.'
    assert "--fresh" in result.stderr
    assert (home / "models" / "mine.safetensors").read_bytes() == before
    run("--config", recipe, "--data", corpus, "--name", "mine", "--fresh", "--epochs", 1)
    assert (home / "models" / "mine.safetensors").read_bytes() != before


@pytest.mark.parametrize("name", ["../mine", "a b", ""])
def test_a_name_that_cannot_be(corpus, recipe, name, home):
    assert "cannot be the name of a model" in run("--config", recipe, "--data", corpus, "--name", name, code=1).stderr
    assert not (home / "runs").exists()


def test_stopped_goes_on_and_fresh_begins_again(corpus, recipe, home, monkeypatch):
    command = ("--config", recipe, "--data", corpus)
    run(*command, "--name", "whole")

    real = engine.train

    def stopping(config, run_dir):
        for event in real(config, run_dir):
            yield event
            if isinstance(event, EpochDone):
                raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("deepcheck.cli.conduct.train", stopping)
        assert "Interrupted." in run(*command, "--name", "stopped", code=130).stderr
    assert (home / "runs" / "stopped" / "state.safetensors").is_file()
    assert not (home / "models" / "stopped.safetensors").exists()

    other = run(*command, "--name", "stopped", "--seed", 5, code=1)
    assert "has other settings: seed." in other.stderr
    assert "Going on with epoch 2" in run(*command, "--name", "stopped").stderr
    one, two = (load_checkpoint(home / "models" / f"{name}.safetensors") for name in ("whole", "stopped"))
    assert same_tensors(one.tensors, two.tensors)

    with monkeypatch.context() as patched:
        patched.setattr("deepcheck.cli.conduct.train", stopping)
        run(*command, "--name", "again", code=130)
    assert "Going on" not in run(*command, "--name", "again", "--seed", 5, "--fresh").stderr


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ((), "data.train names no recordings", "--data PATH"),
        (("--set", "optimizer.rl=3"), 'There is no setting "optimizer.rl"', 'Did you mean "lr"?'),
        (("--set", "epochs"), '"epochs" does not set anything', "key=value"),
        (("--config", "nowhere.yaml"), "nowhere.yaml cannot be read", ""),
        (("--data", "nowhere"), "There is nothing at", "manifest"),
        (("--data", ".", "--protocol", "asvspof2019-la"), "There is no protocol", "asvspoof2019-la"),
    ],
)
def test_errors_are_sentences(arguments, message, hint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments, code=1)
    assert message in result.stderr
    assert hint in result.stderr
    assert "Traceback" not in result.stderr


def test_broken_recordings_and_small_sets_are_told(corpus, recipe, tmp_path):
    for path in sorted((corpus / "spoof" / "system1").glob("*.wav"))[:1]:
        path.write_bytes(b"nothing")
    # Every recording for both: the broken one is sure to be met.
    dev = altered_copy(corpus, tmp_path / "dev")
    result = run("--config", recipe, "--data", corpus, "--dev", dev, "--name", "mine", "--epochs", 3)
    assert "Left out: " in result.stderr
    assert "s1.wav" in result.stderr
    assert "Note: " in result.stderr


def test_tensorboard_is_an_extra(corpus, recipe, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    result = run("--config", recipe, "--data", corpus, "--tensorboard", tmp_path / "curves", code=1)
    assert "TensorBoard is not installed." in result.stderr
    assert "deepcheck[tensorboard]" in result.stderr


def test_the_whole_history_is_shown_again(corpus, recipe):
    run("--config", recipe, "--data", corpus, "--name", "mine", "--epochs", 1)
    shown = CliRunner().invoke(app, ["models", "show", "mine", "--json"])
    [row] = json.loads(shown.stdout)["history"]
    assert len(row["epochs"]) == 1
