"""`deepcheck grow` and `deepcheck prune`, as somebody types them."""

from itertools import pairwise

import pytest
from typer.testing import CliRunner

from deepcheck import store
from deepcheck.checkpoint import load_checkpoint, same_tensors
from deepcheck.cli.app import app
from deepcheck.detectors.base import parameter_count
from deepcheck.engine import target_speed


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
    sizes = [f"{card.parameters:,}" for card in (base.card, child.card)]
    assert ["model", *sizes, f"+{total:,}", "0.0e+00"] in lines
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
        (["prune", "--neurons", "1", "--target-speed", "1.5"], "a target speed, neurons or a fraction alone"),
        (["prune", "--target-speed", "0.5", "--criterion", "magnitude"], "how many times as fast, such as 1.5"),
        (["prune", "--neurons", "1"], "looks at data"),
        (["prune", "--neurons", "4", "--criterion", "newest"], "At most 3"),
        (["prune", "--neurons", "1", "--criterion", "oldest"], "oldest"),
        (["prune", "--fraction", "0.01", "--criterion", "newest"], "No unit would be removed"),
        (["prune", "--fraction", "1.0", "--criterion", "newest"], "cannot be removed"),
        (["prune", "--criterion", "newest"], "has not been grown"),
        (["prune", "--scope", "grown"], "has not been grown"),
        (["prune", "--scope", "layers", "--neurons", "1"], 'Did you mean "layer"?'),
        (["prune", "--scope", "all", "--neurons", "113", "--criterion", "random"], "At most 112"),
        (["prune", "--neurons", "1", "--plot", "scores.jpg"], "one of .png, .svg, .pdf"),
        (["prune", "--neurons", "1", "--criterion", "random", "--name", "base"], 'a model "base" already'),
    ],
)
def test_errors_name_what_is_wrong_and_save_nothing(base, arguments, message):
    assert message in failure(*arguments)
    assert [place.name for place in store.place_of("base").parent.glob("*.safetensors")] == ["base.safetensors"]


def rows(result):
    """The rows of the table: those with a layer, and the words of the line below, on what is kept."""
    lines = [line.split() for line in result.stdout.splitlines()]
    return {int(line[0]): (line, below) for line, below in pairwise(lines) if line and line[0].isdigit()}


def test_the_table_says_what_goes_and_why(base, corpus):
    run("grow", "--layer", "3,5", "--neurons", 4, "--name", "bigger")
    result = run("prune", "--scope", "grown", "--data", corpus, "--recordings", 8, "--name", "back")
    found = rows(result)
    assert set(found) == {3, 5}
    cost = 4 * (9 * 12 + 2)
    removed, kept = found[3]
    # Nobody reads the new units yet.
    assert removed[:8] == ["3", "channels", "12", "8", f"-{cost}", "4", "(4", "new)"]
    assert kept[0] == "kept"
    assert len(removed) == 8 + 3  # scores, mean Taylor, mean entropy
    assert removed[8] == "0.00–0.00"
    assert removed[9] == "0"
    assert float(kept[2]) > 0
    assert all(float(words[-1]) > 0 for words in (removed, kept))
    total = base.card.parameters
    grown = read("bigger").card.parameters
    assert ["model", f"{grown:,}", f"{total:,}", f"{total - grown:+,}", "8", "(8", "new)"] in [
        line.split() for line in result.stdout.splitlines()
    ]
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert same_tensors(read("back").tensors, base.tensors)


def test_without_data_there_are_only_scores(base):
    result = run("prune", "--scope", "all", "--neurons", 20, "--criterion", "magnitude", "--dry-run")
    found = rows(result)
    assert set(found) == set(range(1, 9))
    assert sum(int(removed[5]) for removed, _ in found.values()) == 20
    assert all(len(removed) == 7 for removed, _ in found.values())
    assert "Taylor" not in result.stdout
    assert "Nothing was saved" in result.stderr


def test_more_than_was_added_shows_how_many_old_ones_go_too(base):
    run("grow", "--layer", "3", "--neurons", 4, "--name", "bigger")
    result = run("prune", "--layer", "3", "--neurons", 6, "--criterion", "newest", "--name", "less")
    removed, kept = rows(result)[3]
    assert removed[2:] == ["12", "6", f"-{6 * (9 * 12 + 2)}", "6", "(4", "new)", "-4", "to", "1"]
    assert kept == ["kept", "2–7"]
    assert read("less").card.widths == {"blocks.2.conv1": 6}


