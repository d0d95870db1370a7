"""A family of detectors from somebody else's package: a class and the `groups()` of a few lines, and every command."""

import json

import pytest
import torch
import torch.nn.functional as F
import yaml
from plasticity.test_families import difference, disturb, grow_groups, rebuilt
from torch import nn
from typer.testing import CliRunner

from deepcheck import store
from deepcheck.card import DetectorSpec
from deepcheck.checkpoint import describe_widths, load_checkpoint, same_tensors
from deepcheck.cli.app import app
from deepcheck.detectors import DETECTORS
from deepcheck.detectors.base import Detector, build, parameter_count
from deepcheck.plasticity.freeze import Freeze, new_entries
from deepcheck.plasticity.groups import conv_channels
from deepcheck.plasticity.growth import group_named, prune
from deepcheck.plasticity.inits import EXACT
from deepcheck.plasticity.units import widths_of


class Toy(Detector):
    """One convolution of the waveform, normalised, and the mean of what it finds."""

    def __init__(self, *, channels=6, kernel=128, window_s=1.0):
        super().__init__()
        self.spec = DetectorSpec("toy", {"channels": channels, "kernel": kernel, "window_s": window_s})
        self.window_s = window_s
        self.conv = nn.Conv1d(1, channels, kernel, stride=kernel // 2)
        self.norm = nn.BatchNorm1d(channels)
        self.head = nn.Linear(channels, 1)

    def features(self, waveform):
        return waveform.unsqueeze(1)

    def logit(self, features):
        return self.head(F.relu(self.norm(self.conv(features))).mean(-1)).squeeze(-1)

    def groups(self):
        return [conv_channels(self, "conv", layer=1, conv="conv", norm="norm", readers=("head",))]

    def cam_target(self):
        return self.conv


@pytest.fixture
def row(monkeypatch):
    """A row in the table of detectors."""
    monkeypatch.setitem(DETECTORS._rows, "toy", f"{__name__}:Toy")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package that names the detector among its entry points."""
    place = tmp_path / "site-packages" / "toy_detector-1.0.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-detector\nVersion: 1.0\n")
    (place / "entry_points.txt").write_text(f"[deepcheck.detector]\ntoy = {__name__}:Toy\n")
    monkeypatch.syspath_prepend(str(place.parent))


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    return result


def read(name):
    return load_checkpoint(store.place_of(name))


SETTINGS = {
    "epochs": 2,
    "batch_size": 8,
    "device": "cpu",
    "precision": "fp32",
    "data": {"holdout": 0.3, "workers": 0},
    "sampling": {"samples_per_epoch": 32, "min_crop_s": 0.5},
    "augment": ["gain", "spec-augment"],
    "optimizer": {"lr": 0.01, "warmup_steps": 2},
}


@pytest.fixture
def train(corpus, tmp_path):
    """`deepcheck train` on the small corpus."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(SETTINGS))

    def train_it(name, *arguments):
        return run("train", "--config", recipe, "--data", corpus, "--name", name, *arguments)

    return train_it


@pytest.fixture
def base(row, train):
    train("base", "--set", "detector.name=toy", "--set", "detector.channels=5")
    store.set_current("base")
    return read("base")


def scores(*paths, model=None):
    """LLR by file, as `deepcheck scan` reports it."""
    chosen = ("--model", model) if model else ()
    lines = run("scan", *paths, *chosen, "--format", "jsonl", "--device", "cpu").stdout.splitlines()
    return {document["path"]: document["llr"] for document in map(json.loads, lines)}


def test_an_entry_point_is_enough(package, train):
    assert "toy" in DETECTORS
    train("mine", "--set", "detector.name=toy", "--epochs", 1)
    checkpoint = read("mine")
    assert checkpoint.card.spec == DetectorSpec("toy", {"channels": 6, "kernel": 128, "window_s": 1.0})
    assert isinstance(checkpoint.build(), Toy)


def test_without_its_package_it_is_unknown(base, monkeypatch):
    monkeypatch.delitem(DETECTORS._rows, "toy")
    result = run("models", "list")  # a listing builds nothing
    assert "toy" in result.stdout
    result = CliRunner().invoke(app, ["grow", "base"])
    assert result.exit_code == 1
    assert 'There is no detector "toy".' in result.stderr


def test_train(base):
    assert base.card.spec.arguments["channels"] == 5
    assert base.card.calibration is not None
    assert base.card.parameters == parameter_count(Toy(channels=5)) == 5 * 128 + 5 + 2 * 5 + 5 + 1


def test_eval(base, corpus, tmp_path):
    run("eval", "base", "--data", corpus, "--device", "cpu", "--json", tmp_path / "figures.json")
    [figures] = json.loads((tmp_path / "figures.json").read_text())["evaluations"]
    assert figures["trials"] == 24
    assert 0 <= figures["eer"] <= 1


def test_grow_scan_and_prune(base, corpus, tmp_path):
    voices = corpus / "bonafide"
    before = scores(voices)
    assert len(before) == 12
    assert len({round(llr, 3) for llr in before.values()}) > 6
    run("grow", "--layer", 1, "--neurons", 4, "--name", "grown")
    assert store.resolve(None).name == "grown"
    assert read("grown").card.widths == {"conv": 9}
    assert scores(voices) == pytest.approx(before, abs=1e-4)
    run("prune", "--layer", 1, "--neurons", 4, "--criterion", "newest", "--name", "back")
    assert same_tensors(read("back").tensors, base.tensors)
    assert scores(voices, model="back") == before


def test_grow_and_train_frozen(base, train, corpus):
    run("grow", "base", "--layer", 1, "--neurons", 4, "--name", "grown")
    train("taught", "--set", "start=grown", "--set", "mode=frozen", "--set", "optimizer.weight_decay=0.1")
    taught, grown = read("taught"), read("grown")
    assert not same_tensors(taught.tensors, grown.tensors)
    for name, tensor in taught.tensors.items():
        old = tuple(slice(0, size) for size in base.tensors[name].shape)
        assert torch.equal(tensor[old], base.tensors[name]), name
    run("prune", "taught", "--layer", 1, "--neurons", 4, "--criterion", "newest", "--name", "back")
    assert same_tensors(read("back").tensors, base.tensors)


def test_prune_by_what_data_tell(base, train, corpus):
    run("grow", "base", "--layer", 1, "--neurons", 4, "--name", "grown")
    looking = ("--data", corpus, "--recordings", 8, "--layer", 1)
    # What the growth added is read by nobody, so no gradient of the loss depends on it.
    run("prune", "grown", *looking, "--neurons", 4, "--criterion", "gradient", "--name", "back")
    assert same_tensors(read("back").tensors, base.tensors)
    run("prune", "grown", *looking, "--neurons", 6, "--name", "less")  # by gradient and entropy
    assert read("less").card.widths == {"conv": 3}
    assert "The model has no calibration" in " ".join(run("scan", corpus, "--model", "less", code=3).stdout.split())
    train("healed", "--set", "start=less")
    assert read("healed").card.widths == {"conv": 3}
    assert len(scores(corpus / "bonafide", model="healed")) == 12


def test_models(base):
    run("grow", "--layer", 1, "--neurons", 4, "--name", "grown")
    listed = " ".join(run("models").stdout.split())
    assert f"base toy {base.card.parameters:,}" in listed
    assert f"* grown toy {read('grown').card.parameters:,}" in listed
    shown = " ".join(run("models", "show", "grown").stdout.split())
    assert 'detector toy {"channels": 5' in shown
    document = json.loads(run("models", "show", "grown", "--json").stdout)
    assert (document["spec"]["name"], document["parent"], document["widths"]) == ("toy", "base", {"conv": 9})
    assert [stage["stage"] for stage in document["history"]] == ["train", "grow"]


def test_a_whole_schedule(row, train):
    stages = [
        {"do": "train", "epochs": 1},
        {"do": "grow", "layer": "1", "neurons": 4, "init": "gradmax", "recordings": 8},
        {"do": "train", "epochs": 1, "mode": "frozen"},
        {"do": "prune", "layer": "1", "neurons": 4, "recordings": 8},
        {"do": "train", "epochs": 1},
    ]
    train("plastic", "--set", "detector.name=toy", "--set", f"stages={json.dumps(stages)}")
    card = read("plastic").card
    assert [stage["stage"] for stage in card.history] == ["train", "grow", "train", "prune", "train"]
    assert card.widths == {}
    assert card.parameters == parameter_count(Toy())


# The same as in the table of families.


@pytest.fixture
def toy(row):
    torch.manual_seed(0)
    model = build(DetectorSpec("toy", {"channels": 5, "kernel": 16}))
    disturb(model)
    model.train()
    for _ in range(8):
        model.score(torch.randn(8, 400))
    return model.eval()


@pytest.fixture
def sound():
    return torch.randn(6, 400, generator=torch.Generator().manual_seed(5))


def loss(model, sound):
    labels = torch.arange(len(sound)).remainder(2).to(sound.dtype)
    return F.binary_cross_entropy_with_logits(model.score(sound), labels)


@pytest.mark.parametrize("init", sorted(EXACT))
def test_exact_growth_changes_no_output(toy, sound, init):
    toy.double()
    features = toy.features(sound.double())
    before = toy.logit(features).detach()
    assert before.std() > 1e-3
    assert grow_groups(toy, {"conv": 3}, init, features=features) == {"conv": 5}
    assert widths_of(toy.groups()) == {"conv": 8}
    assert difference(toy, features, before) <= 1e-10
    disturb(toy, seed=2)
    assert difference(toy, features, before) > 1e-4


def test_spec_and_widths_rebuild_it(toy, sound):
    grow_groups(toy, {"conv": 6}, "random")
    disturb(toy)
    prune(toy, {"conv": torch.tensor([9, 0, 3, 6, 4, 10])})
    grow_groups(toy, {"conv": 1}, "random", seed=2)
    assert describe_widths(toy) == {"conv": 7}
    again = rebuilt(toy)
    assert same_tensors(again.state_dict(), toy.state_dict())
    assert torch.equal(again.score(sound), toy.score(sound))
    assert (again.head.in_features, again.conv.out_channels, again.norm.num_features) == (7, 7, 7)
    assert parameter_count(again) == parameter_count(toy) == 7 * 16 + 7 + 2 * 7 + 7 + 1


def test_frozen_training_can_be_undone_exactly(toy, sound):
    original = {name: tensor.clone() for name, tensor in toy.state_dict().items()}
    before = grow_groups(toy, {"conv": 3})
    freeze = Freeze(toy, new_entries(toy, toy.groups(), before))
    optimizer = torch.optim.AdamW(freeze.parameters(), lr=1e-2, weight_decay=0.1)
    freeze.attach(optimizer)
    freeze.train_mode()
    for _ in range(10):
        optimizer.zero_grad()
        loss(toy, sound).backward()
        optimizer.step()
    assert toy.head.weight[:, 5:].abs().min() > 0
    assert group_named(toy, "conv").width == 8
    freeze.release()
    prune(toy, {"conv": torch.arange(5)})
    assert same_tensors(toy.state_dict(), original)
