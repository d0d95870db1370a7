"""Gradient times input along a path (integrated gradients, Sundararajan et al. 2017, arXiv:1703.01365)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from deepcheck.detectors.base import Detector
from deepcheck.explain.evidence import Evidence, over_features

_STEPS = 16
_FRAME_S = 0.01  # of a waveform that is itself the features
_SPAN_S = 0.1  # single frames are noise to the eye, and to the ear nothing shorter is a place
_SPAN_BINS = 3


def gradient_x_input(detector: Detector, waveform: Tensor) -> Evidence:
    """What each feature's difference from the ordinary adds to the negative logit y; asks nothing of a detector.

    (x - x') times the mean of dy/dx at 16 points between x' and x (equations 1 and 3). The gradient at x alone, which
    is what gradient times input commonly means, is that of a detector that has made up its mind: in recurrent ones it
    often vanishes just where the reason was heard. x' is the median of each bin over the window; so what is the same
    throughout the window gets no heat, however much it speaks for either. The products, signs and all, are averaged
    over 0.1 s and over three bins of frequency, twice each.
    """
    with torch.no_grad():
        features = detector.features(waveform)
        heard = max(1, round(features.shape[-1] * min(1.0, detector.window_s / detector.features_s())))
        ordinary = features[..., :heard].median(-1, keepdim=True).values.expand_as(features)
    total = torch.zeros_like(features)
    shares = (torch.arange(_STEPS, device=features.device) + 0.5) / _STEPS
    # cuDNN has no gradient for recurrent layers in eval mode.
    with torch.backends.cudnn.flags(enabled=False):
        for part in shares.split(detector.cpu_batch):
            points = torch.lerp(ordinary, features, part.view(-1, *[1] * (features.ndim - 1))).requires_grad_()
            (gradient,) = torch.autograd.grad(-detector.logit(points).sum(), points)
            total += gradient.sum(0, keepdim=True) / _STEPS
    products = ((features - ordinary) * total)[..., :heard]
    values, frequencies_hz = over_features(products, detector.frequencies_hz())
    frame_s = detector.features_s() / features.shape[-1]
    if (together := int(_FRAME_S / frame_s)) > 1:
        values, frame_s = F.avg_pool2d(values[None], (1, together))[0], frame_s * together
    frames = 1 + 2 * round(_SPAN_S / frame_s / 2)
    bins = 1 if frequencies_hz is None else _SPAN_BINS
    for _ in range(2):
        values = _averaged(values, bins, frames)
    return Evidence(values, frame_s, frequencies_hz, resolution=frames)


def _averaged(values: Tensor, bins: int, frames: int) -> Tensor:
    """Averaged over so many, odd numbers, around each place; at the borders over what is there of them."""
    padding = (bins // 2, frames // 2)
    return F.avg_pool2d(values[None], (bins, frames), stride=1, padding=padding, count_include_pad=False)[0]
