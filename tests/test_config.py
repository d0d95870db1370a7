import dataclasses
from pathlib import Path

import pytest
import yaml

from deepcheck.config import DataConfig, SourceConfig, TrainConfig, load_config, to_dict, to_yaml
from deepcheck.errors import ConfigError


@pytest.fixture
def load(tmp_path):
    """Settings from the text of a YAML file."""

    def load_it(text, *overrides):
        place = tmp_path / "recipe.yaml"
        place.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_config(place, overrides)

    return load_it


def test_nothing_given_gives_the_defaults():
    assert load_config() == TrainConfig()


def test_an_empty_file_gives_the_defaults(load):
    assert load("") == load("# nothing\n") == TrainConfig()


def test_round_trip(load):
    config = load(
        """
        name: mine
        patience: null
        detector: {name: resnet18, width: 8, frontend: {name: mel, bins: 40}}
        data: {train: {path: /abs/x.csv, subset: train}, dev: {path: /abs/y.csv}, workers: 3}
        augment: [gain, {name: noise, p: 0.25, snr_db: [5, 35]}]
        optimizer: {lr: 1e-4}
        """
    )
    # As plain data, in which an empty tuple and an empty list are the same.
    assert to_dict(load(to_yaml(config))) == to_dict(config) == yaml.safe_load(to_yaml(config))
    assert list(yaml.safe_load(to_yaml(config))) == [field.name for field in dataclasses.fields(TrainConfig)]
    assert config.patience is None
    assert config.data.dev == SourceConfig("/abs/y.csv")
    assert config.augment == [{"name": "gain"}, {"name": "noise", "p": 0.25, "snr_db": [5, 35]}]


def test_defaults_survive_the_round_trip(load):
    # Sequences become lists on the way, which is no other setting.
    assert to_dict(load(to_yaml(TrainConfig()))) == to_dict(TrainConfig())


def test_a_name_alone_stands_for_its_defaults(load):
    assert load("detector: resnet18").detector == {"name": "resnet18"}


def test_settings_of_the_default_detector_need_not_name_it(load):
    assert load("detector: {width: 8}").detector == load_config(None, ["detector.width=8"]).detector
    assert load("detector: {width: 8}").detector == {"name": "resnet18", "width": 8}


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("epoch: 3", "epoch", "epochs"),
        ("optimizer: {weight_deacy: 0.1}", "optimizer.weight_deacy", "weight_decay"),
        ("data: {train: {pth: x}}", "data.train.pth", "path"),
        ("data: {dev: {sub_set: x}}", "data.dev.sub_set", "subset"),
    ],
)
def test_unknown_keys_name_the_nearest_at_any_depth(load, text, key, near):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert caught.value.message == f'There is no setting "{key}".'
    assert caught.value.hint.startswith(f'Did you mean "{near}"?')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 2.5", '"epochs" should be of type int, not 2.5.'),
        ("epochs: '3'", "\"epochs\" should be of type int, not '3'."),
        ("epochs: true", '"epochs" should be of type int, not True.'),
        ("epochs: null", '"epochs" should be of type int, not None.'),
        ("name: 3", '"name" should be of type str, not 3.'),
        ("optimizer: {lr: fast}", "\"optimizer.lr\" should be of type float, not 'fast'."),
        ("optimizer: {lr: true}", '"optimizer.lr" should be of type float, not True.'),
        ("data: {workers: many}", "\"data.workers\" should be of type int, not 'many'."),
        ("augment: {gain: 1}", "\"augment\" should be of type sequence, not {'gain': 1}."),
        ("detector: [resnet18]", "\"detector\" should be of type mapping, not ['resnet18']."),
        ("optimizer: 3", "optimizer should hold settings, not 3."),
        ("data: corpus.csv", "data should hold settings, not 'corpus.csv'."),
        ("data: [corpus.csv]", "data should hold settings, not ['corpus.csv']."),
        ("data: {train: corpus.csv}", "data.train should hold settings, not 'corpus.csv'."),
    ],
)
def test_types_are_checked(load, text, message):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert caught.value.message == message


def test_whole_numbers_are_floats_too_and_text_without_a_dot(load):
    config = load("optimizer: {lr: 1e-3, weight_decay: 1, clip_norm: 2.5E+1}")
    assert (config.optimizer.lr, config.optimizer.weight_decay, config.optimizer.clip_norm) == (1e-3, 1.0, 25.0)
    assert all(type(x) is float for x in (config.optimizer.lr, config.optimizer.weight_decay))


