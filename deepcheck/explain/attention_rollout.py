"""Attention rollout (Abnar and Zuidema 2020, arXiv:2005.00928) of what the score reads, for transformers."""

import torch
from torch import Tensor

from deepcheck.detectors.base import Detector
from deepcheck.errors import ConfigError
from deepcheck.explain.evidence import Evidence


def attention_rollout(detector: Detector, waveform: Tensor) -> Evidence:
    """What the score reads from each frame of a layer's output, traced back to the input through the attention.

    Of layer l with the attention A_l, the mean over its heads, A = A_l / 2 + I / 2 is what passes on (the half stands
    for the skip connection) and R_l = A R_(l-1) how much of each input frame is in each output frame (section 3).
    Rollout alone knows no classes. Here it carries back the gradient of the negative logit times the state, summed over
    the width: for a mean over time and a linear head that is exactly what the frame adds to the score. The bias is
    shared by all frames. `ConfigError` for a detector without attention.
    """
    try:
        with torch.no_grad():
            attention = detector.attention_maps(waveform)
    except NotImplementedError:
        raise ConfigError(
            f'The detector "{detector.spec.name}" has no attention to roll out.', f"Take {detector.explainer}."
        ) from None
    states = [state.detach().requires_grad_() for state in attention.states]
    score = -attention.read(states).sum()
    gradients = torch.autograd.grad(score, states)
    read = [(gradient * state.detach()).sum(-1)[0] for gradient, state in zip(gradients, states, strict=True)]
    frames = len(read[0])
    read[-1] = read[-1] + (score.detach() - sum(part.sum() for part in read)) / frames
    values = _rolled_out([maps[0].mean(0) for maps in attention.maps], read)[None]
    return Evidence(values, detector.features_s() / frames)


def _rolled_out(maps: list[Tensor], read: list[Tensor]) -> Tensor:
    """(frames,): what is `read` from each of the last layers, carried back to the frames at the input."""
    identity = torch.eye(len(maps[0]), device=maps[0].device)
    rollout, total = identity, torch.zeros_like(read[0])
    for layer, attention in enumerate(maps):
        rollout = (attention + identity) / 2 @ rollout
        if (place := layer - len(maps) + len(read)) >= 0:
            total = total + read[place] @ rollout
    return total
