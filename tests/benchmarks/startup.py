"""How long the command line takes to come and go, in bare imports of what it cannot do without."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks.figure import Figure
from tests.benchmarks.timing import in_turn

_ROUNDS = 5
_RECORDING = "examples/audio/synthetic/minutes-festival.wav"  # of one window

# What is run, what it is compared with, and how many times as long it may take.
_PAIRS = (
    (("-m", "deepcheck", "--help"), ("-c", "import typer"), 2.5),
    (("-m", "deepcheck", "scan", _RECORDING, "--no-resume", "--quiet"), ("-c", "import torch"), 1.5),
)


def figures(large: bool) -> Iterator[Figure]:
    """Two ratios of whole processes, on the clock; with `large` over three times as many rounds."""
    with tempfile.TemporaryDirectory() as home:
        for command, bare, target in _PAIRS:
            spent = in_turn(
                {"ours": _process(command, home), "bare": _process(bare, home)}, _ROUNDS * 3 if large else _ROUNDS
            )
            ours, plain = spent["ours"], spent["bare"]
            yield Figure(
                f"{' '.join(command[1:3])}, a process, in {bare[1]}",
                ours.wall_s / plain.wall_s,
                target,
                at_most=True,
                beside=f"{ours} to {plain}: {ours.cpu_s / plain.cpu_s:.2f} x of CPU",
            )


def _process(arguments: tuple[str, ...], home: str) -> Callable[[], object]:
    root = Path(__file__).parent.parent.parent
    environment = {**os.environ, "DEEPCHECK_HOME": home, "PYTHONPATH": str(root)}
    command = [sys.executable, *arguments]
    return lambda: subprocess.run(command, cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL)
