import subprocess
import sys

import pytest

import deepcheck


def test_the_names_of_the_docstring_are_there():
    from deepcheck.checkpoint import save_checkpoint
    from deepcheck.data.protocols import read_data
    from deepcheck.engine.evaluate import evaluate
    from deepcheck.engine.model import load
    from deepcheck.engine.operations import grow, prune
    from deepcheck.engine.train import train
    from deepcheck.errors import DeepcheckError
    from deepcheck.scanner.run import scan

    assert (deepcheck.scan, deepcheck.load, deepcheck.evaluate) == (scan, load, evaluate)
    assert (deepcheck.train, deepcheck.read_data, deepcheck.DeepcheckError) == (train, read_data, DeepcheckError)
    assert (deepcheck.grow, deepcheck.prune, deepcheck.save) == (grow, prune, save_checkpoint)
    assert {"scan", "load", "evaluate", "train", "read_data", "__version__"} <= set(dir(deepcheck))
    for name in ("scan", "load", "evaluate", "read_data", "train", "grow", "prune", "save"):
        assert f"`{name}(" in deepcheck.__doc__


def test_another_name_is_an_ordinary_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'scann'"):
        _ = deepcheck.scann
    with pytest.raises(ImportError):
        from deepcheck import nothing  # noqa: F401


def test_the_version_is_that_of_the_distribution():
    from importlib.metadata import version

    assert deepcheck.__version__ == version("deepcheck")


def test_importing_is_cheap():
    code = "import sys, deepcheck; print(sorted({'torch', 'numpy', 'yaml', 'rich', 'typer'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_load_gives_a_model_that_scores(stored_model, home):
    import torch

    from deepcheck.files import sha256

    stored_model("one", offset=2.5)
    model = deepcheck.load("one")
    assert model.card.name == "one"
    assert model.path == home / "models" / "one.safetensors"
    assert model.sha256 == sha256(model.path)
    assert not model.detector.training
    assert model.detector.score(torch.randn(2, 16_000)).shape == (2,)
    assert deepcheck.load(model.path).card == model.card
    with pytest.raises(deepcheck.DeepcheckError, match='There is no model "two"'):
        deepcheck.load("two")
