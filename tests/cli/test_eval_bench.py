"""`deepcheck eval` with everything that it can be asked besides one model on clean sound."""

import csv
import json
import os
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch
from conftest import TINY, speechlike, write_wav
from typer.testing import CliRunner

from deepcheck.card import Card
from deepcheck.checkpoint import save_checkpoint, snapshot
from deepcheck.cli.app import app
from deepcheck.data.protocols import read_data
from deepcheck.detectors.base import build
from deepcheck.engine.comparison import against, over_seeds
from deepcheck.engine.evaluate import evaluate
from deepcheck.engine.model import load
from deepcheck.engine.score import Scorer
from deepcheck.engine.score_file import read_scores, threshold_at_eer
from deepcheck.metrics.calibration import Calibration, Thresholds
from deepcheck.metrics.detection import hter
from deepcheck.metrics.table import METRICS
from deepcheck.metrics.tandem import ASVSPOOF5_ASV, asv_rates, min_a_dcf, min_t_dcf

SIZE = 20
DOCUMENTS = {"json": "all.json", "csv": "all.csv", "latex": "all.tex", "scores": "scores.csv"}


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """Ten genuine recordings and ten spoofs; three models of other random weights, one that nobody has calibrated."""
    folder = tmp_path_factory.mktemp("stock")
    lines = ["path,label,source,system,language"]
    for i in range(SIZE):
        write_wav(folder / "set" / f"r{i}.wav", speechlike(1.1, seed=i, f0_hz=90 + 7 * i))
        lines.append(f"r{i}.wav,{'spoof' if i % 2 else 'bonafide'},site{i % 3},{f'tts{i % 4}' if i % 2 else ''},de")
    (folder / "set" / "manifest.csv").write_text("\n".join(lines) + "\n")
    for seed, name in enumerate(("one", "two", "three", "raw")):
        torch.manual_seed(seed)
        fitted = Card(name, TINY, calibration=Calibration(1.0, 0.1 * seed), thresholds=Thresholds(-1.0, 1.0))
        card = fitted if name != "raw" else Card(name, TINY)
        save_checkpoint(snapshot(build(TINY).eval(), card), folder / "models" / f"{name}.safetensors")
    return folder


