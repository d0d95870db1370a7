"""`deepcheck grow` and `deepcheck prune`, as somebody types them."""

import pytest
from typer.testing import CliRunner

from deepcheck import store
from deepcheck.checkpoint import load_checkpoint, same_tensors
from deepcheck.cli.app import app


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.stderr or result.exception
    return result


def failure(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code != 0
    return " ".join((result.stderr + str(result.exception)).split())


def read(name):
    return load_checkpoint(store.place_of(name))


@pytest.fixture
def base(stored_model):
    store.set_current(stored_model("base"))
    return read("base")


def test_grow_shows_what_changed_and_stores_the_child(base):
    result = run("grow", "--layer", "1,3", "--neurons", 2)
    name = "base-grown-1+3x2"
    assert store.resolve(None).name == name
    child = read(name)
    assert child.card.parent == "base"
    assert child.card.widths == {"blocks.0.conv1": 6, "blocks.2.conv1": 10}
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["1", "channels", "4", "6", f"+{2 * (9 * 8 + 2)}"] in lines
    assert ["3", "channels", "8", "10", f"+{2 * (9 * 12 + 2)}"] in lines
    total = child.card.parameters - base.card.parameters
    assert any(line[:1] == ["model"] and line[-1] == f"+{total:,}" for line in lines)
    assert name in result.stderr + result.stdout


def test_the_advice_for_undoing_undoes(base):
    result = run("grow", "--layer", "2-3", "--neurons", 3, "--name", "bigger")
    said = " ".join((result.stdout + result.stderr).split())
    command = said.split("deepcheck prune")[-1].split()
    run("prune", *command, "--name", "back")
    back = read("back")
    assert same_tensors(back.tensors, base.tensors)
    assert back.card.parent == "bigger"
    assert back.card.thresholds == base.card.thresholds
    assert store.resolve(None).name == "back"


def test_lineage(base):
    run("grow", "--layer", "1", "--neurons", 2, "--name", "bigger")
    run("prune", "bigger", "--layer", "1", "--neurons", 1, "--criterion", "newest", "--name", "smaller")
    shown = " ".join(run("models", "show", "smaller").stdout.split())
    for word in ("bigger", "grow", "prune"):
        assert word in shown


def test_pruning_what_matters_leaves_the_current_model(base):
    result = run("prune", "--layer", "all", "--fraction", 0.5, "--criterion", "magnitude", "--name", "half")
    assert read("half").card.widths["blocks.7.conv1"] == 16
    assert read("half").card.thresholds is None
    assert store.resolve(None).name == "base"
    assert "deepcheck train --start half" in " ".join((result.stdout + result.stderr).split())


def test_pruning_on_data(base, corpus):
    run("prune", "--layer", "8", "--neurons", 4, "--data", corpus, "--recordings", 8, "--name", "less")
    assert read("less").card.widths == {"blocks.7.conv1": 28}


def test_a_dry_run_saves_nothing(base):
    before = sorted(store.place_of("base").parent.iterdir())
    for command in (("grow",), ("prune", "--criterion", "newest")):
        result = run(*command, "--layer", "1", "--neurons", 2, "--dry-run")
        assert "channels" in result.stdout
        assert "Nothing was saved" in result.stdout + result.stderr
    assert sorted(store.place_of("base").parent.iterdir()) == before
    assert store.resolve(None).name == "base"


def test_a_free_name_is_found(base):
    for _ in range(2):
        run("grow", "base", "--layer", "1", "--neurons", 2)
    assert read("base-grown-1x2.2").card.parent == "base"


def test_a_name_that_is_taken(base):
    run("grow", "--layer", "1", "--neurons", 2, "--name", "bigger")
    assert "already" in failure("grow", "base", "--layer", "1", "--neurons", 3, "--name", "bigger")
    assert read("bigger").card.widths == {"blocks.0.conv1": 6}
    run("grow", "base", "--layer", "1", "--neurons", 3, "--name", "bigger", "--replace")
    assert read("bigger").card.widths == {"blocks.0.conv1": 7}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["grow", "nobody"], "nobody"),
        (["grow", "--layer", "9"], "no layer 9"),
        (["grow", "--layer", "x"], "names no layers"),
        (["grow", "--part", "heads"], 'no part "heads"'),
        (["grow", "--init", "zeros"], "zeros"),
        (["grow", "--init", "gradmax"], "needs data"),
        (["prune"], "--neurons or --fraction"),
        (["prune", "--neurons", "1", "--fraction", "0.1"], "--neurons or --fraction"),
        (["prune", "--neurons", "1"], "looks at data"),
        (["prune", "--neurons", "4", "--criterion", "newest"], "At most 3"),
        (["prune", "--neurons", "1", "--criterion", "oldest"], "oldest"),
        (["prune", "--fraction", "0.01", "--criterion", "newest"], "No unit would be removed"),
        (["prune", "--fraction", "1.0", "--criterion", "newest"], "cannot be removed"),
    ],
)
def test_errors_name_what_is_wrong_and_save_nothing(base, arguments, message):
    assert message in failure(*arguments)
    assert [place.name for place in store.place_of("base").parent.glob("*.safetensors")] == ["base.safetensors"]
