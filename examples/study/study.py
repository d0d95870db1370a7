"""Does growing help? Every arm of study.yaml with its seeds, each run a row of results.jsonl.

    python examples/study/study.py --data corpus/manifest.csv --out study
    python examples/study/study.py --data corpus/manifest.csv --out study --family gru --arm control --seed 3
    python examples/study/study.py --data corpus/manifest.csv --out study --list

A run that is in the file is not run again, one that was stopped begins anew; `--jobs 2` runs two at a time, each on its
share of the cores. Tables and figures are made of the file by tables.py.
"""

import argparse
import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arms import BASELINE, STUDY, Run, Study, read_study

from deepcheck import grow, prune
from deepcheck.card import Card
from deepcheck.checkpoint import Checkpoint, describe_widths, load_checkpoint, save_checkpoint, snapshot
from deepcheck.config import TrainConfig, from_dict
from deepcheck.data.protocols import read_data
from deepcheck.data.split import hold_out
from deepcheck.data.utterance import Label, Protocol
from deepcheck.detectors.base import parameter_count
from deepcheck.engine.cost import cost_of
from deepcheck.engine.events import Done, EpochDone, Started
from deepcheck.engine.kept_scores import kept_scores
from deepcheck.engine.processes import ALONE
from deepcheck.engine.train import starting_point, train_on
from deepcheck.engine.training_sets import read_all
from deepcheck.errors import DeepcheckError
from deepcheck.metrics.detection import eer
from deepcheck.runtime import cores

RESULTS = "results.jsonl"
TEST = "val"  # the subset of the manifest whose sources and systems nothing is trained on


class Bench:
    """Where a study is run: the recordings, and what is kept of them and of the models."""

    def __init__(self, study: Study, data: str, out: Path) -> None:
        self.study, self.data, self.out = study, data, out
        self.test = read_data(data, None, TEST).where(lambda utterance: utterance.label is not None)
        (out / "models").mkdir(parents=True, exist_ok=True)

    def config(self, run: Run, third: int, **changes: Any) -> TrainConfig:
        """The settings of a third (from 0) of a run; each has its own order of the recordings."""
        settings = self.study.settings(run.family)
        rates = self.study.document["families"][run.family]["rates"]
        data = {**settings["data"], "train": {"path": self.data, "subset": "train"}, "keep": str(self.out / "kept")}
        config: TrainConfig = from_dict(TrainConfig, {**settings, "data": data, "name": run.name, "epochs": 1})
        optimizer = replace(config.optimizer, lr=rates[third])
        return replace(config, seed=1000 * run.seed + third, optimizer=optimizer, **changes)

    def sets(self, run: Run) -> tuple[Protocol, Protocol]:
        """(what is learnt from, what is held out of it in whole sources): alike for all arms of a seed."""
        config = self.config(run, 0)
        return hold_out(read_all(config), config.data.holdout, config.data.holdout_by, run.seed)


def measure(bench: Bench, run: Run) -> dict[str, Any]:
    """The row of a run; its model is kept beside, where the runs of other arms begin.

    Seconds are those of the processor, which say on a busy machine too what an arm costs.
    """
    train_set, held_out = bench.sets(run)
    parent = None if run.arm == BASELINE else _baseline(bench, run)
    made = list(_steps(bench, run, parent, train_set, held_out))
    steps, model = [step for step, _ in made], made[-1][1]
    place = bench.out / "models" / f"{run.name}.safetensors"
    save_checkpoint(model, place)
    detector, config = model.build(), bench.config(run, 0)
    cost = cost_of(detector)
    trained = [step for step in steps if step["do"] == "train"]
    return {
        "family": run.family,
        "arm": run.arm,
        "seed": run.seed,
        "steps": steps,
        "parameters": cost.parameters,
        "learning": trained[-1]["learning"],
        "gflop_per_s": cost.gflop_per_s,
        "seconds": sum(step["seconds"] for step in steps),
        "held_out": _found(*kept_scores(detector, config, bench.out, held_out.utterances))["eer"],
        **_found(*kept_scores(detector, config, bench.out, bench.test.utterances), scores=True),
    }


