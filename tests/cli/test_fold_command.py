"""`train --folds`: what is said, what is kept, and what `models show` knows of it."""

import json

import yaml
from conftest import TINY
from typer.testing import CliRunner

from deepcheck.checkpoint import load_checkpoint
from deepcheck.cli.app import app
from deepcheck.cli.fold_sheet import fold_sheet
from deepcheck.engine.fold_check import FoldCheck

SETTINGS = {
    "epochs": 1,
    "batch_size": 8,
    "device": "cpu",
    "precision": "fp32",
    "detector": {"name": "resnet18", **TINY.arguments},
    "data": {"workers": 0},
    "sampling": {"samples_per_epoch": 48, "min_crop_s": 0.5},
    "optimizer": {"lr": 0.005, "warmup_steps": 2},
    "calibration": {"false_alarm": 0.4, "miss": 0.45, "confidence": 0.5, "conditions": []},
}


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.stderr, result.exception)
    return result


def test_folds_from_the_command_line(corpus, tmp_path, home):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(SETTINGS))
    result = run("train", "--config", recipe, "--data", corpus, "--name", "mine", "--folds", 3)
    lines = result.stderr.splitlines()
    assert lines[0] == "Training on corpus (all but fold 1 of 3 by source): 8 bona fide, 8 spoof"
    assert not any("Development set" in line or "dev EER" in line for line in lines)
    assert any(line.startswith("fold 3/3  not heard: corpus (fold 3 of 3 by source): 4") for line in lines)
    assert any("On the folds, each by a model that has not heard it: EER" in line for line in lines)
    # The table is a result.
    assert "alarms promised" in " ".join(result.stdout.split())
    assert [line.split()[0] for line in result.stdout.splitlines()[-7:] if line.strip()][-5:] == [
        *"123",
        "mean",
        "worst",
    ]

    kept = sorted(path.name for path in (home / "runs" / "mine").iterdir() if not path.name.endswith("epochs.jsonl"))
    assert kept == [
        "fold-1.safetensors",
        "fold-2.safetensors",
        "fold-3.safetensors",
        "fold-abstention.json",
        "fold-abstention.png",
        "fold-groups.csv",
        "fold-scores.csv",
        "folds.json",
    ]
    card = load_checkpoint(home / "models" / "mine.safetensors").card
    assert [one["fold"] for one in card.history[-1]["folds"]] == [1, 2, 3]
    assert "worst" in run("models", "show", "mine").stdout
    assert json.loads(run("models", "show", "mine", "--json").stdout)["history"][0]["config"]["folds"]["count"] == 3
    scored = run("eval", "--score-file", home / "runs" / "mine" / "fold-scores.csv", "--data", corpus)
    assert "EER" in scored.stdout
    # Without folds nothing of this is said.
    run("train", "--config", recipe, "--data", corpus, "--name", "plain", "--set", "data.holdout=0.3")
    assert "worst" not in run("models", "show", "plain").stdout


def test_the_table_leaves_out_what_could_not_be_had():
    checks = [
        FoldCheck(1, 10, 20, 0.01, 0.02, 0.05, 0.1, 0.5, 0.6, 0.7, 0.2, 0.25),
        FoldCheck(2, 11, 21, None, 0.04, None, 0.0, 0.3, 0.2, 0.9, 0.4, None),
        FoldCheck(3, 12, 22, eer=0.6),
    ]
    sheet = fold_sheet(checks)
    by_name = {row[0]: dict(zip(sheet.columns, row, strict=True)) for row in sheet.rows}
    assert by_name["1"]["recordings"] == "10 + 20"
    assert by_name["1"]["alarms promised"] == "1.0 %"
    assert by_name["3"]["alarms"] == by_name["2"]["same source"] == ""
    assert [by_name["mean"][name] for name in ("alarms", "EER", "Cllr")] == ["3.0 %", "40.0 %", "0.800"]
    # Of some figures the least is the worst.
    worst = by_name["worst"]
    assert [worst[name] for name in ("alarms", "missed", "caught", "judged", "Cllr", "EER", "same source")] == [
        "4.0 %",
        "10.0 %",
        "30.0 %",
        "20.0 %",
        "0.900",
        "60.0 %",
        "25.0 %",
    ]
    assert worst["alarms promised"] == by_name["mean"]["misses promised"] == ""
    assert dict(zip(sheet.columns, fold_sheet([]).rows[0], strict=True))["EER"] == ""
