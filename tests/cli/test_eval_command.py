import csv
import json

import pytest
from conftest import speechlike, write_wav
from typer.testing import CliRunner

from deepcheck.cli.app import app
from deepcheck.data.protocols import read_data
from deepcheck.engine.evaluate import evaluate
from deepcheck.engine.model import load


@pytest.fixture
def data(tmp_path):
    """A manifest of four genuine recordings and four spoofs in two places."""
    lines = ["path,label,subset,source,system,language"]
    for i in range(8):
        write_wav(tmp_path / "set" / f"r{i}.wav", speechlike(1.2 + 0.1 * i, seed=i))
        label, system = ("spoof", f"tts{i % 4 // 2}") if i % 2 else ("bonafide", "")
        lines.append(f"r{i}.wav,{label},val,{'studio' if i < 4 else 'street'},{system},de")
    place = tmp_path / "set" / "manifest.csv"
    place.write_text("\n".join(lines) + "\n")
    return place


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["eval", *(str(a) for a in arguments), "--device", "cpu"])
    assert result.exit_code == code, (result.stderr, result.exception)
    return result


@pytest.fixture
def figures(data, stored_model):
    """What the engine says of the model called mine."""
    stored_model("mine", spoof=-0.5, bonafide=0.5)
    return evaluate(load("mine"), read_data(data), device="cpu")


def test_tables(data, figures):
    result = run("mine", "--data", data, "--by", "attack,language, nonsense")
    assert "set: 4 bona fide, 4 spoof" in result.stderr
    shown = " ".join(result.stdout.split())
    summary = figures.summary()
    assert f"EER {100 * summary.eer:.1f} %" in shown
    assert f"AUC {summary.auc:.4f}" in shown
    assert f"Cllr {summary.cllr:.3f} bit" in shown
    assert "thresholds spoof -0.50, bona fide +0.50" in shown
    assert f"({summary.missed.count} of 4)" in shown
    assert "2 sources, 4 + 4" in shown
    assert "mine by attack" in shown
    assert "mine by language" in shown
    assert "nonsense" not in shown
    assert "tts0" in shown


def test_scores(data, figures, tmp_path):
    run("mine", "--data", data, "--scores", tmp_path / "new" / "scores.csv")
    with (tmp_path / "new" / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["model", "id", "path", "label", "attack", "source", "duration_s", "llr"]
    assert [row["id"] for row in rows] == [f"r{i}" for i in range(8)]
    for row, trial in zip(rows, figures.trials, strict=True):
        assert row["model"] == "mine"
        assert row["path"] == str(trial.utterance.path)
        assert row["label"] == trial.utterance.label.name.lower()
        assert row["attack"] == (trial.utterance.attack or "")
        assert float(row["llr"]) == pytest.approx(trial.llr, abs=1e-5)
        assert float(row["duration_s"]) == pytest.approx(trial.duration_s, abs=1e-3)


def test_json(data, figures, tmp_path):
    run("mine", "--data", data, "--json", tmp_path / "all.json", "--by", "source,language")
    [document] = json.loads((tmp_path / "all.json").read_text())
    summary = figures.summary()
    assert (document["model"], document["protocol"]) == ("mine", "set: 4 bona fide, 4 spoof")
    assert (document["trials"], document["skipped"]) == (8, [])
    assert document["thresholds"] == {"spoof": -0.5, "bonafide": 0.5}
    assert document["eer"] == summary.eer
    assert document["eer_interval"] == {"low": summary.eer_interval.low, "high": summary.eer_interval.high}
    assert document["cllr"] == pytest.approx(summary.cllr)
    assert document["missed"] == {
        "count": summary.missed.count,
        "total": 4,
        "value": summary.missed.value,
        "low": summary.missed.interval.low,
        "high": summary.missed.interval.high,
    }
    assert (document["same_source"]["sources"], document["same_source"]["bonafide"]) == (2, 4)
    assert {row["name"] for row in document["by"]["source"]} == {"studio", "street"}
    assert document["by"]["language"][0]["bonafide"] == 4
    assert document["by"]["language"][0]["eer"] == summary.eer


def test_several_models_side_by_side(data, stored_model, tmp_path):
    stored_model("one")
    stored_model("two", offset=3.0)
    result = run("one", "two", "--data", data, "--scores", tmp_path / "s.csv", "--by", "")
    assert " ".join(result.stdout.split()).count("one two") == 1
    with (tmp_path / "s.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    llrs = {name: [float(row["llr"]) for row in rows if row["model"] == name] for name in ("one", "two")}
    assert llrs["two"] == pytest.approx([llr + 3 for llr in llrs["one"]], abs=1e-4)


def test_the_current_model_is_taken_where_none_is_named(data, stored_model, home):
    stored_model("mine")
    (home / "current").write_text("mine\n")
    assert "mine by source" in " ".join(run("--data", data).stdout.split())


def test_a_broken_recording_costs_exit_code_3_and_nothing_else(data, stored_model, tmp_path):
    stored_model("mine")
    (data.parent / "r3.wav").write_bytes(b"nothing")
    result = run("mine", "--data", data, "--json", tmp_path / "all.json", code=3)
    assert "r3.wav: not audio or video in a known format" in result.stderr
    assert "not scored" in result.stdout
    [document] = json.loads((tmp_path / "all.json").read_text())
    assert document["trials"] == 7
    [skipped] = document["skipped"]
    assert skipped["path"].endswith("r3.wav")
    assert "known format" in skipped["reason"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nobody", "--data", "set/manifest.csv"), "There is no model"),
        (("mine", "--data", "nowhere"), "There is nothing at"),
        (("mine", "--data", "set", "--subset", "vall"), 'Did you mean "val"?'),
        (("mine", "--data", "set", "--device", "gpu"), "There is no device"),
    ],
)
def test_errors(data, stored_model, monkeypatch, arguments, message):
    stored_model("mine")
    monkeypatch.chdir(data.parent.parent)
    command = ["eval", *arguments]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stdout == ""
