"""What growing and pruning cost on wav2vec 2.0: `python -m tests.benchmarks.surgery [small base large]`.

The first table is the surgery alone: seconds (the median of some rounds), the same in copies of the touched tensors
timed in the same rounds, and the memory beyond the model at its height, in sizes of the touched tensors (see
`peak_memory` for how that is known, and for who talks on stderr). The second is the way of a model from its file to
that of its child, step by step, and the commands as a user calls them.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import describe_widths, load_checkpoint, save_checkpoint, snapshot
from deepcheck.detectors.base import Detector, build, parameter_count
from deepcheck.plasticity.growth import grow, prune
from deepcheck.plasticity.inits import Context
from deepcheck.plasticity.plan import Change
from deepcheck.plasticity.units import UnitGroup, set_tensor, tensor_at
from tests.benchmarks.peak_memory import peak_extra_bytes

ADDED = {"heads": 1, "head-dims": 8, "ffn": 128}
SURGERY = "{:6} {:10} {:6} {:6} {:>6} {:>9} {:>8} {:>8} {:>6}"
STEPS = "{:6} {:72} {:>7} {:>7}"


def seconds_of(work: Callable[[], Any]) -> tuple[float, Any]:
    """How long `work()` took, and what it gave."""
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def tensors_of(groups: Sequence[UnitGroup]) -> list[str]:
    """The names of all tensors that the groups touch, each once."""
    return sorted({span.tensor for group in groups for span in group.spans})


def copy(model: nn.Module, names: Sequence[str]) -> None:
    """What surgery cannot do without: each touched tensor replaced by another."""
    for name in names:
        set_tensor(model, name, tensor_at(model, name).detach().clone())


def measure_surgery(size: str, model: Detector, rounds: int) -> None:
    """Prints what growing and pruning take, for each part, in one layer and in all."""
    for part in ADDED:
        groups = [group for group in model.groups() if group.part == part]
        measure_groups([size, part, "one"], model, groups[:1], rounds)
        measure_groups([size, part, "all"], model, groups, rounds)


def measure_groups(title: list[str], model: Detector, groups: Sequence[UnitGroup], rounds: int) -> None:
    """Prints one row for growing the groups and one for pruning them back."""
    names = tensors_of(groups)
    touched = sum(tensor_at(model, name).nbytes for name in names)
    changes = [Change(group, ADDED[group.part]) for group in groups]
    old_units = {group.name: torch.arange(group.width) for group in groups}
    works: dict[str, Callable[[], Any]] = {
        "copy": lambda: copy(model, names),
        "grow": lambda: grow(model, changes, "zero", Context(torch.Generator())),
        "prune": lambda: prune(model, old_units),
    }
    taken = {name: statistics.median(times) for name, times in _rounds(works, rounds).items()}
    for name in ("grow", "prune"):
        peak = peak_extra_bytes(model, works[name]) / touched
        row = [*title, name, f"{touched / 1e6:.0f}", f"{taken[name]:.4f}", f"{taken['copy']:.4f}"]
        print(SURGERY.format(*row, f"{taken[name] / taken['copy']:.2f}", f"{peak:.2f}"), flush=True)


def _rounds(works: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            taken[name].append(seconds_of(work)[0])
    return taken


def measure_steps(size: str, home: Path, quiet: bool = False) -> dict[str, float]:
    """Prints what each step on the way from a stored model to its stored child takes, and returns these seconds by
    step; leaves both models in `home`."""
    taken: dict[str, float] = {}

    def step(name: str, work: Callable[[], Any]) -> Any:
        taken[name], result = seconds_of(work)
        seconds = taken[name]
        if quiet:
            return result
        print(STEPS.format(size, name, f"{seconds:.2f}", ""), flush=True)
        return result

    model = step("new model with random weights", lambda: build(DetectorSpec("wav2vec2", {"size": size})))
    card = Card("parent", model.spec, parameters=parameter_count(model))
    place = home / "models" / "parent.safetensors"
    save_checkpoint(snapshot(model, card), place)
    checkpoint = step("load", lambda: load_checkpoint(place))
    model = step("build", checkpoint.build)
    changes = [Change(group, ADDED[group.part]) for group in model.groups() if group.part in ADDED]
    step("grow every part of all layers", lambda: grow(model, changes, "zero", Context(torch.Generator())))
    widths = step("describe the widths", lambda: describe_widths(model))
    child = step("snapshot", lambda: snapshot(model, Card("child", model.spec, widths)))
    grown = home / "models" / "child.safetensors"
    step("save", lambda: save_checkpoint(child, grown))
    model = step("build the child", load_checkpoint(grown).build)
    grew = [group for group in model.groups() if group.part in ADDED]
    old = {group.name: torch.arange(group.width - ADDED[group.part]) for group in grew}
    step("prune what grew in every part of all layers", lambda: prune(model, old))
    return taken


def measure_commands(size: str, home: Path) -> None:
    """Prints what whole commands on the model in `home` take, each in a process of its own."""
    for command in (
        "grow parent --layer all --part ffn --neurons 128 --name grown",
        "grow parent --layer 1 --part heads --neurons 1 --name headed",
        "prune grown --layer all --part ffn --neurons 128 --criterion newest --name newest",
        "prune grown --layer all --part ffn --neurons 128 --criterion magnitude --name magnitude",
    ):
        seconds, peak = run_command(command.split(), home)
        print(STEPS.format(size, command.partition(" --name")[0], f"{seconds:.2f}", f"{peak:.2f}"), flush=True)


# Of this process alone: what `wait4` tells of a child counts the memory of the parent that forked it.
_COMMAND = """
import atexit, pathlib, re, sys
status = pathlib.Path("/proc/self/status")
atexit.register(lambda: sys.stderr.write(re.search(r"VmHWM:.*", status.read_text())[0]))
from deepcheck.__main__ import main
main()
"""


def run_command(arguments: Sequence[str], home: Path) -> tuple[float, float]:
    """(seconds, GB of resident memory at the height) of `deepcheck` with these arguments, on Linux."""
    environment = {**os.environ, "DEEPCHECK_HOME": str(home)}
    command = [sys.executable, "-c", _COMMAND, *arguments]
    seconds, done = seconds_of(lambda: subprocess.run(command, env=environment, capture_output=True, text=True))
    if done.returncode:
        sys.exit(done.stderr)
    return seconds, int(done.stderr.split()[-2]) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", default=["small", "base", "large"])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    print(SURGERY.format("size", "part", "layers", "what", "MB", "seconds", "copy", "ratio", "peak"))
    for size in options.sizes:
        measure_surgery(size, build(DetectorSpec("wav2vec2", {"size": size})), options.rounds)
    print("\n" + STEPS.format("size", "step", "seconds", "peak GB"))
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as home:
            measure_steps(size, Path(home))
            measure_commands(size, Path(home))


if __name__ == "__main__":
    main()
