"""What is each lever of a recipe worth on sources and systems left out? One training over folds for each.

    python examples/levers/levers.py --data corpus/manifest.csv --subset train --out levers
    python examples/levers/levers.py --out levers --table

Each row is a file in OUT/rows, written when it is ready; a run that was stopped goes on where it was. With --jobs 2 two
levers are tried at a time, each on its share of the cores. `--also copies=wider/with-original.csv` tries the recipe on
other data; these have to hold the recordings of --data, or the folds are others.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
import yaml

from deepcheck.checkpoint import save_checkpoint
from deepcheck.config import TrainConfig, load_config
from deepcheck.data.folds import folds
from deepcheck.data.utterance import Protocol
from deepcheck.detectors.base import Detector
from deepcheck.engine.calibrate import Scored
from deepcheck.engine.carrier import variants_of
from deepcheck.engine.events import Done, EpochDone
from deepcheck.engine.fold_check import cross_check
from deepcheck.engine.folds import settings_of
from deepcheck.engine.processes import ALONE
from deepcheck.engine.score_file import score_file
from deepcheck.engine.train import train_on
from deepcheck.engine.training_sets import read_all
from deepcheck.errors import AudioError, ConfigError, DeepcheckError
from deepcheck.files import write_atomically
from deepcheck.registry import did_you_mean
from deepcheck.runtime import autocast, cores, move, pick_device, pick_dtype

LEVERS = Path(__file__).with_name("levers.yaml")
BATCH = 16
COLUMNS = (
    ("EER, %", "eer", fmean),
    ("worst", "eer", max),
    ("same source", "same_source_eer", fmean),
    ("genuine called spoof, %", "false_alarm", fmean),
    ("worst", "false_alarm", max),
    ("spoofs flagged, %", "caught", fmean),
)


def settings(levers: Path, name: str, changes: Mapping[str, Any], data: str, subset: str | None) -> TrainConfig:
    """The recipe with the changes of one lever, on the data of the call; only the folds are of interest."""
    known = yaml.safe_load(levers.read_text(encoding="utf-8"))
    base = levers.parent / known["base"]
    overrides = [f"{key}={json.dumps(value)}" for key, value in {**known.get("all", {}), **changes}.items()]
    overrides += [f"data.train.path={data}", *([f"data.train.subset={subset}"] if subset else [])]
    config = load_config(base, overrides)
    return replace(config, name=name)


def measure(config: TrainConfig, folder: Path) -> dict[str, Any]:
    """The row of one lever: its folds (see `engine.fold_check.FoldCheck`), seconds of training, parameters.

    What each model says of its fold is what it says of the first window of each recording, in the precision of the
    training: enough to compare levers, and a fraction of the time that an evaluation takes.
    """
    seconds, loss, scored, parameters = 0.0, [], [], 0
    parts = folds(read_all(config), config.folds.count, config.folds.by, config.seed)
    for number, fold in enumerate(parts, start=1):
        alone = settings_of(config, folder.parent.parent, number)
        for event in train_on(alone, folder / f"fold-{number}", fold.train, None, ALONE):
            if isinstance(event, EpochDone):
                seconds += event.seconds
                loss.append(event.loss)
            elif isinstance(event, Done):
                scored.append(tested(event.checkpoint.build(), alone, folder, fold.test))
                save_checkpoint(event.checkpoint, folder / f"fold-{number}.safetensors")  # others may begin with it
            parameters = getattr(event, "parameters", parameters)
        print(f"{config.name}: fold {number} of {len(parts)}", file=sys.stderr, flush=True)
    checks, evaluations = cross_check(scored, config.calibration, config.name)
    write_atomically(folder.with_suffix(".csv"), score_file(evaluations))
    return {
        "lever": config.name,
        "folds": [asdict(check) for check in checks],
        "loss": loss,
        "seconds": seconds,
        "parameters": parameters,
    }


def tested(detector: Detector, config: TrainConfig, folder: Path, test: Protocol) -> Scored:
    """The logits of the first window of each recording that can be decoded."""
    move(detector, device := pick_device(config.device))
    variants = variants_of(detector, replace(config, data=replace(config.data, variants=1)), folder)
    assert variants is not None
    done = variants.carrier.parts
    utterances, logits = [], []
    for start in range(0, len(test), BATCH):
        batch = []
        for utterance in test.utterances[start : start + BATCH]:
            with suppress(AudioError):
                batch.append((utterance, variants.get(utterance, 0)))
        with torch.inference_mode(), autocast(device, pick_dtype(config.precision, device)):
            sounds = torch.stack([sound for _, sound in batch]).to(device)
            found = detector.logit_of(detector.resumed(sounds, done)) if done else detector.score(sounds)
        utterances += [utterance for utterance, _ in batch]
        logits += found.double().tolist()
    scores = np.array(logits)
    return Scored(tuple(utterances), scores, np.full(len(scores), np.nan), tuple(scores[:, None]))


def known(out: Path) -> dict[str, dict[str, Any]]:
    """The rows that are there, by lever."""
    rows = [json.loads(place.read_text(encoding="utf-8")) for place in sorted((out / "rows").glob("*.json"))]
    return {row["lever"]: row for row in rows}


def file_name(lever: str) -> str:
    """That of its row and of its folder."""
    return lever.replace(",", "").replace(" ", "-")


def table(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Markdown: a row a lever; in brackets by how much its mean EER differs from that of `base`."""
    yield "| lever | " + " | ".join(heading for heading, _, _ in COLUMNS) + " |"
    yield "| --- |" + " ---: |" * len(COLUMNS)
    base = _figure(rows["base"], "eer", fmean) if "base" in rows else None
    for name, row in rows.items():
        figures = [_figure(row, field, how) for _, field, how in COLUMNS]
        cells = ["" if figure is None else f"{100 * figure:.1f}" for figure in figures]
        if base is not None and name != "base" and figures[0] is not None:
            cells[0] += f" ({100 * (figures[0] - base):+.1f})"
        yield f"| {name} | " + " | ".join(cells) + " |"


