"""Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) for detectors whose last map still has places in it."""

from typing import Any

import torch
from torch import Tensor, nn

from deepcheck.detectors.base import Detector
from deepcheck.errors import ConfigError
from deepcheck.explain.evidence import Evidence, over_features


def grad_cam(detector: Detector, waveform: Tensor) -> Evidence:
    """The sum of the maps A_k that leave `cam_target()`, each times a_k, the mean of its gradient (equations 1 and 2).

    The gradient is that of the negative logit, the score of the class spoof. These equations leave out the bias, and
    with it where for or against begins; here all cells share what is missing to the score. So where a map is read by
    its mean and a linear head, each cell gets what the score would be if all were like it, and what scores as a spoof
    is hot somewhere. The sum is drawn over the features by linear interpolation between the centres of its cells
    (`cam_grid()`); to leave out what is below zero, as equation 2 does, is the caller's business.

    `ConfigError` for a detector whose map has no axes of frequency and time.
    """
    with torch.no_grad():
        features = detector.features(waveform)
    maps = _Maps()
    hook = detector.cam_target().register_forward_hook(maps)
    try:
        logit = detector.logit(features)
    finally:
        hook.remove()
    if maps.output is None or maps.output.ndim != 4 or features.ndim < 3:
        raise ConfigError(
            f'The detector "{detector.spec.name}" has no map over frequency and time for Grad-CAM.',
            f"Take {detector.explainer}.",
        )
    (gradient,) = torch.autograd.grad(-logit.sum(), maps.output)
    cells = (gradient.mean((-2, -1), keepdim=True) * maps.output.detach()).sum(1)[0]
    cells = cells - (logit.detach() + cells.sum()) / cells.numel()
    rows, columns = features.shape[-2:]
    grid = detector.cam_grid() or (_even(len(cells), rows), _even(cells.shape[1], columns))
    values = _stretched(_stretched(cells, columns, *grid[1]).T, rows, *grid[0]).T
    values, frequencies_hz = over_features(values, detector.frequencies_hz())
    return Evidence(values, detector.features_s() / columns, frequencies_hz, resolution=grid[1][1])


class _Maps:
    """A hook that puts a copy into the place of an output, so that gradients end there whatever learns before it."""

    def __init__(self) -> None:
        self.output: Tensor | None = None

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> Tensor | None:
        if not isinstance(output, Tensor):
            return None
        self.output = output.detach().clone().requires_grad_()
        return self.output


def _even(cells: int, places: int) -> tuple[float, float]:
    """Where the first of `cells` lies that share `places` evenly, and how far apart they are."""
    step = places / cells
    return (step - 1) / 2, step


def _stretched(cells: Tensor, places: int, first: float, step: float) -> Tensor:
    """(rows, cells) -> (rows, places), linear between the centres of the cells, constant beyond the outer ones."""
    at = ((torch.arange(places, device=cells.device) - first) / step).clamp(0, cells.shape[1] - 1)
    left = at.floor().long().clamp(max=max(0, cells.shape[1] - 2))
    right = (left + 1).clamp(max=cells.shape[1] - 1)
    return torch.lerp(cells[:, left], cells[:, right], (at - left).to(cells))
