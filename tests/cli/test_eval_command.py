import csv
import json
from dataclasses import replace

import pytest
from conftest import speechlike, write_wav
from typer.testing import CliRunner

from deepcheck.audio.conditions import KINDS as CONDITIONS
from deepcheck.cli.app import app
from deepcheck.data.protocols import read_data
from deepcheck.engine.evaluate import evaluate
from deepcheck.engine.model import load
from deepcheck.engine.score_file import LAYOUTS


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
    # One thread, for the last digits depend on which recordings share a batch.
    result = CliRunner().invoke(app, ["eval", *(str(a) for a in arguments), "--device", "cpu", "--jobs", "1"])
    assert result.exit_code == code, (result.stderr, result.exception)
    return result


@pytest.fixture
def figures(data, stored_model):
    """What the engine says of the model called mine."""
    stored_model("mine", spoof=-0.5, bonafide=0.5)
    return evaluate(load("mine"), read_data(data), device="cpu", jobs=1)


def test_tables(data, figures):
    result = run("mine", "--data", data, "--by", "attack,language, nonsense")
    assert "set: 4 bona fide, 4 spoof" in result.stderr
    shown = " ".join(result.stdout.split())
    measured = figures.measurements
    for name, title in (("eer", "EER"), ("auc", "AUC"), ("min_dcf", "minDCF"), ("act_dcf", "actDCF"), ("cllr", "Cllr")):
        assert f" {title} {measured[name]} " in shown
    assert f"EER {100 * measured['eer'].value:.2f} % [{100 * measured['eer'].interval.low:.2f}, " in shown
    assert f"Cllr {measured['cllr'].value:.4f} bit [" in shown
    assert f"HTER at +0.00 {measured['hter']}" in shown
    assert "thresholds spoof -0.50, bona fide +0.50" in shown
    assert f"({figures.verdicts.missed.count} of 4)" in shown
    assert "2 sources, 4 + 4" in shown
    assert "mine by attack" in shown
    assert "mine by language" in shown
    assert "nonsense" not in shown
    assert "tts0" in shown
    assert result.stdout.count("Side by side") == 0  # one model alone
    assert "Worst case" not in result.stderr


def test_the_threshold_is_said_with_what_depends_on_it(data, figures):
    shown = " ".join(run("mine", "--data", data, "--threshold", "-0.25", "--by", "").stdout.split())
    moved = replace(figures, threshold=-0.25).measurements
    for name, title in (("hter", "HTER"), ("frr", "bona fide rejected"), ("far", "spoof accepted")):
        assert f"{title} at -0.25 {moved[name]}" in shown


def test_durations(data, stored_model):
    stored_model("mine")
    write_wav(data.parent / "r7.wav", speechlike(6.0, seed=7))
    shown = " ".join(run("mine", "--data", data, "--by", "duration").stdout.split())
    assert "below 2 s 4 3" in shown
    assert "5 to 10 s 1 " in shown


def test_help_names_what_there_is():
    shown = " ".join(CliRunner().invoke(app, ["eval", "--help"], env={"COLUMNS": "200"}).stdout.split())
    for word in (*CONDITIONS, *LAYOUTS):
        assert word in shown


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
    whole = json.loads((tmp_path / "all.json").read_text())
    assert list(whole) == ["version", "evaluations", "against_baseline", "seeds", "audit", "sasv", "attacks"]
    assert (whole["version"], whole["against_baseline"], whole["seeds"], whole["audit"]) == (1, {}, {}, None)
    [document] = whole["evaluations"]
    measured, missed = figures.measurements, figures.verdicts.missed
    assert (document["model"], document["protocol"]) == ("mine", "set: 4 bona fide, 4 spoof")
    assert (document["condition"], document["trials"], document["skipped"]) == ("clean", 8, [])
    assert (document["thresholds"], document["threshold"]) == ({"spoof": -0.5, "bonafide": 0.5}, 0.0)
    assert document["cost"]["parameters"] == figures.cost.parameters
    for name, one in measured.items():
        assert document[name] == pytest.approx(one.value)
        assert document[f"{name}_interval"] == pytest.approx({"low": one.interval.low, "high": one.interval.high})
    assert document["missed"] == {
        "count": missed.count,
        "total": 4,
        "value": missed.value,
        "low": missed.interval.low,
        "high": missed.interval.high,
    }
    assert (document["same_source"]["sources"], document["same_source"]["bonafide"]) == (2, 4)
    assert {row["name"] for row in document["by"]["source"]} == {"studio", "street"}
    [german] = document["by"]["language"]
    assert (german["bonafide"], german["within"], german["called_spoof"]["total"]) == (4, True, 8)
    assert (german["eer"], german["eer_interval"]) == (document["eer"], document["eer_interval"])


def test_several_models_side_by_side(data, stored_model, tmp_path):
    stored_model("one")
    stored_model("two", offset=3.0)
    result = run("one", "two", "--data", data, "--scores", tmp_path / "s.csv", "--by", "")
    assert " ".join(result.stdout.split()).count("one two") == 1
    assert "Side by side on set" in result.stdout
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
    [document] = json.loads((tmp_path / "all.json").read_text())["evaluations"]
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