def _figure(row: Mapping[str, Any], field: str, how: Any) -> float | None:
    values = [fold[field] for fold in row["folds"] if fold[field] is not None]
    return float(how(values)) if values else None


def _together(arguments: argparse.Namespace, names: Sequence[str]) -> int:
    """Each lever in a process of its own, `--jobs` at a time; the highest of their exit codes."""
    threads = max(1, cores() // arguments.jobs)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, __file__, "--data", arguments.data, "--out", str(arguments.out)]
    command += ["--levers", str(arguments.levers), *(f"--also={also}" for also in arguments.also)]
    command += ["--subset", arguments.subset] if arguments.subset else []

    def one(name: str) -> int:
        return subprocess.run([*command, "--only", name], env=environment, stdout=subprocess.DEVNULL).returncode

    with ThreadPoolExecutor(arguments.jobs) as pool:
        return max(pool.map(one, names))


def main() -> int:
    """The command; exit code 1 with a sentence where a lever cannot be tried."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", help="the manifest of the corpus")
    parser.add_argument("--subset")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--levers", type=Path, default=LEVERS, help="what to change of which recipe")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=CSV", help="the recipe on other data")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="may be repeated")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="only print what is known")
    arguments = parser.parse_args()
    try:
        return _run(arguments)
    except DeepcheckError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace) -> int:
    levers: dict[str, dict[str, Any]] = yaml.safe_load(arguments.levers.read_text(encoding="utf-8"))["levers"]
    data = dict.fromkeys(levers, arguments.data) | dict(also.split("=", 1) for also in arguments.also)
    for name in arguments.only:
        if name not in data:
            raise ConfigError(f'There is no lever "{name}".', did_you_mean(name, sorted(data)))
    code, done = 0, known(arguments.out)
    missing = [name for name in arguments.only or data if name not in done]
    if missing and not arguments.table:
        if not arguments.data:
            raise ConfigError("Nothing to learn from.", "Give --data MANIFEST, or --table to print what is known.")
        (arguments.out / "rows").mkdir(parents=True, exist_ok=True)
        if arguments.jobs > 1:
            code = _together(arguments, missing)
        else:
            for name in missing:
                config = settings(arguments.levers, name, levers.get(name, {}), data[name], arguments.subset)
                row = measure(config, arguments.out / "runs" / file_name(name))
                write_atomically(arguments.out / "rows" / f"{file_name(name)}.json", json.dumps(row) + "\n")
    rows = known(arguments.out)
    ordered = {name: rows[name] for name in data if name in rows}
    print("\n".join(table(ordered)))
    return code


if __name__ == "__main__":
    sys.exit(main())