def _steps(
    bench: Bench, run: Run, model: Checkpoint | None, train_set: Protocol, held_out: Protocol
) -> Iterator[tuple[dict[str, Any], Checkpoint]]:
    """(what was done and what it took, the model after it), for each stage of the arm."""
    arm = bench.study.arm(run)
    if arm.get("born") == "wide":
        model = _grown(bench, run, _untrained(bench.config(run, 0)), {"init": "random"}, train_set)
    third = 0
    if run.arm == BASELINE or arm.get("born"):
        yield (last := _trained(bench, run, model, third, "unfrozen", train_set))
        model = last[1]
    if "rounds" in arm:
        yield from _rounds(bench, run, model, arm, train_set, held_out)
        return
    for stage in arm["stages"]:
        assert model is not None
        if stage["do"] == "train":
            third += 1
            step, model = _trained(bench, run, model, third, stage.get("mode", "unfrozen"), train_set)
        else:
            began = time.process_time()
            model = _SURGERY[stage["do"]](bench, run, model, stage, train_set)
            step = {"do": stage["do"], "seconds": time.process_time() - began, "parameters": model.card.parameters}
        yield step, model


def _rounds(
    bench: Bench, run: Run, model: Checkpoint | None, arm: Mapping[str, Any], train_set: Protocol, held_out: Protocol
) -> Iterator[tuple[dict[str, Any], Checkpoint]]:
    """The stages again and again, each round from the model before, until one does not lower the held-out EER.

    The first round has the rate of the second third, all others that of the last; the best model comes last.
    """
    assert model is not None
    config = bench.config(run, 0)

    def held_out_eer(one: Checkpoint) -> float:
        return float(_found(*kept_scores(one.build(), config, bench.out, held_out.utterances))["eer"])

    best, lowest = model, held_out_eer(model)
    for number in range(arm["rounds"]):
        began = time.process_time()
        grown = _grown(bench, run, best, arm["stages"][0], train_set)
        took = time.process_time() - began
        yield {"do": "grow", "seconds": took, "parameters": grown.card.parameters}, best
        step, trained = _trained(bench, run, grown, min(number + 1, 2), "unfrozen", train_set)
        found = held_out_eer(trained)
        if found < lowest:
            best, lowest = trained, found
        yield {**step, "held_out": found}, best
        if best is not trained:
            return


def _trained(
    bench: Bench, run: Run, model: Checkpoint | None, third: int, mode: str, train_set: Protocol
) -> tuple[dict[str, Any], Checkpoint]:
    config = bench.config(run, third, mode=mode)
    if model is not None:
        start = bench.out / "models" / f"{run.name}.part.safetensors"
        save_checkpoint(model, start)
        config = replace(config, start=str(start))
    folder = bench.out / "runs" / run.name
    shutil.rmtree(folder, ignore_errors=True)  # what a stopped run has left began with another model
    step: dict[str, Any] = {"do": "train", "mode": mode}
    made, began = None, time.process_time()
    for event in train_on(config, folder, train_set, None, ALONE):
        if isinstance(event, Started):
            step |= {"parameters": event.parameters, "learning": event.learning}
        elif isinstance(event, EpochDone):
            step |= {"loss": event.loss}
        elif isinstance(event, Done):
            made = event.checkpoint
    assert made is not None
    step |= {"seconds": time.process_time() - began}
    shutil.rmtree(folder)
    if model is not None:
        start.unlink()
    return step, made


def _untrained(config: TrainConfig) -> Checkpoint:
    _, detector = starting_point(config)
    widths, count = describe_widths(detector), parameter_count(detector)
    return snapshot(detector, Card("untrained", detector.spec, widths, parameters=count))


def _grown(bench: Bench, run: Run, model: Checkpoint, stage: Mapping[str, Any], train_set: Protocol) -> Checkpoint:
    own = bench.study.document["families"][run.family]["grow"]
    if stage.get("part") in ("block", "column"):  # one of them
        own = {"layer": own["layer"] if stage["part"] == "block" else "all", "neurons": 1}
    asked = {**own, **{key: value for key, value in stage.items() if key != "do"}}
    return grow(model, **asked, trials=train_set, recordings=256, seed=run.seed, name=run.name).child


