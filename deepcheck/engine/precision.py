"""Which precision a scan computes in where nobody asks for one."""

from collections.abc import Iterable

import torch

from deepcheck.engine.model import Model
from deepcheck.runtime import has_fast_bf16, pick_device

_MOST_SCALE = 2.0
"""Of a calibration: scores move by as much more than logits, and those of the shipped detectors move by 0.02."""


def usual_precision(models: Iterable[Model], device: str, runtime: str) -> str:
    """bf16 on a CPU that is faster with it, for models whose scores it hardly moves; fp32 for all else.

    It comes before an exported graph, which is slower (`python -m tests.benchmarks --only precision`), but for one that
    was asked for.
    """
    on_cpu = pick_device(device).type == "cpu" and has_fast_bf16(torch.device("cpu"))
    harmless = all(model.detector.takes_bf16 and _scale(model) <= _MOST_SCALE for model in models)
    return "bf16" if on_cpu and harmless and runtime != "onnx" else "fp32"


def _scale(model: Model) -> float:
    return 1.0 if model.card.calibration is None else abs(model.card.calibration.scale)
