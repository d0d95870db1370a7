"""examples/asvspoof2019: every command that it gives can be given, and on a miniature of LA the tables come out."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import speechlike
from test_readme import parse

from deepcheck.audio.decode import SAMPLE_RATE
from deepcheck.card import DetectorSpec
from deepcheck.checkpoint import load_checkpoint
from deepcheck.cli.conduct import as_overrides
from deepcheck.config import load_config
from deepcheck.detectors.base import build_unfilled
from deepcheck.engine.mode import MODES
from deepcheck.plasticity.plan import choose_layers, plan

PACK = Path(__file__).parent.parent / "examples" / "asvspoof2019"
ARMS = ["baseline", "control", "dropin-frozen", "dropin-unfrozen", "plasticity"]
LISTS = {"train": ("train.trn", 12), "dev": ("dev.trl", 10), "eval": ("eval.trl", 14)}

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


def run(tmp_path, program, **variables):
    """run.sh with these variables and the deepcheck of this checkout."""
    return subprocess.run(
        ["bash", PACK / "run.sh"],
        env={
            **{name: value for name, value in os.environ.items() if name not in ("LA", "PA", "FOR")},
            "OUT": str(tmp_path / "results"),
            "DEEPCHECK": str(program),
            "PYTHON": sys.executable,
            "OMP_NUM_THREADS": "1",
            **variables,
        },
        cwd=PACK.parent.parent,
        capture_output=True,
        text=True,
        timeout=280,
    )


def commands(result):
    """What run.sh showed: the arguments of each deepcheck command."""
    lines = [shlex.split(line[2:]) for line in result.stderr.splitlines() if line.startswith("+ ")]
    return [line[1:] for line in lines if Path(line[0]).name == "deepcheck"]


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Every command of every arm of every family on every corpus."""
    everything = "baseline control lora dropin-frozen dropin-unfrozen plasticity plasticity-newest"
    result = run(
        tmp_path_factory.mktemp("dry"),
        "deepcheck",
        DRY_RUN="1",
        LA="/data/LA",
        PA="/data/PA",
        FOR="/data/for",
        ARMS=everything,
    )
    assert result.returncode == 0, result.stderr
    return commands(result)


@pytest.fixture(scope="module")
def trainings(shown):
    """(family, arm, settings) of all trainings of the first seed on LA."""
    return list(read_trainings(shown))


def read_trainings(shown):
    for arguments in shown:
        values = parse(arguments)
        if arguments[0] == "train" and values["protocol"] == "asvspoof2019-la" and values["seed"] == 42:
            flags = {key: values[key] for key in ("start", "epochs", "seed")} | {
                "optimizer.lr": values["lr"],
                "detector.pretrained": values["pretrained"],
            }
            config = load_config(values["config"], [*as_overrides(flags), *values["settings"]])
            arm = values["name"].removesuffix("-s42")
            if arm == "baseline":  # comes first, and alone says which wav2vec 2.0 it is
                family = Path(values["config"]).stem + ("-base" if values["pretrained"] else "")
            yield family, arm, config


def test_every_command_can_be_given(shown):
    kinds = [arguments[0] for arguments in shown]
    # Of each corpus the two spectrogram families have six arms, the other two seven, each with three seeds.
    assert (kinds.count("train"), kinds.count("eval")) == (3 * 3 * (6 + 6 + 7 + 7), 3 * 4 * 2)
    for arguments in shown:
        parse(arguments)


def test_all_arms_train_as_long_and_start_from_one_baseline(trainings):
    lengths = {}
    for family, arm, config in trainings:
        stages = [stage for stage in config.stages if stage.do == "train"]
        assert all(stage.mode in MODES for stage in stages)
        epochs = sum(stage.epochs or config.epochs for stage in stages)
        lengths.setdefault(family, {})[arm] = epochs if stages else config.epochs
        assert config.start == (None if arm == "baseline" else "baseline-s42")
        assert (config.patience, config.optimizer.schedule, config.optimizer.warmup_steps) == (None, "constant", 0)
    assert lengths.keys() == {"resnet18", "gru", "wav2vec2", "wav2vec2-base"}
    for family, by_arm in lengths.items():
        third = {"resnet18": 5, "gru": 5, "wav2vec2": 15, "wav2vec2-base": 10}[family]
        assert by_arm.pop("baseline") == third
        assert set(by_arm.values()) == {2 * third}


