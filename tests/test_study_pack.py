"""examples/study: every arm is one that the tool can run, a run becomes a row once, and tables stand on the rows."""

import base64
import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import TINY, TINY_DISTILLED

from deepcheck.config import TrainConfig, from_dict
from deepcheck.engine.train import starting_point
from deepcheck.errors import ConfigError, DataError
from deepcheck.metrics.detection import eer

PACK = Path(__file__).parent.parent / "examples" / "study"
ARMS = ("baseline", "control", "dropin, frozen", "plasticity, newest", "prune only", "born wide")


@pytest.fixture(scope="module")
def pack():
    """Its modules, which import each other by name as scripts beside each other do."""
    names = ("arms", "figures", "study", "tables")
    sys.path.insert(0, str(PACK))
    try:
        yield {name: __import__(name) for name in names}
    finally:
        sys.path.remove(str(PACK))
        for name in names:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The study with one tiny family, its own arms and two seeds."""
    document = yaml.safe_load((PACK / "study.yaml").read_text())
    document["seeds"] = [0, 1]
    document["arms"] = {name: document["arms"][name] for name in (*ARMS, "dropin, unfrozen")}
    document["arms"]["lora"] = {"stages": [], "needs": "lora"}
    document["layers"]["seeds"] = [1]
    document["all"] |= {"batch_size": 8, "augment": []}
    document["all"]["data"] |= {"holdout": 0.2}
    document["all"]["sampling"] |= {"samples_per_epoch": 16, "min_crop_s": 0.5}
    document["families"] = {
        "resnet18": {
            "rates": [1e-3, 5e-4, 1e-4],
            "detector": {"name": "resnet18", **TINY.arguments},
            "layers": [2],
            "grow": {"layer": "3", "part": "channels", "share": 0.5},
            "without": {"lora": "it is small"},
        }
    }
    place = tmp_path_factory.mktemp("study") / "study.yaml"
    place.write_text(yaml.safe_dump(document))
    return place


@pytest.fixture(scope="module")
def manifest(lasting_corpus, tmp_path_factory):
    """The recordings of the corpus, of which those of some sources are the subset val."""
    known = sorted(lasting_corpus.rglob("*.wav"))
    place = tmp_path_factory.mktemp("manifest") / "manifest.csv"
    with place.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "subset", "source"))
        for number, path in enumerate(known):
            label = "bonafide" if "bonafide" in path.parts or "genuine" in path.parts else "spoof"
            writer.writerow((path, label, "val" if number % 4 == 0 else "train", f"place {number % 8}"))
    return place


def run(module, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["script", *map(str, arguments)])
    return module.main()


def test_every_run_has_settings_and_a_detector_to_begin_with(pack, tmp_path):
    study = pack["arms"].read_study()
    runs = list(study.runs())
    assert len({one.name for one in runs}) == len(runs) > 300
    for family in study.document["families"]:
        assert {"baseline", "control"} <= {one.arm for one in runs if one.family == family}
        settings = study.settings(family)
        if "pretrained" in settings["detector"]:
            assert Path(settings["detector"].pop("pretrained")).name == "distillmos.safetensors"
            settings["detector"] |= TINY_DISTILLED | {"layers": 7}
        config = from_dict(TrainConfig, settings)
        layers = {group.layer: group.part for group in starting_point(config)[1].groups()}
        own = study.document["families"][family]
        assert {*own["layers"], int(own["grow"]["layer"])} <= layers.keys()
        assert len(own["rates"]) == 3
    known = {"train", "grow", "prune"}
    assert all(stage["do"] in known for one in runs for stage in study.arm(one)["stages"])
    # Each arm trains as long as the control, but those that say that they do not.
    lengths = {one.arm: sum(stage["do"] == "train" for stage in study.arm(one)["stages"]) for one in runs}
    assert {name for name, length in lengths.items() if length != 2} == {"baseline", "dropin, unfrozen, neurons auto"}


def test_what_there_is_not_is_said(pack, small):
    study = pack["arms"].read_study(small)
    assert study.missing("resnet18", "lora") == "it is small"
    assert study.missing("resnet18", "control") is None
    assert not study.chosen([], ["lora"], [])
    whole = pack["arms"].read_study()
    only = whole.document["families"]["snn"]["only"]
    assert {one.arm for one in whole.chosen(["snn"], [], [])} == {*only["arms"]} > {"baseline", "control"}
    assert whole.missing("snn", "lora") == only["why"]
    for families, arms, word in ((["resnet81"], [], "resnet18"), ([], ["contrl"], "control")):
        with pytest.raises(ConfigError) as caught:
            study.chosen(families, arms, [])
        assert word in caught.value.hint


@pytest.fixture(scope="module")
def done(pack, small, manifest, tmp_path_factory):
    """The folder of a finished study, and its rows by arm and seed."""
    out = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run(pack["study"], monkeypatch, "--study", small, "--data", manifest, "--out", out) == 0
    rows = {(row["arm"], row["seed"]): row for row in pack["study"].rows_of(out / "results.jsonl")}
    return out, rows


def test_each_run_is_a_row_with_what_it_took(pack, small, done):
    study, (_, rows) = pack["arms"].read_study(small), done
    assert rows.keys() == {(one.arm, one.seed) for one in study.runs()}
    sweep = "dropin, unfrozen, layer 2"
    assert [seed for arm, seed in rows if arm == sweep] == [1]
    size = {arm: rows[arm, 1]["parameters"] for arm, _ in rows}
    assert size["plasticity, newest"] == size["baseline"] == size["control"]
    assert size["dropin, frozen"] == size["dropin, unfrozen"] == size["born wide"] > size["control"]
    assert size["prune only"] < size["control"]
    learning = {arm: rows[arm, 1]["learning"] for arm, _ in rows}
    assert learning["control"] == size["control"]
    # Two of four channels of a convolution more: 2 x 8 x 9 weights in, 2 of each row of the norm, 2 x 8 x 9 out.
    assert 0 < learning["dropin, frozen"] == size["dropin, frozen"] - size["control"]
    trained = {arm: [step["do"] for step in rows[arm, 1]["steps"]] for arm, _ in rows}
    assert trained["born wide"] == ["train", "train", "train"]
    assert trained["plasticity, newest"] == ["grow", "train", "prune", "train"]
    for row in rows.values():
        scores = np.frombuffer(base64.b64decode(row["scores"]), np.float16).astype(float)
        genuine = np.array([one == "1" for one in row["labels"]])
        assert row["eer"] == pytest.approx(eer(scores[genuine], scores[~genuine])[0], abs=0.05)
        assert row["gflop_per_s"] > 0 < row["seconds"]


def test_nothing_is_run_twice_and_any_run_comes_out_as_before(pack, small, manifest, done, tmp_path, monkeypatch):
    out, rows = done
    before = (out / "results.jsonl").read_bytes()
    assert run(pack["study"], monkeypatch, "--study", small, "--data", manifest, "--out", out) == 0
    assert (out / "results.jsonl").read_bytes() == before
    only = ["--arm", "dropin, frozen", "--seed", 1]
    again = tmp_path / "again"
    assert run(pack["study"], monkeypatch, "--study", small, "--data", manifest, "--out", again, *only) == 0
    found = [json.loads(line) for line in (again / "results.jsonl").read_text().splitlines()]
    assert [row["arm"] for row in found] == ["baseline", "dropin, frozen"]  # what it begins with is made on the way
    assert [row["scores"] for row in found] == [rows[row["arm"], 1]["scores"] for row in found]


def test_the_tables_and_figures_come_of_the_rows_alone(pack, small, done, tmp_path, monkeypatch, capsys):
    out, rows = done
    results, tables = out / "results.jsonl", pack["tables"]
    assert run(tables, monkeypatch, "--study", small, "--results", results, "--out", tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "### resnet18"
    mean = {arm: np.mean([row["eer"] for (name, _), row in rows.items() if name == arm]) for arm in ARMS}
    for arm in ARMS:
        [line] = [line for line in lines if line.startswith(f"| {arm} | 2 | {100 * mean[arm]:.1f} [")]
        if arm != "control":
            assert f"| {100 * (mean[arm] - mean['control']):+.1f} [" in line
    assert "| lora | not run: it is small |" in "\n".join(lines)
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {f"resnet18-{name}.svg" for name in ("arms", "layers", "parameters")}
    before = {name: (tmp_path / "figures" / name).read_text() for name in names}
    assert "control" in before["resnet18-parameters.svg"]


def test_an_arm_that_says_the_same_as_its_control_differs_by_nothing(pack, small, done):
    _, rows = done
    tables, study = pack["tables"], pack["arms"].read_study(small)
    twins = [{**row, "arm": "dropin, frozen"} for (arm, _), row in rows.items() if arm == "control"]
    others = [row for (arm, _), row in rows.items() if arm in ("baseline", "control")]
    arms = {arm.name: arm for arm in tables.arms_of([*others, *twins], study)["resnet18"]}
    twin, control = arms["dropin, frozen"], arms["control"]
    assert (twin.against, twin.against_interval) == (0, (0, 0))
    assert twin.interval == control.interval
    assert control.interval[0] <= control.eer <= control.interval[1]
    assert twin.seconds == control.seconds > arms["baseline"].seconds


def test_without_a_control_or_on_other_recordings_nothing_is_said(pack, small, done):
    _, rows = done
    tables, study = pack["tables"], pack["arms"].read_study(small)
    assert not tables.arms_of([row for (arm, _), row in rows.items() if arm != "control"], study)
    odd = [{**row, "labels": row["labels"][::-1]} if arm == "baseline" else row for (arm, _), row in rows.items()]
    with pytest.raises(DataError, match="same recordings"):
        tables.arms_of(odd, study)
