"""The noise, of several draws, that serves the attacker best: he knows the score, and nothing of the detector."""

import numpy as np

from deepcheck.audio.augment.noise import Noise
from deepcheck.audio.decode import Waveform
from deepcheck.engine.attacks.victim import Victim

DRAWS = 8


def noise(victim: Victim, waveform: Waveform, towards: int, budget: float, rng: np.random.Generator) -> list[Waveform]:
    """The recording with white, pink or brown noise `budget` dB below the speech, drawn 8 times."""
    adds = Noise(snr_db=(budget, budget), kinds=("white", "pink", "brown"))
    return [adds(waveform, rng) for _ in range(DRAWS)]
