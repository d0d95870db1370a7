"""Looking into a detector without leaving a trace in it."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch

from deepcheck.detectors.base import Detector


@contextmanager
def undisturbed(detector: Detector) -> Iterator[Detector]:
    """The detector in eval mode and full precision with gradients on, whatever the caller has switched off.

    Afterwards every module is in the mode it was in. A detector that was built or moved under `torch.inference_mode`
    has weights that know no gradient: of such a one this is a copy.
    """
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(_device(detector).type, enabled=False),
        torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
    ):
        if any(tensor.is_inference() for tensor in chain(detector.parameters(), detector.buffers())):
            detector = copy.deepcopy(detector)
        modes = [(module, module.training) for module in detector.modules()]
        detector.eval()
        try:
            yield detector
        finally:
            for module, training in modes:
                module.training = training


def _device(detector: Detector) -> torch.device:
    return next(detector.parameters()).device
