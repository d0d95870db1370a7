"""Scanning a folder of mixed recordings from decoding to the report, beside what the detectors alone could do."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from deepcheck.engine.lanes import Lanes, lanes_for
from deepcheck.engine.model import load
from deepcheck.engine.precision import usual_precision
from deepcheck.engine.score import Scorer
from deepcheck.reports import Style
from deepcheck.reports.write import render
from deepcheck.scanner.run import scan
from tests.benchmarks.figure import Figure
from tests.benchmarks.graph_attention import WINDOW, StandIn
from tests.benchmarks.mixed_folder import make
from tests.benchmarks.timing import Spent, in_turn

_SIZES = {False: (20, 60.0, 1), True: (200, 600.0, 3)}  # files, the longest in seconds, rounds
_REAL_TIME = {"fast": 250.0, "default": 60.0}
_ALONE = 0.7  # of the detector's own speed
_TIMES_GRAPH_ATTENTION = 20.0


def figures(large: bool) -> Iterator[Figure]:
    """Speeds in seconds of sound a second, as shares and multiples; with `large` over an hour and more of sound."""
    files, longest_s, rounds = _SIZES[large]
    with tempfile.TemporaryDirectory() as name:
        sound_s = make(Path(name), files, longest_s)
        for model in _REAL_TIME:
            detector = load(model)
            precision = usual_precision([detector], "cpu", "torch")  # as the scan
            scorer = Scorer(detector.detector.eval(), device="cpu", precision=precision)
            batches = max(4, round(sound_s / 10 / (scorer.hop / 16_000) / scorer.batch_size))
            alone_s = batches * scorer.batch_size * scorer.hop / 16_000
            works: dict[str, Callable[[], object]] = {
                "scan": lambda m=detector: render(scan([name], model=m), "jsonl", Style()),
                "alone": lambda s=scorer, n=batches: _forward(s, n),
                "graph attention": _graph_attention(),
            }
            spent = in_turn(works, rounds)
            speed, own, theirs = (
                seconds / spent[work].wall_s
                for work, seconds in (("scan", sound_s), ("alone", alone_s), ("graph attention", WINDOW / 16_000))
            )
            told = f"{files} files, {sound_s / 60:.0f} min: {spent['scan']}"
            yield Figure(f"scan with {model}, seconds of sound a second", speed, _REAL_TIME[model], beside=told)
            yield Figure(
                f"scan with {model}, of its own forward speed",
                speed / own,
                _ALONE,
                beside=f"alone {own:.0f} in {precision}; by CPU {_share(spent, sound_s, alone_s):.2f}",
            )
            if model == "fast":
                yield Figure(
                    f"scan with {model}, in a loop of graph attention",
                    speed / theirs,
                    _TIMES_GRAPH_ATTENTION,
                    beside=f"{theirs:.1f}, one window at a time, without overlap",
                )


def _share(spent: dict[str, Spent], sound_s: float, alone_s: float) -> float:
    """As the ratio of speeds, in seconds of the processor: decoders are processes of their own, and left out."""
    return (spent["alone"].cpu_s / alone_s) / (spent["scan"].cpu_s / sound_s)


def _forward(scorer: Scorer, batches: int) -> None:
    windows = np.random.default_rng(0).normal(0, 0.1, (scorer.batch_size, scorer.size)).astype(np.float32)
    with Lanes[int, object](lanes_for(scorer.device)) as lanes:
        for number in range(batches):
            list(lanes.give(number, lambda: scorer.logits(windows)))
        list(lanes.rest())


def _graph_attention() -> Callable[[], object]:
    model, window = StandIn().eval(), torch.randn(1, WINDOW) * 0.1

    def once() -> object:
        with torch.inference_mode():
            return model(window)

    return once
