"""Projected gradient descent on the waveform: the attacker knows the detector and all of its weights.

Madry et al., "Towards deep learning models resistant to adversarial attacks", 2018, arXiv:1706.06083, with the
Euclidean norm, so that the budget is a signal-to-noise ratio of the whole recording.
"""

import numpy as np

from deepcheck.audio.decode import Waveform
from deepcheck.engine.attacks.victim import Victim

STEPS = 8
_LENGTH = 2.5  # of all steps together, in radii of the ball: enough to walk along its surface


def pgd(victim: Victim, waveform: Waveform, towards: int, budget: float, rng: np.random.Generator) -> list[Waveform]:
    """The recording after each of the last steps, no louder a change than `budget` dB below it, in 16 bits."""
    radius = float(np.linalg.norm(waveform)) * 10 ** (-budget / 20)
    change = np.zeros_like(waveform)
    candidates: list[Waveform] = []
    for step in range(STEPS):
        _, slope = victim.gradient(waveform + change)
        size = float(np.linalg.norm(slope))
        if not size > 0 or not np.isfinite(size):
            break
        change = change + np.float32(towards * _LENGTH * radius / STEPS / size) * slope
        beyond = float(np.linalg.norm(change)) / radius if radius else 0.0
        change = change / np.float32(max(1.0, beyond))
        if step >= STEPS // 2:
            candidates.append(_in_16_bits(waveform + change))
    return candidates[-2:]


def _in_16_bits(waveform: Waveform) -> Waveform:
    """As a file would hold it: what does not survive that is no attack."""
    whole = np.clip(np.round(waveform * 32768.0), -32768, 32767)
    return (whole / 32768.0).astype(np.float32)