def test_what_grows_is_there(trainings):
    seen = set()
    for family, arm, config in trainings:
        arguments = {**config.detector}
        if family == "wav2vec2-base":
            arguments["size"] = "base"  # the shape of the encoder that --pretrained names
        for stage in (stage for stage in config.stages if stage.do == "grow"):
            assert arm.partition("-")[0] in ("dropin", "plasticity")
            groups = build_unfilled(DetectorSpec(arguments.pop("name"), arguments)).groups()
            changes = plan(groups, choose_layers(stage.layer, groups), stage.neurons, stage.part)
            seen.add((family, *((c.group.part, c.group.width, c.units) for c in changes)))
    assert seen == {
        ("resnet18", ("channels", 128, 128), ("channels", 256, 128)),
        ("gru", ("units", 64, 64)),
        ("wav2vec2", ("heads", 4, 8)),
        ("wav2vec2-base", ("heads", 12, 12)),
    }


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "say where a corpus lies"),
        ({"LA": "x", "FAMILIES": "resnet"}, "no family resnet"),
        ({"LA": "x", "ARMS": "baseline dropout", "DRY_RUN": "1"}, "no arm dropout"),
    ],
)
def test_a_wrong_word_is_named(tmp_path, variables, message):
    result = run(tmp_path, "deepcheck", **variables)
    assert result.returncode == 2
    assert message in result.stderr
    assert not (tmp_path / "results").exists()


@pytest.fixture
def miniature(tmp_path):
    """ASVspoof 2019 LA, a handful of seconds long: voices, and buzzing tones."""
    root = tmp_path / "LA"
    protocols = root / "ASVspoof2019_LA_cm_protocols"
    protocols.mkdir(parents=True)
    t = np.arange(round(1.5 * SAMPLE_RATE)) / SAMPLE_RATE
    for number, (subset, (ending, count)) in enumerate(LISTS.items()):
        audio = root / f"ASVspoof2019_LA_{subset}" / "flac"
        audio.mkdir(parents=True)
        lines = []
        for i in range(count):
            name = f"LA_{subset[0].upper()}_10000{i:02d}"
            soundfile.write(audio / f"{name}0.flac", speechlike(1.5, seed=100 * number + i), SAMPLE_RATE)
            lines.append(f"LA_{i % 3:04d} {name}0 - - bonafide")
            tone = 0.2 * np.sign(np.sin(2 * np.pi * (180 + 23 * i + 7 * number) * t))
            soundfile.write(audio / f"{name}1.flac", tone, SAMPLE_RATE)
            lines.append(f"LA_{i % 3:04d} {name}1 - A{1 + i % 2:02d} spoof")
        (protocols / f"ASVspoof2019.LA.cm.{ending}.txt").write_text("\n".join(lines) + "\n")
    return root


def test_on_a_miniature_the_tables_come_out(miniature, tmp_path, program):
    settings = {
        "LA": str(miniature),
        "FAMILIES": "resnet18",
        "SEEDS": "1",
        "EPOCHS": "1",
        "EXTRA": "--batch-size 8 --device cpu --set detector.width=4 --set detector.window_s=1 --set data.workers=0",
        "EVAL_EXTRA": "--device cpu --jobs 1",
    }
    result = run(tmp_path, program, **settings)
    assert result.returncode == 0, result.stderr
    folder, names = tmp_path / "results" / "la-resnet18", {arm: f"{arm}-s1" for arm in ARMS}
    places = {arm: folder / "models" / f"{name}.safetensors" for arm, name in names.items()}
    cards = {arm: load_checkpoint(place).card for arm, place in places.items()}
    base, wide = cards["baseline"].parameters, cards["dropin-frozen"].parameters
    assert [cards[arm].parameters for arm in ARMS] == [base, base, wide, wide, base]
    assert wide > base
    done = ["train", "grow", "train", "prune", "train"]
    assert [row["stage"] for row in cards["plasticity"].history] == done
    assert all(card.parent == names["baseline"] for arm, card in cards.items() if arm != "baseline")

    tables = json.loads((folder / "tables.json").read_text())
    assert list(tables["seeds"]) == ARMS
    assert set(tables["against_baseline"]) == set(names.values()) - {names["control"]}
    assert {row["name"] for row in tables["evaluations"][0]["by"]["attack"]} == {"A01", "A02"}
    closer = json.loads((folder / "closer.json").read_text())
    assert {one["condition"] for one in closer["evaluations"]} == {"clean", "trim-silence"}
    assert closer["audit"] is not None
    assert r"\begin{tabular}" in (folder / "tables.tex").read_text()
    assert "plasticity" in (folder / "tables.txt").read_text()
    assert {path.name for path in (folder / "plots").iterdir()} >= {"det.png", "by-attack.png", "robustness.png"}
    rows = [line.split(" | ") for line in result.stdout.splitlines() if line.startswith("| LA | resnet18 | ")]
    assert [row[2] for row in rows] == ARMS
    assert rows[0][3] == f"{base:,}"
    assert [bool(row[5].strip(" |")) for row in rows] == [arm != "control" for arm in ARMS] or rows[1][4] == "0.00"

    # What is done is not done again, and what is missing is.
    assert commands(run(tmp_path, program, **settings, DRY_RUN="1")) == []
    places["dropin-frozen"].unlink()
    [again] = commands(run(tmp_path, program, **settings, DRY_RUN="1"))
    assert again[again.index("--name") + 1] == names["dropin-frozen"]