@pytest.fixture
def place(stock, tmp_path, monkeypatch):
    """Where the command is run, with the recordings in `set`."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(stock / "set", tmp_path / "set")
    return tmp_path


@pytest.fixture
def models(stock, home):
    shutil.copytree(stock / "models", home / "models")


@pytest.fixture
def run(place, models):
    """Runs the command on the models in the store."""

    def run_it(*arguments, code=0, data="set"):
        # One thread, for the last digits depend on which recordings share a batch.
        command = ["eval", *(str(a) for a in arguments), "--data", str(data), "--device", "cpu", "--jobs", "1"]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == code, (result.stderr, result.exception)
        return result

    return run_it


@pytest.fixture
def scored(monkeypatch):
    """The numbers of recordings that were scored, a number a pass."""
    passes = []
    recordings = Scorer.recordings

    def counting(self, paths, *arguments):
        passes.append(0)
        for scores in recordings(self, paths, *arguments):
            passes[-1] += 1
            yield scores

    monkeypatch.setattr(Scorer, "recordings", counting)
    return passes


def words(text):
    return " ".join(text.split())


def document(place, name="all.json"):
    return json.loads((place / name).read_text())


def figures(name):
    return evaluate(load(name), read_data("set"), device="cpu", jobs=1)


def write_asv(path, seed=0):
    """Scores of a speaker verifier, also as (target, nontarget, spoof)."""
    draw = np.random.default_rng(seed)
    scores = [np.round(draw.normal(mean, 1, size), 4) for mean, size in ((3, 60), (0, 50), (1.5, 40))]
    kinds = ("target", "nontarget", "spoof")
    path.write_text("".join(f"- {kind} {s}\n" for kind, own in zip(kinds, scores, strict=True) for s in own))
    return scores


def test_against_a_baseline(run, place):
    result = run("one", "two", "--baseline", "two", "--json", "all.json", "--by", "")
    found = document(place)
    assert [e["model"] for e in found["evaluations"]] == ["one", "two"]
    assert list(found["against_baseline"]) == ["one"]
    expected = against(figures("two"), figures("one"))
    assert list(found["against_baseline"]["one"]) == list(METRICS)
    for name, one in found["against_baseline"]["one"].items():
        assert one["baseline"] == pytest.approx(expected[name].first)
        assert one["model"] == pytest.approx(expected[name].second)
        assert one["difference"] == pytest.approx(one["model"] - one["baseline"])
        assert one["interval"]["low"] <= one["difference"] <= one["interval"]["high"]
        assert 0 < one["p"] <= 1
    shown = words(result.stdout)
    points = 100 * expected["eer"].difference
    assert f"{points:+.1f} [{100 * expected['eer'].interval.low:+.1f}," in shown
    assert f"{expected['eer'].p:.3f}" in shown
    assert shown.count("baseline") == 1
    assert shown.index("Side by side on set: 10 bona fide, 10 spoof") < shown.index("difference")


def test_seeds(run, place):
    result = run("Mine=one, two,three", "--json", "all.json", "--by", "", "--baseline", "three")
    found = document(place)
    expected = over_seeds([figures(name) for name in ("one", "two", "three")])
    assert list(found["seeds"]) == ["Mine"]
    for name, spread in expected.items():
        assert found["seeds"]["Mine"][name]["values"] == pytest.approx(spread.values)
        assert found["seeds"]["Mine"][name]["mean"] == pytest.approx(spread.mean)
        assert found["seeds"]["Mine"][name]["deviation"] == pytest.approx(spread.deviation)
    shown = words(result.stdout)
    eer = expected["eer"]
    assert "Mine: 3 seeds" in shown
    assert f"EER {100 * eer.mean:.2f} % {100 * eer.deviation:.2f} % {100 * min(eer.values):.2f} %" in shown
    assert list(found["against_baseline"]) == ["one", "two"]


def test_seeds_beside_others_and_a_single_one(run, place):
    result = run("A=one", "B=two,three", "--json", "all.json", "--by", "")
    found = document(place)
    assert {name: len(spread["eer"]["values"]) for name, spread in found["seeds"].items()} == {"A": 1, "B": 2}
    assert found["seeds"]["A"]["eer"]["deviation"] is None
    assert "A: 1 seed " in words(result.stdout)


def test_a_sweep(run, place, scored):
    result = run("one", "two", "--conditions", "telephone,clean,noise:-10dB", "--json", "all.json", "--by", "")
    assert scored == [SIZE] * 6  # clean sound once
    found = {(e["model"], e["condition"]): e for e in document(place)["evaluations"]}
    assert set(found) == {(m, c) for m in ("one", "two") for c in ("clean", "telephone", "noise:-10dB")}
    assert found["one", "clean"]["cllr"] == pytest.approx(figures("one").measurements["cllr"].value)
    assert len({round(e["cllr"], 9) for e in found.values()}) == 6
    shown = words(result.stdout)
    assert "Robustness on set: 10 bona fide, 10 spoof" in shown
    for model in ("one", "two"):
        eers = {c: e["eer"] for (m, c), e in found.items() if m == model}
        worst = max(eers, key=eers.get)
        assert f"{model}: {worst} (EER {100 * eers[worst]:.1f} %)" in result.stderr
        telephone = found[model, "telephone"]
        alarms, missed = (f"{100 * telephone[name]['value']:.1f} %" for name in ("false_alarms", "missed"))
        assert f"{100 * (eers['telephone'] - eers['clean']):+.1f} {alarms} {missed}" in shown
    assert result.stderr.count("Worst case of one: ") == 1


def test_an_audit_warns_of_a_planted_shortcut(run, place):
    for i in range(1, SIZE, 2):
        speech = speechlike(1.1, seed=i, f0_hz=90 + 7 * i)
        write_wav(place / "set" / f"r{i}.wav", np.concatenate([np.zeros(8_000, np.float32), speech]))
    result = run("one", "--audit", "--json", "all.json", "--by", "")
    said = "This set can be solved without listening: "
    assert said in result.stderr
    audit = document(place)["audit"]
    assert audit["warning"] in result.stderr
    assert audit["warning"].startswith(said)
    [silence] = [row for row in audit["families"] if row["family"] == "silence"]
    assert silence["eer"] < 0.1
    [leading] = [row for row in audit["features"] if row["name"] == "leading_silence_s"]
    assert (leading["bonafide"] < 0.1, leading["spoof"] >= 0.5) == (True, True)
    assert [row["family"] for row in audit["explained"]["one"]] == [row["family"] for row in audit["families"]]
    assert "explains of one" in words(result.stdout)
    assert "leading_silence_s" in result.stdout


def test_an_audit_finds_nothing_where_there_is_nothing(run, place):
    result = run("one", "--audit", "--by", "")
    assert "No surface feature solves this set." in result.stderr


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_plots(run, place, suffix):
    result = run("one", "two", "--plots", "new/plots", "--plot-format", suffix, "--conditions", "telephone")
    names = ["by-attack", "by-source", "calibration", "det", "robustness", "scores"]
    assert sorted(path.name for path in (place / "new" / "plots").iterdir()) == [f"{name}.{suffix}" for name in names]
    for name in names:
        path = place / "new" / "plots" / f"{name}.{suffix}"
        assert f"Drawn to {Path('new/plots', path.name)}" in result.stderr
        if suffix == "png":
            pixels = matplotlib.image.imread(path)
            assert pixels.shape[0] > 200
            assert pixels.std() > 0.01
        elif suffix == "svg":
            assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        else:
            assert path.read_bytes().startswith(b"%PDF-")


def test_every_figure_as_csv(run, place):
    run("one", "two", "--conditions", "telephone", "--csv", "all.csv", "--json", "all.json", "--by", "attack,language")
    with (place / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["model", "condition", "key", "group", "metric", "value", "low", "high"]
    values = {tuple(row[name] for name in list(row)[:5]): row for row in rows}
    assert len(values) == len(rows)
    for e in document(place)["evaluations"]:
        who = (e["model"], e["condition"])
        for name in (*METRICS, "hter", "frr", "far"):
            row = values.pop((*who, "", "", name))
            assert float(row["value"]) == e[name]
            assert {"low": float(row["low"]), "high": float(row["high"])} == e[f"{name}_interval"]
        for name in ("false_alarms", "cleared", "missed", "caught"):
            assert float(values.pop((*who, "", "", name))["value"]) == e[name]["value"]
        for key in ("attack", "language"):
            for group in e["by"][key]:
                assert float(values.pop((*who, key, group["name"], "eer"))["value"]) == group["eer"]
    assert values == {}


def test_latex_holds_the_tables_that_are_shown(run, place):
    result = run("one", "two", "--latex", "all.tex", "--audit", "--conditions", "telephone", "--by", "attack")
    text = (place / "all.tex").read_text()
    # Figures, side by side, two by attack, robustness, two of the audit.
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 7
    assert r"\caption{one by attack (" in text
    assert "tts1 &  & 5 & " in text
    for title in ("Side by side on", "Robustness on", "Audit of", "Surface features"):
        assert title in text
        assert title in result.stdout


def test_nothing_is_written_that_was_not_asked_for(run, place, home):
    before = sorted(place.rglob("*"))
    run("one")
    assert sorted(place.rglob("*")) == before
    assert list((home / "evaluations").iterdir()) == []


def test_scores_for_a_challenge(run, place):
    run("one", "--scores", "theirs.txt", "--score-layout", "asvspoof2019")
    rows = [line.split() for line in (place / "theirs.txt").read_text().splitlines()]
    expected = figures("one").trials
    assert [row[:3] for row in rows] == [
        [t.utterance.id, t.utterance.attack or "-", t.utterance.label.name.lower()] for t in expected
    ]
    assert [float(row[3]) for row in rows] == pytest.approx([t.llr for t in expected], abs=1e-5)


@pytest.fixture
def challenge(place):
    """Three trials as ASVspoof 2019 lists them, their empty recordings, and what a system said of them."""
    lines = "LA_1 LA_E_1 - - bonafide\nLA_1 LA_E_2 - A07 spoof\nLA_2 LA_E_3 - A08 spoof\n"
    protocols, audio = place / "LA" / "ASVspoof2019_LA_cm_protocols", place / "LA" / "ASVspoof2019_LA_eval" / "flac"
    for folder in (protocols, audio):
        folder.mkdir(parents=True)
    (protocols / "ASVspoof2019.LA.cm.eval.trl.txt").write_text(lines)
    for i in (1, 2, 3):
        (audio / f"LA_E_{i}.flac").touch()
    (place / "theirs.txt").write_text("LA_E_1 0.5\nLA_E_2 0.75\nLA_E_3 -2\n")
    return "--protocol", "asvspoof2019-la", "--subset", "eval"


def test_scores_of_another_system_need_no_model(run, place, challenge, scored):
    result = run("--score-file", "theirs.txt", *challenge, "--json", "all.json", "--by", "attack", data="LA")
    assert scored == []
    [found] = document(place)["evaluations"]
    assert (found["model"], found["protocol"]) == ("theirs", "ASVspoof 2019 LA (eval): 1 bona fide, 2 spoof")
    assert (found["auc"], found["far"], found["frr"]) == (0.5, 0.5, 0.0)
    assert (found["thresholds"], found["cost"]) == (None, None)
    assert "false_alarms" not in found
    assert [(row["name"], row["eer"], row["called_spoof"]) for row in found["by"]["attack"]] == [
        ("A07", 1.0, None),
        ("A08", 0.0, None),
    ]
    shown = words(result.stdout)
    assert "thresholds" not in shown
    assert "theirs by attack" in shown


def test_a_model_against_its_own_score_file(run, place, scored):
    run("one", "--scores", "was.csv", "--by", "")
    run("two", "--score-file", "was.csv", "--baseline", "was", "--json", "all.json", "--by", "")
    assert scored == [SIZE, SIZE]
    found = document(place)
    assert [e["model"] for e in found["evaluations"]] == ["two", "was"]
    expected = against(read_scores(place / "was.csv", read_data("set"), "was"), figures("two"))
    assert found["against_baseline"]["two"]["auc"]["difference"] == pytest.approx(expected["auc"].difference)


def test_tandem_with_a_speaker_verifier(run, place):
    scores = write_asv(place / "asv.txt")
    result = run("one", "--asv", "asv.txt", "--json", "all.json", "--by", "", "--conditions", "telephone")
    clean, telephone = document(place)["evaluations"]
    rates, own = asv_rates(*scores), figures("one").scores()
    assert clean["min_t_dcf"] == pytest.approx(min_t_dcf(*own, rates))
    assert clean["min_t_dcf_2019"] == pytest.approx(min_t_dcf(*own, rates, legacy=True))
    assert clean["min_t_dcf_interval"]["low"] <= clean["min_t_dcf"]
    assert "min_t_dcf" in telephone
    assert f"min t-DCF {clean['min_t_dcf']:.4f} [" in words(result.stdout)
    assert f"min t-DCF (2019) {clean['min_t_dcf_2019']:.4f} [" in words(result.stdout)


def test_tandem_with_the_verifier_of_asvspoof5(run, place):
    run("one", "--asv", "asvspoof5", "--json", "all.json", "--by", "")
    [found] = document(place)["evaluations"]
    assert found["min_t_dcf"] == pytest.approx(min_t_dcf(*figures("one").scores(), ASVSPOOF5_ASV))


def test_systems_that_do_both_at_once(run, place, scored):
    scores = {name: write_asv(place / f"{name}.txt", seed) for seed, name in enumerate(("joint", "other"))}
    result = run("--sasv", "joint.txt", "--sasv", "other.txt", "--json", "all.json", "--csv", "all.csv")
    assert scored == []
    found = document(place)
    assert found["evaluations"] == []
    with (place / "all.csv").open(newline="") as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    for name, own in scores.items():
        cost = min_a_dcf(*own)[0]
        assert found["sasv"][name]["min_a_dcf"] == cost
        assert [found["sasv"][name][kind] for kind in ("target", "nontarget", "spoof")] == [60, 50, 40]
        assert f"{name} 60 50 40 {cost:.4f} [" in words(result.stdout)
        assert (rows[name]["metric"], float(rows[name]["value"])) == ("min_a_dcf", cost)


def test_a_threshold_carried_over_from_other_trials(run, place):
    run("one", "--scores", "dev.csv", "--by", "")
    result = run("two", "--carry", "dev.csv", "--json", "all.json", "--by", "")
    threshold = threshold_at_eer(place / "dev.csv")
    [found] = document(place)["evaluations"]
    assert found["threshold"] == threshold
    assert found["hter"] == pytest.approx(hter(*figures("two").scores(), threshold))
    assert f"HTER at {threshold:+.2f}" in words(result.stdout)


def test_what_was_interrupted_goes_on(run, place, home, scored, monkeypatch):
    import deepcheck.cli.bench as bench

    def interrupted(*arguments, progress, condition=None, **options):
        def stopping(done, total):
            if condition is not None and done == 7:
                raise KeyboardInterrupt
            progress(done, total)

        return evaluate(*arguments, progress=stopping, condition=condition, **options)

    sweep = ("one", "--conditions", "noise:0dB", "--by", "", "--json", "all.json")
    with monkeypatch.context() as patch:
        patch.setattr(bench, "evaluate", interrupted)
        result = run(*sweep, code=130)
    assert "What has been scored is kept: the same command goes on from here." in result.stderr
    assert "Interrupted." in result.stderr
    assert result.stdout == ""
    assert not (place / "all.json").exists()
    assert len(list((home / "evaluations").iterdir())) == 2
    del scored[:]
    run(*sweep)
    assert scored == [0, SIZE - 7]
    assert list((home / "evaluations").iterdir()) == []
    resumed = document(place)["evaluations"]
    run(*sweep)
    for one, other in zip(resumed, document(place)["evaluations"], strict=True):
        assert one["cllr"] == pytest.approx(other["cllr"], abs=1e-6)
        assert one["eer"] == other["eer"]


def test_no_resume_begins_anew(run, place, home, scored, monkeypatch):
    import deepcheck.cli.bench as bench

    with monkeypatch.context() as patch:
        patch.setattr(bench, "tables", None)  # whatever happens once all is scored
        CliRunner().invoke(app, ["eval", "one", "--data", "set", "--device", "cpu"])
    assert len(list((home / "evaluations").iterdir())) == 1
    run("one", "--no-resume")
    assert scored == [SIZE, SIZE]


def test_a_model_without_calibration_costs_the_others_nothing(run, place, scored):
    result = run("one", "raw", code=1)
    assert 'The model "raw" has no calibration.' in result.stderr
    assert scored == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("one two --baseline tow", 'The baseline "tow" is not among the models. Did you mean "two"?'),
        ("one --conditions opuss", 'There is no condition "opuss". Did you mean "opus"?'),
        ("one --conditions opus:17k", 'The bit rate of the condition "opus" cannot be 17k.'),
        ("one --conditions ,", "The list of conditions is empty."),
        ("--score-file all.txt --conditions clean", "Only a model can score under other conditions or attacks."),
        ("one --score-layout asvspoof", 'There is no score layout "asvspoof". Did you mean "asvspoof'),
        ("one two --scores x --score-layout asvspoof5", "asvspoof5 holds the scores of one model, not 2."),
        ("one --plot-format gif", 'A plot cannot be written to "plot.gif". Let the name end with one of .png'),
        ("one two one", '"one" is named twice.'),
        ("one S=two,one", '"one" is named twice.'),
        ("all --score-file all.txt", '"all" is named twice.'),
        ("S= one", '"S=" names no models. Write it as NAME=model,model,model.'),
        ("=one,two", '"=one,two" names no models.'),
        ("S=one,nobody", 'There is no model "nobody".'),
        ("one --asv nowhere.txt", "nowhere.txt of a speaker verifier cannot be read: No such file"),
        ("one --asv all.txt", 'all.txt, line 2: "r1 1" is no trial of a speaker verifier.'),
        ("one --sasv nowhere.txt", "nowhere.txt of a speaker verifier cannot be read: No such file"),
        ("one --carry nowhere.csv", "nowhere.csv cannot be read: No such file"),
        ("one --carry all.txt", "all.txt holds no labelled scores. Write them with: deepcheck eval --scores FILE."),
        ("one --threshold nan", "The threshold is not a number."),
        ("one --score-file nowhere.txt", "The score file nowhere.txt cannot be read: No such file"),
        ("one --score-file few.txt", "few.txt has no score for 18 of 20 trials, such as r2."),
        ("one --device gpu", 'There is no device "gpu".'),
        ("one --subset dev", 'has no subset "dev"'),
        ("one --protocol asvspoof", 'There is no protocol "asvspoof".'),
        ("one --json set/manifest.csv", "set/manifest.csv would be written over."),
        ("one --scores set/r1.wav", "set/r1.wav would be written over."),
        ("one --score-file few.txt --scores few.txt", "few.txt would be written over."),
        ("one --json few.txt/all.json", "few.txt: File exists."),
    ],
)
def test_errors_come_before_hours_of_scoring(place, models, home, scored, arguments, message):
    (place / "all.txt").write_text("".join(f"r{i} {i}\n" for i in range(SIZE)))
    (place / "few.txt").write_text("r0 0\nr1 1\n")
    manifest = (place / "set" / "manifest.csv").read_text()
    shutil.copy(home / "models" / "one.safetensors", home / "models" / "all.safetensors")
    result = CliRunner().invoke(app, ["eval", *arguments.split(), "--data", "set"])
    assert result.exit_code == 1, (result.stderr, result.exception)
    assert message in words(result.stderr)
    assert (result.stdout, scored) == ("", [])
    assert (place / "set" / "manifest.csv").read_text() == manifest


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (lambda i: i % 2, "holds no bonafide recording. Training and evaluation need both labels."),
        (lambda i: i % 2 == 0, "holds no spoof recording."),
        (lambda i: i < 16, "an audit needs at least 10 recordings of each label"),
    ],
)
def test_a_set_that_cannot_do_is_not_scored(run, place, scored, keep, message):
    header, *lines = (place / "set" / "manifest.csv").read_text().splitlines()
    (place / "set" / "part.csv").write_text("\n".join([header, *(line for i, line in enumerate(lines) if keep(i))]))
    result = run("one", "--audit", data="set/part.csv", code=1)
    assert message in words(result.stderr)
    assert scored == []


@pytest.mark.parametrize("arguments", [("--json", "set"), ("--plots", "set/manifest.csv")])
def test_a_folder_is_no_file(run, arguments, scored):
    run("one", *arguments, code=2)
    assert scored == []


def test_no_tables_of_columns_that_nobody_has(run):
    result = run("one", "--by", "source,atack,language", "--conditions", "clean")
    assert 'No recording has the column "atack".' in result.stderr
    assert "one by language" in words(result.stdout)


def test_documents_are_written_though_nobody_reads_the_tables(run, place, home, monkeypatch):
    import deepcheck.cli.bench as bench

    def closed(table):
        raise SystemExit(1)  # what rich does

    monkeypatch.setattr(bench, "show", closed)
    written = [argument for option, name in DOCUMENTS.items() for argument in (f"--{option}", name)]
    run("one", *written, "--plots", "plots", code=1)
    assert {*DOCUMENTS.values(), "plots"} <= {path.name for path in place.iterdir()}
    assert len(list((home / "evaluations").iterdir())) == 1  # to be read again without scoring


@pytest.fixture
def strangers(place):
    """Folders whose names are out to do harm, one of them no UTF-8."""
    names = ["[red]x[red]", "\x1b[31mred", "a & b_c %", "=1+1", "$\\alpha$", "line\nbreak", os.fsdecode(b"caf\xe9")]
    for i, name in enumerate(names):
        for label in ("bonafide", "spoof"):
            write_wav(place / "strange" / label / name / f"{i}.wav", speechlike(1.1, seed=len(label) + i))
    return names


@pytest.mark.skipif(sys.platform != "linux", reason="file systems that take any bytes")
def test_names_of_strangers(run, place, strangers):
    written = [argument for option, name in DOCUMENTS.items() for argument in (f"--{option}", name)]
    result = run("one", *written, "--plots", "plots", "--plot-format", "svg", data="strange")
    assert "\x1b[31mred" not in result.stdout
    assert "\\x1b[31mred" in result.stdout
    assert "[red]x[red]" in result.stdout
    assert "caf\\udce9" in result.stdout
    [found] = document(place)["evaluations"]
    assert len(found["by"]["source"]) == 7
    for name in DOCUMENTS.values():
        (place / name).read_text(encoding="utf-8")
    assert r"\$\textbackslash{}alpha\$" in (place / "all.tex").read_text()
    with (place / "all.csv").open(newline="") as file:
        assert {"line\nbreak", "=1+1"} <= {row["group"] for row in csv.DictReader(file)}
    for path in (place / "plots").iterdir():
        ElementTree.parse(path)


def test_the_same_scores_make_the_same_documents(run, place):
    for folder in ("a", "b"):
        written = [argument for option, name in DOCUMENTS.items() for argument in (f"--{option}", f"{folder}/{name}")]
        run("one", *written)
    for name in DOCUMENTS.values():
        if name != "all.json":  # which tells how long it took
            assert (place / "a" / name).read_bytes() == (place / "b" / name).read_bytes()