def test_overrides_win_and_reach_any_depth(load):
    config = load(
        "epochs: 3\noptimizer: {lr: 0.1, warmup_steps: 7}\n",
        "epochs=4",
        "optimizer.lr=3e-4",
        "detector.frontend.bins=40",
        "data.dev.path=/dev.csv",
        "patience=null",
        "augment=[gain, {name: noise, p: 1}]",
        "description=a = b",
    )
    assert (config.epochs, config.optimizer.lr, config.optimizer.warmup_steps) == (4, 3e-4, 7)
    assert config.detector["frontend"] == {"bins": 40}
    assert config.data.dev == SourceConfig("/dev.csv")
    assert config.patience is None
    assert config.augment == [{"name": "gain"}, {"name": "noise", "p": 1}]
    assert config.description == "a = b"


def test_an_override_fills_what_the_file_leaves_empty(load):
    assert load("data: {dev: null}", "data.dev.path=x").data.dev == SourceConfig("x")
    assert load("data:\n", "data.holdout=0.3").data == DataConfig(holdout=0.3)


@pytest.mark.parametrize("override", ["epochs", "=3", ""])
def test_an_override_without_key_or_value(override):
    with pytest.raises(ConfigError, match="does not set anything") as caught:
        load_config(None, [override])
    assert "optimizer.lr=3e-4" in caught.value.hint


def test_overrides_are_checked_like_the_file():
    with pytest.raises(ConfigError, match=r'"epochs\.x" cannot be set: "epochs" is a single value'):
        load_config(None, ["epochs=3", "epochs.x=3"])
    with pytest.raises(ConfigError) as caught:
        load_config(None, ["optimzer.lr=3"])
    assert caught.value.hint.startswith('Did you mean "optimizer"?')


def test_data_paths_are_relative_to_the_file(load, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    config = load("data: {train: {path: sets/m.csv}, dev: {path: ~/dev.csv}}")
    assert config.data.train.path == str(tmp_path / "sets" / "m.csv")
    assert config.data.dev.path == "/home/someone/dev.csv"
    # What is given on the command line is relative to where one stands.
    assert load("epochs: 1", "data.train.path=m.csv").data.train.path == "m.csv"


def test_files_that_cannot_be_read(load, tmp_path):
    with pytest.raises(ConfigError, match=r"recipe\.yaml is not valid YAML: .*line 2"):
        load("epochs: 3\n  name: [x\n")
    with pytest.raises(ConfigError, match="holds no settings but a list"):
        load("- epochs\n")
    with pytest.raises(ConfigError, match=r"nowhere\.yaml cannot be read: No such file"):
        load_config(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match=r"recipe\.yaml is not valid YAML"):
        load("description: für\n".encode("latin-1"))


def test_nothing_in_a_file_is_executed(load):
    with pytest.raises(ConfigError, match="not valid YAML"):
        load("name: !!python/object/apply:os.getcwd []\n")


EXAMPLES = sorted((Path(__file__).parent.parent / "examples").rglob("*.yaml"))
RECIPES = [place for place in EXAMPLES if place.parent.name not in ("levers", "study")]  # which hold changes of recipes


def test_there_are_recipes():
    assert "default.yaml" in [recipe.name for recipe in RECIPES]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_every_recipe_builds_what_it_names(recipe):
    from deepcheck.audio.augment.chain import build_chain
    from deepcheck.card import DetectorSpec
    from deepcheck.detectors import DETECTORS
    from deepcheck.detectors.base import build

    config = load_config(recipe)
    if config.data.train.path:  # else --data says where they are
        assert config.data.train.path.startswith(str(recipe.parent))
    chain = build_chain(config.augment)
    assert len(chain.steps) == len(config.augment)
    settings = dict(config.detector)
    name = settings.pop("name")
    assert name in DETECTORS
    # Pretrained weights are not at hand; the shape is that of theirs.
    settings.pop("pretrained", None)
    detector = build(DetectorSpec(name, settings))
    assert detector.spec.name == name
    if name == "resnet18":  # other detectors write out what a word such as `size: small` stands for
        assert {key: detector.spec.arguments[key] for key in settings} == settings
