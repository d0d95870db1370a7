"""Through the codec that serves the attacker best: he knows the score, and nothing of the detector."""

import numpy as np

from deepcheck.audio.conditions import parse_conditions
from deepcheck.audio.decode import Waveform
from deepcheck.engine.attacks.victim import Victim
from deepcheck.errors import AudioError, ConfigError

CODECS = ("opus:16k", "opus:32k", "mp3:32k", "mp3:64k", "aac:32k", "aac:64k", "amr:12.2k", "g711")


def codec(victim: Victim, waveform: Waveform, towards: int, budget: float, rng: np.random.Generator) -> list[Waveform]:
    """The recording through each codec and bit rate that this machine has an encoder for."""
    found = []
    for name in CODECS:
        try:
            [condition] = parse_conditions(name)
            found.append(condition(waveform, 0))
        except (AudioError, ConfigError):  # no such encoder, or it does not take this recording
            continue
    return found
