import importlib.metadata
import re
from importlib.metadata import EntryPoint

import pytest

import deepcheck
from deepcheck.errors import ConfigError
from deepcheck.registry import Registry, did_you_mean


@pytest.fixture
def fruit():
    return Registry("kind of fruit", {"apple": "json:dumps", "pear": "no.such.module:x"})


@pytest.fixture
def plugins(monkeypatch):
    """Entry points as if packages with them were installed."""

    def install(*points):
        def entry_points(*, group):
            return importlib.metadata.EntryPoints(points).select(group=group)

        monkeypatch.setattr("deepcheck.registry.entry_points", entry_points)

    return install


def test_a_row_is_imported_on_use_only(fruit):
    import json

    assert fruit.names() == list(fruit) == ["apple", "pear"]
    assert "pear" in fruit
    assert "plum" not in fruit
    assert fruit.resolve("apple") is json.dumps
    with pytest.raises(ModuleNotFoundError):
        fruit.resolve("pear")


def test_an_unknown_name_gets_the_nearest(fruit):
    with pytest.raises(ConfigError) as caught:
        fruit.resolve("aple")
    assert caught.value.message == 'There is no kind of fruit "aple".'
    assert caught.value.hint == 'Did you mean "apple"? There are: apple, pear.'
    with pytest.raises(ConfigError) as caught:
        fruit.resolve("zucchini")
    assert caught.value.hint == "There are: apple, pear."


@pytest.mark.parametrize("name", [3, None, True])
def test_a_name_that_is_no_text_is_just_unknown(fruit, name):
    with pytest.raises(ConfigError, match=f'There is no kind of fruit "{name}"'):
        fruit.resolve(name)


def test_near_misses():
    assert did_you_mean("resnet", ["resnet18", "gru"]) == 'Did you mean "resnet18"? There are: resnet18, gru.'
    assert did_you_mean("", ["a"]) == "There are: a."
    assert did_you_mean("x", []) == ""


def test_packages_add_rows(fruit, plugins):
    plugins(
        EntryPoint("quince", "json:loads", "deepcheck.kind_of_fruit"),
        EntryPoint("banana", "json:load", "deepcheck.kind_of_fruit"),
        EntryPoint("stone", "json:load", "deepcheck.kind_of_mineral"),
    )
    import json

    assert fruit.names() == ["apple", "pear", "banana", "quince"]
    assert fruit.resolve("quince") is json.loads
    assert "banana" in fruit
    with pytest.raises(ConfigError, match="stone"):
        fruit.resolve("stone")


def test_a_builtin_row_wins(fruit, plugins):
    plugins(EntryPoint("apple", "json:loads", "deepcheck.kind_of_fruit"))
    import json

    assert fruit.names() == ["apple", "pear"]
    assert fruit.resolve("apple") is json.dumps


def registries():
    """Every table in the package, wherever it stands."""
    import pkgutil
    from importlib import import_module

    found = {}
    for module in pkgutil.walk_packages(deepcheck.__path__, "deepcheck."):
        if module.name != "deepcheck.__main__":
            for name, value in vars(import_module(module.name)).items():
                if isinstance(value, Registry):
                    found[value.kind] = (name, value)
    return found


def test_every_row_of_every_table_resolves():
    found = registries()
    assert set(found) >= {"detector", "protocol", "report format", "front end", "augmentation"}
    for kind, (name, table) in found.items():
        assert name == name.upper()
        assert table.names(), kind
        for row in table:
            assert callable(table.resolve(row)), (kind, row)
            assert re.fullmatch(r"[a-z0-9-]+", row), (kind, row)