def test_newest_takes_back_what_the_last_growth_added(base):
    run("grow", "--layer", "2-3", "--neurons", 3, "--name", "bigger")
    run("prune", "--criterion", "newest")
    back = read("bigger-pruned-newest")
    assert same_tensors(back.tensors, base.tensors)
    assert back.card.thresholds == base.card.thresholds
    assert back.card.history[-1]["scope"] == "layer"
    message = failure("prune", "bigger-pruned-newest", "--criterion", "newest")
    assert "has not been grown" in message
    assert "deepcheck grow" in message


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["--scope", "all", "--fraction", 0.1], "base-pruned-allx0.1"),
        (["--layer", "1,3", "--neurons", 1], "base-pruned-1+3x1"),
        (["--layer", "1-3", "--scope", "all", "--neurons", 4], "base-pruned-1-3x4"),
    ],
)
def test_the_child_is_named_after_what_was_done(base, arguments, name):
    run("prune", *arguments, "--criterion", "random")
    assert read(name).card.history[-1]["criterion"] == "random"


@pytest.mark.parametrize(("suffix", "head"), [("png", b"\x89PNG\r\n\x1a\n"), ("SVG", b"<?xml"), ("pdf", b"%PDF-")])
def test_a_plot_of_the_scores(base, tmp_path, suffix, head):
    plot = tmp_path / "plots" / f"scores.{suffix}"
    options = ["--scope", "all", "--neurons", 9, "--criterion", "magnitude", "--dry-run", "--plot", plot]
    result = run("prune", *options)
    assert str(plot) in result.stderr
    drawn = plot.read_bytes()
    assert drawn.startswith(head)
    assert [file.name for file in plot.parent.iterdir()] == [plot.name]
    run("prune", *options)
    assert plot.read_bytes() == drawn


def test_a_name_that_is_taken_is_known_before_the_data_are_read(base, tmp_path):
    message = failure("prune", "--neurons", 1, "--data", tmp_path / "nowhere", "--name", "base")
    assert 'a model "base" already' in message


def test_newest_after_a_frozen_training_gives_the_old_network_back(base, corpus):
    run("grow", "--layer", "3", "--neurons", 4, "--name", "bigger")
    settings = ["data.workers=0", "data.holdout=0.3", "batch_size=8", "optimizer.warmup_steps=1", "precision=fp32"]
    run(
        *("train", "--start", "bigger", "--mode", "frozen", "--data", corpus, "--epochs", 1, "--lr", 0.01),
        *("--device", "cpu", "--name", "taught"),
        *(word for setting in settings for word in ("--set", setting)),
    )
    taught = read("taught")
    assert not same_tensors(taught.tensors, read("bigger").tensors)
    result = run("prune", "taught", "--criterion", "newest", "--name", "back")
    removed, _ = rows(result)[3]
    assert removed[5:8] == ["4", "(4", "new)"]
    assert same_tensors(read("back").tensors, base.tensors)


def test_exit_codes(base):
    for arguments, code in (
        (["--neurons", "0"], 2),
        (["--fraction", "2"], 2),
        (["--neurons", "1"], 1),
        (["--neurons", "1", "--criterion", "newest", "--dry-run"], 0),
    ):
        assert CliRunner().invoke(app, ["prune", *arguments]).exit_code == code


def test_prune_takes_what_it_takes_to_be_faster(base, monkeypatch):
    monkeypatch.setattr(target_speed, "_seconds", lambda detector, _: float(parameter_count(detector)))
    result = run("prune", "--scope", "all", "--criterion", "magnitude", "--target-speed", 1.5)
    child = read("base-pruned-all-1.5-times-as-fast")
    assert base.card.parameters / child.card.parameters >= 1.5
    rows = [line.split() for line in result.stdout.splitlines() if "%" in line]
    [taken] = [row for row in rows if row[-1] == "taken"]
    assert float(taken[1]) == round(base.card.parameters / child.card.parameters, 2)
    assert len(rows) > 2
    assert all((float(row[1]) >= 1.5) == (int(row[0][:-1]) >= int(taken[0][:-1])) for row in rows)
