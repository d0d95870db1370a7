"""What is each lever of a recipe worth on sources and systems left out? One training over folds for each.

    python examples/levers/levers.py --data corpus/manifest.csv --subset train --out levers
    python examples/levers/levers.py --out levers --table

Each row is a file in OUT/rows, written when it is ready; a run that was stopped goes on where it was. With --jobs 2 two
levers are tried at a time, each on its share of the cores. `--also copies=wider/with-original.csv` tries the recipe on
other data; these have to hold the recordings of --data, or the folds are others. What levers make together (`fused` in
the YAML) is computed from their scores.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import yaml

from deepcheck.checkpoint import save_checkpoint
from deepcheck.config import TrainConfig, load_config
from deepcheck.data.folds import folds
from deepcheck.data.utterance import Label, Protocol
from deepcheck.detectors.base import Detector
from deepcheck.engine.calibrate import Scored
from deepcheck.engine.cost import cost_of
from deepcheck.engine.events import Done, EpochDone
from deepcheck.engine.fold_check import cross_check
from deepcheck.engine.folds import settings_of
from deepcheck.engine.kept_scores import kept_scores
from deepcheck.engine.processes import ALONE
from deepcheck.engine.score_file import read_scores, score_file
from deepcheck.engine.train import train_on
from deepcheck.engine.training_sets import read_all
from deepcheck.errors import ConfigError, DeepcheckError
from deepcheck.files import write_atomically
from deepcheck.metrics.fusion import fit_weights
from deepcheck.registry import did_you_mean
from deepcheck.runtime import cores

LEVERS = Path(__file__).with_name("levers.yaml")
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
    seconds, loss, scored, cost = 0.0, [], [], None
    parts = folds(read_all(config), config.folds.count, config.folds.by, config.seed)
    for number, fold in enumerate(parts, start=1):
        alone = settings_of(config, folder.parent.parent, number)
        for event in train_on(alone, folder / f"fold-{number}", fold.train, None, ALONE):
            if isinstance(event, EpochDone):
                seconds += event.seconds
                loss.append(event.loss)
            elif isinstance(event, Done):
                scored.append(tested(detector := event.checkpoint.build(), alone, folder, fold.test))
                cost = cost_of(detector.eval())
                save_checkpoint(event.checkpoint, folder / f"fold-{number}.safetensors")  # others may begin with it
        print(f"{config.name}: fold {number} of {len(parts)}", file=sys.stderr, flush=True)
    assert cost is not None
    checks, evaluations = cross_check(scored, config.calibration, config.name)
    write_atomically(folder.with_suffix(".csv"), score_file(evaluations))
    return {
        "lever": config.name,
        "folds": [asdict(check) for check in checks],
        "loss": loss,
        "seconds": seconds,
        "parameters": cost.parameters,
        "gflop_per_s": cost.gflop_per_s,
    }


def tested(detector: Detector, config: TrainConfig, folder: Path, test: Protocol) -> Scored:
    """The logits of the first window of each recording that can be decoded."""
    utterances, scores = kept_scores(detector, config, folder, test.utterances)
    return Scored(utterances, scores, np.full(len(scores), np.nan), tuple(scores[:, None]))


def fuse(name: str, parts: Sequence[str], rows: Mapping[str, Mapping[str, Any]], config: TrainConfig, out: Path) -> Any:
    """The row of several levers together: a weighted sum of their scores, in each fold with the weights that the other
    folds give (see `metrics.fusion.fit_fusion`)."""
    parted = folds(read_all(config), config.folds.count, config.folds.by, config.seed)
    places = [out / "runs" / f"{file_name(part)}.csv" for part in parts]
    scores = [
        np.array([[trial.llr for trial in read_scores(place, fold.test, name).trials] for place in places]).T
        for fold in parted
    ]
    labels = [np.array([one.label is Label.BONAFIDE for one in fold.test.utterances]) for fold in parted]
    scored = []
    for number, fold in enumerate(parted):
        others = [place for place in range(len(parted)) if place != number]
        weights = fit_weights(np.concatenate([labels[i] for i in others]), np.concatenate([scores[i] for i in others]))
        fused = scores[number] @ weights[:-1] + weights[-1]
        scored.append(Scored(fold.test.utterances, fused, np.full(len(fused), np.nan), tuple(fused[:, None])))
    checks, _ = cross_check(scored, config.calibration, name)
    cost = {field: sum(rows[part][field] for part in parts) for field in ("seconds", "parameters", "gflop_per_s")}
    return {"lever": name, "folds": [asdict(check) for check in checks], **cost}


def known(out: Path) -> dict[str, dict[str, Any]]:
    """The rows that are there, by lever."""
    rows = [json.loads(place.read_text(encoding="utf-8")) for place in sorted((out / "rows").glob("*.json"))]
    return {row["lever"]: row for row in rows}


def file_name(lever: str) -> str:
    """That of its row and of its folder."""
    return lever.replace(",", "").replace(" ", "-")


def table(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Markdown: a row a lever; in brackets by how much its mean EER differs from that of `base`."""
    yield "| lever | " + " | ".join(heading for heading, _, _ in COLUMNS) + " | GFLOP/s |"
    yield "| --- |" + " ---: |" * (len(COLUMNS) + 1)
    base = _figure(rows["base"], "eer", fmean) if "base" in rows else None
    for name, row in rows.items():
        figures = [_figure(row, field, how) for _, field, how in COLUMNS]
        cells = ["" if figure is None else f"{100 * figure:.1f}" for figure in figures]
        if base is not None and name != "base" and figures[0] is not None:
            cells[0] += f" ({100 * (figures[0] - base):+.1f})"
        cells.append(f"{row['gflop_per_s']:.2f}")
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
    document = yaml.safe_load(arguments.levers.read_text(encoding="utf-8"))
    levers: dict[str, dict[str, Any]] = document["levers"]
    fused: dict[str, list[str]] = document.get("fused", {})
    data = dict.fromkeys([*levers, *fused], arguments.data) | dict(also.split("=", 1) for also in arguments.also)
    for name in arguments.only:
        if name not in data:
            raise ConfigError(f'There is no lever "{name}".', did_you_mean(name, sorted(data)))
    code, done = 0, known(arguments.out)
    missing = [name for name in arguments.only or data if name not in done and name not in fused]
    if missing and not arguments.table:
        if not arguments.data:
            raise ConfigError("Nothing to learn from.", "Give --data MANIFEST, or --table to print what is known.")
        (arguments.out / "rows").mkdir(parents=True, exist_ok=True)
        if arguments.jobs > 1:
            code = _together(arguments, missing)
        else:
            for name in missing:
                config = settings(arguments.levers, name, levers.get(name, {}), data[name], arguments.subset)
                _keep(measure(config, arguments.out / "runs" / file_name(name)), arguments.out)
    rows = known(arguments.out)
    for name in () if arguments.table else arguments.only or fused:
        if name in fused and name not in rows and all(part in rows for part in fused[name]):
            config = settings(arguments.levers, name, {}, data[name], arguments.subset)
            rows[name] = fuse(name, fused[name], rows, config, arguments.out)
            _keep(rows[name], arguments.out)
    ordered = {name: rows[name] for name in data if name in rows}
    print("\n".join(table(ordered)))
    return code


def _keep(row: Mapping[str, Any], out: Path) -> None:
    write_atomically(out / "rows" / f"{file_name(row['lever'])}.json", json.dumps(row) + "\n")


if __name__ == "__main__":
    sys.exit(main())
