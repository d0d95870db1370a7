"""examples/levers: the settings of every lever exist, each becomes a row once, and the table compares with `base`."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import yaml
from conftest import TINY

PACK = Path(__file__).parent.parent / "examples" / "levers"
RECIPE = {
    "epochs": 1,
    "batch_size": 8,
    "device": "cpu",
    "precision": "fp32",
    "detector": {"name": "resnet18", **TINY.arguments},
    "data": {"workers": 0},
    "folds": {"count": 3},
    "sampling": {"samples_per_epoch": 24, "min_crop_s": 0.5},
}


@pytest.fixture(scope="module")
def levers():
    spec = importlib.util.spec_from_file_location("levers", PACK / "levers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def small(tmp_path):
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    place = tmp_path / "levers.yaml"
    changes = {"base": {}, "no couples": {"sampling.paired": 0.0}}
    place.write_text(yaml.safe_dump({"base": "recipe.yaml", "levers": changes}))
    return place


def run(levers, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["levers.py", *map(str, arguments)])
    return levers.main()


def test_every_lever_changes_something_that_there_is(levers):
    table = yaml.safe_load(levers.LEVERS.read_text())["levers"]
    made = {name: levers.settings(levers.LEVERS, name, table[name], "manifest.csv", "train") for name in table}
    assert len(made) > 15
    assert all(config.folds.count == 4 and config.data.train.subset == "train" for config in made.values())
    plain = {str(config).replace(config.name, "") for config in made.values()}
    assert len(plain) == len(made)


def test_rows_and_table(levers, small, corpus, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    assert run(levers, monkeypatch, "--levers", small, "--data", corpus, "--out", out) == 0
    places = [out / "rows" / name for name in ("base.json", "no-couples.json")]
    rows = [json.loads(place.read_text()) for place in places]
    assert [row["lever"] for row in rows] == ["base", "no couples"]
    assert all(len(row["folds"]) == 3 and row["parameters"] and len(row["loss"]) == 3 for row in rows)
    mean = [sum(fold["eer"] for fold in row["folds"]) / 3 for row in rows]
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith(f"| base | {100 * mean[0]:.1f} | {100 * max(f['eer'] for f in rows[0]['folds']):.1f} |")
    assert lines[3].startswith(f"| no couples | {100 * mean[1]:.1f} ({100 * (mean[1] - mean[0]):+.1f}) |")
    # What is known is not measured again, and needs no data to be shown.
    before = [place.read_bytes() for place in places]
    assert run(levers, monkeypatch, "--levers", small, "--out", out, "--table") == 0
    assert [place.read_bytes() for place in places] == before
    assert capsys.readouterr().out.splitlines() == lines


def test_levers_beside_each_other(levers, small, corpus, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    only = ["--only", "no couples", "--only", "base"]
    assert run(levers, monkeypatch, "--levers", small, "--data", corpus, "--out", out, "--jobs", 2, *only) == 0
    assert sorted(place.name for place in (out / "rows").iterdir()) == ["base.json", "no-couples.json"]
    assert [line.split(" | ")[0] for line in capsys.readouterr().out.splitlines()[2:]] == ["| base", "| no couples"]


def test_mistakes_are_sentences(levers, small, tmp_path, monkeypatch, capsys):
    assert run(levers, monkeypatch, "--levers", small, "--out", tmp_path, "--only", "bse") == 1
    assert 'There is no lever "bse"' in capsys.readouterr().err
    assert run(levers, monkeypatch, "--levers", small, "--out", tmp_path) == 1
    assert "--data" in capsys.readouterr().err


def test_levers_together_are_weighed_by_the_other_folds(levers, small, corpus, tmp_path, monkeypatch, capsys):
    document = yaml.safe_load(small.read_text())
    document["levers"]["another seed"] = {"detector.dropout": 0.1}
    document["fused"] = {"both": ["base", "no couples"], "not yet": ["base", "another seed"]}
    small.write_text(yaml.safe_dump(document))
    out = tmp_path / "out"
    only = ["--only", "base", "--only", "no couples", "--only", "both", "--only", "not yet"]
    assert run(levers, monkeypatch, "--levers", small, "--data", corpus, "--out", out, *only) == 0
    rows = levers.known(out)
    assert rows.keys() == {"base", "no couples", "both"}  # the other wants a lever that has not been run
    parts = [rows[name] for name in ("base", "no couples")]
    assert rows["both"]["gflop_per_s"] == pytest.approx(sum(part["gflop_per_s"] for part in parts))
    assert [fold["bonafide"] for fold in rows["both"]["folds"]] == [fold["bonafide"] for fold in parts[0]["folds"]]
    # A model that says the same as another adds nothing.
    scores = (out / "runs" / "base.csv").read_bytes()
    (out / "runs" / "no-couples.csv").write_bytes(scores)
    config = levers.settings(small, "both", {}, str(corpus), None)
    twice = levers.fuse("both", document["fused"]["both"], rows, config, out)
    assert [fold["eer"] for fold in twice["folds"]] == pytest.approx([fold["eer"] for fold in rows["base"]["folds"]])
    assert capsys.readouterr().out.splitlines()[-1].startswith("| both | ")
