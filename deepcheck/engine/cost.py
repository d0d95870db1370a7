"""What a detector costs: parameters, arithmetic, time."""

import warnings
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from deepcheck.audio.decode import SAMPLE_RATE
from deepcheck.detectors.base import Detector, parameter_count


@dataclass(frozen=True)
class Cost:
    """`gflop_per_s`: thousand million multiplications and additions for a second of sound that is heard once;
    `real_time_factor`: seconds that the evaluation took for one of sound, decoding included (None: not measured)."""

    parameters: int
    gflop_per_s: float
    real_time_factor: float | None = None


def cost_of(detector: Detector, real_time_factor: float | None = None) -> Cost:
    """The cost of one window, by its length. Operations are counted as PyTorch counts them: matrix products,
    convolutions and attention, where a multiplication with its addition is two; all else is left out."""
    device = next(detector.parameters()).device
    window = torch.zeros(1, round(detector.window_s * SAMPLE_RATE), device=device)
    with warnings.catch_warnings():
        # Without oneDNN, whose fused recurrences hide their products; asking for that warns about Intel's GPUs.
        warnings.simplefilter("ignore")
        with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
            detector.score(window)
    return Cost(parameter_count(detector), counter.get_total_flops() / detector.window_s / 1e9, real_time_factor)
