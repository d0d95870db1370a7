"""Weights in bfloat16 once and for all: autocast rounds them anew for each batch."""

import copy
import threading
from typing import Any

import torch
from torch import nn

from deepcheck.detectors.base import Detector

_KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d)  # what autocast computes in bfloat16, in modules that hold their weights


class Rounded:
    """A copy of a detector that computes in autocast on a CPU, with the results of the detector to the last bit.

    It is what `with` gives, to several threads at a time. Which layers compute in bfloat16, and which are kept out of
    it, shows when the first batch passes; then their weights are rounded.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = copy.deepcopy(detector).eval()
        self._within: dict[nn.Module, set[bool]] = {}
        self._hooks = [
            module.register_forward_pre_hook(self._look)
            for module in self._detector.modules()
            if type(module) in _KINDS and _holds_weight(module)
        ]
        self._first = threading.Lock()

    def __enter__(self) -> Detector:
        if self._hooks:
            self._first.acquire()
            if not self._hooks:  # another thread was the first
                self._first.release()
        return self._detector

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        if not self._hooks:
            return
        if failed is None:
            for hook in self._hooks:
                hook.remove()
            for module, within in self._within.items():
                if within == {True}:
                    module.to(torch.bfloat16)
            self._hooks.clear()
        self._first.release()

    def _look(self, module: nn.Module, _: Any) -> None:
        self._within.setdefault(module, set()).add(torch.is_autocast_enabled("cpu"))


def _holds_weight(module: nn.Module) -> bool:
    """Not where it is computed from others at each passage, as under weight normalisation."""
    return isinstance(module._parameters.get("weight"), nn.Parameter)