def _pruned(bench: Bench, run: Run, model: Checkpoint, stage: Mapping[str, Any], train_set: Protocol) -> Checkpoint:
    own = bench.study.document["families"][run.family]["grow"]
    asked = {key: value for key, value in stage.items() if key not in ("do", "share")}
    if "share" in stage:
        asked |= {"layer": own["layer"], "part": own["part"], "fraction": stage["share"]}
    return prune(model, **asked, trials=train_set, recordings=256, seed=run.seed, name=run.name).child


_SURGERY = {"grow": _grown, "prune": _pruned}


def _baseline(bench: Bench, run: Run) -> Checkpoint:
    """The model that all arms of a family and seed begin with; made now if nobody has."""
    first = replace(run, arm=BASELINE)
    place = bench.out / "models" / f"{first.name}.safetensors"
    if not place.is_file():
        keep(bench, first)
    return load_checkpoint(place)


def _found(utterances: Any, logits: Any, scores: bool = False) -> dict[str, Any]:
    """The EER; with `scores` also these, as base64 of float16, and the labels and sources that they belong to."""
    genuine = np.array([utterance.label is Label.BONAFIDE for utterance in utterances])
    row: dict[str, Any] = {"eer": eer(logits[genuine], logits[~genuine])[0]}
    if scores:
        row["scores"] = base64.b64encode(logits.astype(np.float16).tobytes()).decode()
        row["labels"] = "".join(str(int(one)) for one in genuine)
    return row


def keep(bench: Bench, run: Run) -> None:
    """Run it, and add its row to the file."""
    row = json.dumps(measure(bench, run))
    with (bench.out / RESULTS).open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(row + "\n")
    print(f"{run.name}: {json.loads(row)['eer']:.3f}", file=sys.stderr, flush=True)


def rows_of(place: Path) -> list[dict[str, Any]]:
    """The rows that are there; none if there is no file."""
    return [json.loads(line) for line in place.read_text("utf-8").splitlines()] if place.is_file() else []


def missing(out: Path, runs: list[Run]) -> list[Run]:
    """Those that have no row yet."""
    done = {Run(row["family"], row["arm"], row["seed"]) for row in rows_of(out / RESULTS)}
    return [run for run in runs if run not in done]


def _beside(arguments: argparse.Namespace, runs: list[Run]) -> int:
    """Each run in a process of its own, `--jobs` at a time, baselines first; the highest of their exit codes."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(max(1, cores() // arguments.jobs))}
    command = [sys.executable, __file__, "--data", arguments.data, "--out", str(arguments.out)]
    command += ["--study", str(arguments.study)]

    def one(run: Run) -> int:
        only = ["--family", run.family, "--arm", run.arm, "--seed", str(run.seed)]
        return subprocess.run([*command, *only], env=environment).returncode

    code = 0
    for first in (True, False):
        with ThreadPoolExecutor(arguments.jobs) as pool:
            code = max([code, *pool.map(one, [run for run in runs if (run.arm == BASELINE) is first])])
    return code


def main() -> int:
    """The command; exit code 1 with a sentence where a run is impossible."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", required=True, help="the manifest of the corpus, with the subsets train and val")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--study", type=Path, default=STUDY)
    for name, kind in (("family", str), ("arm", str), ("seed", int)):
        parser.add_argument(f"--{name}", type=kind, action="append", default=[], help="may be repeated")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--list", action="store_true", help="only show what is still to be run")
    arguments = parser.parse_args()
    try:
        study = read_study(arguments.study)
        runs = missing(arguments.out, study.chosen(arguments.family, arguments.arm, arguments.seed))
        if arguments.list:
            print("\n".join(run.name for run in runs))
            return 0
        if arguments.jobs > 1:
            return _beside(arguments, runs)
        bench = Bench(study, arguments.data, arguments.out)
        for run in runs:
            if run in missing(arguments.out, [run]):  # a baseline may have been made on the way
                torch.manual_seed(run.seed)
                keep(bench, run)
    except DeepcheckError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
