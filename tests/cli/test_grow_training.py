"""`deepcheck grow` with data: the layer that the data choose, the training that follows, the sweep."""

import json

import pytest
import yaml
from conftest import TINY_ENCODER
from test_grow_prune_commands import failure, read, run

from deepcheck import store
from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import save_checkpoint, snapshot
from deepcheck.cli.dropin import usual_mode
from deepcheck.detectors.base import build
from deepcheck.engine.events import EpochDone

SETTINGS = {
    "batch_size": 8,
    "epochs": 2,
    "patience": None,
    "device": "cpu",
    "precision": "fp32",
    "data": {"holdout": 0.3, "workers": 0},
    "sampling": {"samples_per_epoch": 32, "min_crop_s": 0.5},
    "optimizer": {"lr": 1e-2, "warmup_steps": 1},
}


@pytest.fixture
def base(stored_model):
    store.set_current(stored_model("base"))
    return read("base")


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(SETTINGS))
    return path


def test_training_follows_frozen(base, corpus, recipe):
    arguments = ["--layer", "3", "--neurons", 4, "--data", corpus, "--config", recipe, "--mode", "frozen"]
    result = run("grow", *arguments, "--name", "more")
    child = read("more")
    assert child.card.parent == "base"
    assert child.card.widths == {"blocks.2.conv1": 12}
    assert [row["stage"] for row in child.card.history] == ["grow", "train"]
    assert child.card.history[1]["mode"] == "frozen"
    for name, tensor in base.tensors.items():
        assert child.tensors[name][tuple(map(slice, tensor.shape))].equal(tensor), name
    assert child.tensors["blocks.2.conv2.weight"][:, 8:].any()
    assert child.card.calibration is not None
    assert store.resolve(None).name == "more"
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["3", "channels", "8", "12", f"+{4 * (9 * (4 + 8) + 2)}"] in lines  # the table of the growth
    assert sum(line[-1:] == ["%"] for line in lines) == 2  # that of the stages, with their EER


def test_training_follows_unfrozen(base, corpus, recipe):
    arguments = ["--layer", "3", "--neurons", 4, "--data", corpus, "--config", recipe]
    run("grow", *arguments, "--epochs", 1, "--lr", 0.004)
    child = read("base-unfrozen-3x4")
    assert not child.tensors["stem.weight"].equal(base.tensors["stem.weight"])
    settings = child.card.history[-1]["config"]
    assert (settings["epochs"], settings["optimizer"]["lr"]) == (1, 0.004)


def test_what_is_kept_still_stays_so_by_default(base):
    assert usual_mode("base", None) == usual_mode(None, "channels") == "unfrozen"
    assert usual_mode("base", "column") == usual_mode("base", "block") == "frozen"
    assert usual_mode("default", None) == "frozen"  # of which the encoder does not learn
    encoder = build(DetectorSpec("wav2vec2", {"config": TINY_ENCODER, "window_s": 1.0}))
    assert not all(parameter.requires_grad for parameter in encoder.parameters())  # some are never read
    save_checkpoint(snapshot(encoder, Card("encoder", encoder.spec)), store.place_of("encoder"))
    assert usual_mode("encoder", None) == "unfrozen"


def test_without_settings_of_its_own_the_child_is_trained_as_its_parent_was(corpus, recipe):
    run("train", "--data", corpus, "--config", recipe, "--name", "first", "--set", "detector.width=4", "--epochs", 3)
    run("grow", "first", "--layer", 1, "--neurons", 2, "--data", corpus, "--mode", "unfrozen", "--name", "second")
    *_, row = read("second").card.history
    assert (row["config"]["epochs"], row["config"]["batch_size"]) == (3, 8)
    assert row["config"]["optimizer"]["lr"] == pytest.approx(0.005)  # half
    assert row["config"]["data"]["holdout"] == 0.3


def test_the_loss_of_the_parent_stays_and_its_teacher_is_gone(base, corpus, recipe):
    settings = ["--set", "loss=even-sources", "--set", f"distil.teacher={store.resolve('base').path}"]
    run("train", "--data", corpus, "--config", recipe, "--name", "first", "--set", "detector.width=4", *settings)
    assert read("first").card.history[-1]["config"]["distil"]["teacher"] == "base.safetensors"
    run("grow", "first", "--layer", 1, "--neurons", 2, "--data", corpus, "--mode", "unfrozen", "--name", "second")
    config = read("second").card.history[-1]["config"]
    assert (config["loss"], config["distil"]["teacher"]) == ({"name": "even-sources"}, None)


