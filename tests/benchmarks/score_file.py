"""Evaluating a score file as large as that of ASVspoof 5: `python -m tests.benchmarks --only score_file`.

The trials are made up, in the layout of the corpus; the command line runs as a process of its own.
"""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.benchmarks.figure import Figure
from tests.benchmarks.timing import timed

BONAFIDE, SPOOF = 138_688, 542_086


def make(folder: Path) -> None:
    """The list of trials and a score file."""
    draw = np.random.default_rng(0)
    genuine = draw.permutation(BONAFIDE + SPOOF) < BONAFIDE
    scores = draw.normal(np.where(genuine, 1.5, -1.5), 1)
    attacks = draw.integers(17, 33, len(genuine))
    systems = zip(genuine, attacks, strict=True)
    keys = ["bonafide bonafide" if real else f"A{attack} spoof" for real, attack in systems]
    trials = (f"E_{i % 2000:04d} E_{i:010d} F - - - AC1 {key} -\n" for i, key in enumerate(keys))
    (folder / "ASVspoof5.eval.track_1.tsv").write_text("".join(trials))
    lines = "".join(f"E_{i:010d}\t{score:.6f}\n" for i, score in enumerate(scores))
    (folder / "scores.tsv").write_text("filename\tcm-score\n" + lines)


def figures(large: bool) -> Iterator[Figure]:
    """Seconds and peak memory of the whole process, beside a sort of the lines in the same run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder)
        plain = timed(lambda: sorted((folder / "scores.tsv").read_text().splitlines()))
        command = ["eval", "--score-file", str(folder / "scores.tsv"), "--protocol", "asvspoof5", "--root", name]
        spent = timed(
            lambda: subprocess.run(
                [sys.executable, "-m", "deepcheck", *command, "--subset", "eval", "--by", "attack"],
                check=True,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "DEEPCHECK_HOME": str(folder / "home")},
            )
        )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    trials, ratio = f"eval of {BONAFIDE + SPOOF:,} scores", spent.wall_s / plain.wall_s
    yield Figure(
        trials, spent.wall_s, 20, "s", at_most=True, beside=f"{spent}; {ratio:.0f} x reading and sorting the lines"
    )
    yield Figure(f"memory of {trials}", peak, 1, "GB", at_most=True)
