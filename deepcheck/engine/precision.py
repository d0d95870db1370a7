"""Which precision a scan computes in where nobody asks for one."""

from collections.abc import Iterable

import torch

from deepcheck.detectors.base import Detector
from deepcheck.runtime import has_fast_bf16, pick_device


def usual_precision(detectors: Iterable[Detector], device: str, runtime: str) -> str:
    """bf16 on a CPU that is faster with it, for detectors whose scores it hardly moves; fp32 for all else.

    It comes before an exported graph, which is slower (`python -m tests.benchmarks --only precision`), but for one that
    was asked for.
    """
    on_cpu = pick_device(device).type == "cpu" and has_fast_bf16(torch.device("cpu"))
    harmless = all(detector.takes_bf16 for detector in detectors)
    return "bf16" if on_cpu and harmless and runtime != "onnx" else "fp32"