def test_a_stopped_growth_goes_on(base, corpus, recipe, monkeypatch):
    from deepcheck.cli import conduct

    real = conduct.train

    def stopping(config, run_dir):
        for event in real(config, run_dir):
            yield event
            if isinstance(event, EpochDone):
                raise KeyboardInterrupt

    command = ["grow", "--layer", "3", "--neurons", 4, "--data", corpus, "--config", recipe, "--name", "more"]
    with monkeypatch.context() as patched:
        patched.setattr(conduct, "train", stopping)
        run(*command, code=130)
    assert "Going on with epoch 2" in run(*command).stderr
    assert read("more").card.widths == {"blocks.2.conv1": 12}


def test_the_data_choose_the_layer(base, corpus, recipe):
    shown = run("grow", "--layer", "auto", "--neurons", 4, "--data", corpus, "--recordings", 8, "--epochs", 0)
    first = shown.stderr.split("the strongest first: layer ")[1].split(":")[0]
    name = store.resolve(None).name
    assert name == "base-grown-autox4"
    assert read(name).card.widths == {f"blocks.{int(first) - 1}.conv1": 4 * 2 ** ((int(first) - 1) // 2) + 4}
    assert read(name).card.thresholds == base.card.thresholds  # it has only looked


def test_a_dry_run_trains_nothing(base, corpus, recipe, home):
    arguments = ["--data", corpus, "--config", recipe, "--dry-run"]
    assert "2 epochs in mode unfrozen would follow" in run("grow", "--layer", 3, "--neurons", 4, *arguments).stderr
    assert "9 trainings of 2 epochs" in run("grow", "--sweep", "--neurons", 4, *arguments).stderr
    assert not (home / "runs").exists()
    assert [entry.name for entry in store.entries() if not entry.shipped] == ["base"]


def test_a_sweep_prints_draws_and_keeps(base, corpus, recipe, home, tmp_path):
    from deepcheck.checkpoint import load_checkpoint

    picture, figures = tmp_path / "layers.png", tmp_path / "sweep.json"
    arguments = ["--layer", "2,7", "--neurons", 4, "--data", corpus, "--config", recipe, "--epochs", 1]
    result = run("grow", "--sweep", *arguments, "--plot", picture, "--output", figures, "--name", "swept")
    rows = [line.split() for line in result.stdout.splitlines() if line.count("%") > 1]
    assert [" ".join(row[: 2 if row[0] == "layer" else 1]) for row in rows] == [
        "before",
        "control",
        "layer 2",
        "layer 7",
    ]
    arms = json.loads(figures.read_text())
    assert [arm["layer"] for arm in arms] == [None, None, 2, 7]
    assert f"{100 * arms[2]['eer']:.2f}" in rows[2]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert load_checkpoint(home / "runs" / "swept" / "layer-7" / "model.safetensors").card.widths == {
        "blocks.6.conv1": 36
    }
    assert store.resolve(None).name == "base"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layer", "auto"], "Give --data, or name a layer"),
        (["--sweep"], "Give --data"),
        (["--init", "gradmax"], "needs data"),
        (["--sweep", "--data", "corpus", "--plot", "x.doc"], "Let the name end with"),
        (["--data", "corpus", "--mode", "thawed"], 'no mode "thawed"'),
        (["--data", "corpus", "--layer", "9"], "no layer 9"),
        (["--data", "corpus", "--test-subset", "val", "--sweep"], "no folder corpus/val"),
    ],
)
def test_errors_are_sentences(base, corpus, arguments, message, monkeypatch):
    monkeypatch.chdir(corpus.parent)
    said = failure("grow", "--neurons", 2, *arguments)
    assert message in said
    assert "Traceback" not in said


def test_a_sweep_under_torchrun_is_refused(base, corpus, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "no work for torchrun" in failure("grow", "--sweep", "--neurons", 2, "--data", corpus)
