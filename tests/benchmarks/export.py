"""The shipped detectors by ONNX Runtime beside PyTorch, features included, on 1 and 2 threads."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from deepcheck.engine.graph import Graph, export_onnx
from deepcheck.engine.model import load
from deepcheck.engine.score import Scorer
from tests.benchmarks.figure import Figure
from tests.benchmarks.timing import in_turn

_ROUNDS = 5


def figures(large: bool) -> Iterator[Figure]:
    """For each detector and number of threads how many times as fast; with `large` over more rounds."""
    before = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("default", "fast"):
            detector, path = load(name).detector, Path(folder) / f"{name}.onnx"
            export_onnx(detector, path)
            for threads in sorted({1, min(2, os.cpu_count() or 1)}):
                torch.set_num_threads(threads)
                plain, faster = (Scorer(detector, device="cpu", graph=graph) for graph in (None, Graph(path, threads)))
                windows = np.random.default_rng(0).normal(0, 0.1, (plain.batch_size, plain.size)).astype(np.float32)
                spent = in_turn(
                    {"torch": lambda s=plain, w=windows: s.logits(w), "onnx": lambda s=faster, w=windows: s.logits(w)},
                    _ROUNDS * 5 if large else _ROUNDS,
                )
                yield Figure(
                    f"{name} by ONNX Runtime, {threads} threads, batch {plain.batch_size}",
                    spent["torch"].wall_s / spent["onnx"].wall_s,
                    1.0,
                    beside=f"{spent['torch']} to {spent['onnx']}: "
                    f"{spent['torch'].cpu_s / max(spent['onnx'].cpu_s, 1e-9):.2f} x of CPU",
                )
    torch.set_num_threads(before)
