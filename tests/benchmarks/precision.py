"""The rules of a scan for precision, runtime and batch, each beside what it decides against, on one thread."""

import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from deepcheck.audio.decode import read
from deepcheck.audio.windows import cut
from deepcheck.detectors.wav2vec2 import Wav2Vec2
from deepcheck.engine.graph import NEEDED, Graph, export_onnx
from deepcheck.engine.model import Model, load
from deepcheck.engine.score import Scorer
from tests.benchmarks.figure import Figure
from tests.benchmarks.timing import Spent, in_turn

_EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "audio"
_ROUNDS = 5
_BATCHES = (1, 4, 16, 32)
_MOVES = 0.05  # log-likelihood ratio
_BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}


def figures(large: bool) -> Iterator[Figure]:
    """bf16 beside fp32 and a graph, what it does to scores, and batches of other sizes; `large` is over more rounds."""
    before, rounds = torch.get_num_threads(), _ROUNDS * 3 if large else _ROUNDS
    torch.set_num_threads(1)
    try:
        for name in ("default", "fast"):
            yield from _of(load(name), rounds)
        yield _of_base(rounds)
    finally:
        torch.set_num_threads(before)


def _of_base(rounds: int) -> Figure:
    torch.manual_seed(0)
    base = Wav2Vec2(config=_BASE).eval()  # its weights do not matter for its speed
    exact, rounded = (Scorer(base, device="cpu", precision=one, batch_size=1) for one in ("fp32", "bf16"))
    windows = np.random.default_rng(0).normal(0, 0.1, (1, exact.size)).astype(np.float32)
    return _faster("wav2vec2-base in bf16, times as fast as in fp32", exact, rounded, windows, 2.2, rounds)


def _of(model: Model, rounds: int) -> Iterator[Figure]:
    name = model.card.name
    exact, rounded = (
        Scorer(model.detector.eval(), model.card.calibration, device="cpu", precision=one) for one in ("fp32", "bf16")
    )
    windows = np.stack([next(cut([read(path)], exact.size, exact.hop)).samples for path in _EXAMPLES.glob("*/*.*")])
    moved = np.abs(exact.llrs(windows) - rounded.llrs(windows))
    yield Figure(
        f"{name} in bf16, the most that a score moves by",
        float(moved.max()),
        _MOVES,
        "LLR",
        at_most=True,
        beside=f"{moved.mean():.4f} in the mean of {len(moved)} recordings",
    )
    batch = np.resize(windows, (exact.batch_size, exact.size))
    yield _faster(f"{name} in bf16, times as fast as in fp32", exact, rounded, batch, 1.0, rounds)
    if all(map(find_spec, NEEDED)):
        with tempfile.TemporaryDirectory() as folder:
            export_onnx(model.detector, place := Path(folder) / "graph.onnx")
            by_graph = Scorer(model.detector, device="cpu", graph=Graph(place))
            yield _faster(f"{name} in bf16, times as fast as its graph", by_graph, rounded, batch, 1.0, rounds)
    for scorer, precision in ((exact, "fp32"), (rounded, "bf16")):
        yield _own_batch(name, precision, scorer, model, windows, rounds)


def _faster(what: str, slow: Scorer, fast: Scorer, windows: NDArray[np.float32], target: float, rounds: int) -> Figure:
    spent = in_turn({"slow": lambda: slow.logits(windows), "fast": lambda: fast.logits(windows)}, rounds)
    return Figure(what, spent["slow"].cpu_s / spent["fast"].cpu_s, target, beside=f"{spent['slow']} to {spent['fast']}")


def _own_batch(
    name: str, precision: str, own: Scorer, model: Model, windows: NDArray[np.float32], rounds: int
) -> Figure:
    """How near the batch that the architecture takes comes to the best one."""
    sizes = sorted({own.batch_size, *_BATCHES})
    works: dict[str, Callable[[], object]] = {}
    for size in sizes:
        scorer = Scorer(model.detector, device="cpu", precision=precision, batch_size=size)
        batch, times = np.resize(windows, (size, scorer.size)), max(sizes) // size
        works[str(size)] = lambda s=scorer, b=batch, n=times: [s.logits(b) for _ in range(n)]
    spent = in_turn(works, rounds)
    best = min(one.cpu_s for one in spent.values())
    return Figure(
        f"{name} in {precision}, windows at a time: speed of {own.batch_size}, of the best",
        best / spent[str(own.batch_size)].cpu_s,
        0.8,
        beside=", ".join(f"{size}: {_speed(one, max(sizes), own):.0f}" for size, one in spent.items())
        + " s of windows a second",
    )


def _speed(spent: Spent, windows: int, scorer: Scorer) -> float:
    return windows * scorer.size / 16_000 / spent.cpu_s
