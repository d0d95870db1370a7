"""Which windows can be judged at all."""

from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray

from deepcheck.audio.speech import speech_detector


class Quality(StrEnum):
    """What a window holds: `SPEECH` is what detectors were trained on, the others get no score."""

    SPEECH = "speech"
    NO_SPEECH = "no speech"
    SILENT = "silent"
    CLIPPED = "clipped"


SILENCE_PEAK = 1e-3  # -60 dB below full scale
# Resampling and codecs ring, so that single samples overshoot the ceiling: what tells clipping is how much lies near
# it. Of clean speech 0.3 % does, of one recording in twenty 2 %; hard clipped speech keeps 19 to 28 % through mp3 or
# mu-law.
CLIPPED_LEVEL = 0.7  # of the peak
CLIPPED_SHARE = 0.15
MIN_SPEECH_SHARE = 0.2  # of the window


def assess(windows: NDArray[np.float32]) -> tuple[list[Quality], NDArray[np.float64]]:
    """(batch, samples) -> the quality of each window and the share of it in which somebody speaks, 0 to 1."""
    magnitude = np.abs(windows)
    peak = magnitude.max(axis=1)
    at_peak = (magnitude >= CLIPPED_LEVEL * peak[:, None]).mean(axis=1)
    # The network was made for ordinary levels; a quiet recording is no less speech.
    level = torch.from_numpy(0.5 * windows / np.maximum(peak, SILENCE_PEAK)[:, None])
    speech = (speech_detector()(level) > 0.5).double().mean(1).numpy()
    qualities = [
        Quality.SILENT
        if peak[i] < SILENCE_PEAK
        else Quality.NO_SPEECH
        if speech[i] < MIN_SPEECH_SHARE
        else Quality.CLIPPED
        if at_peak[i] > CLIPPED_SHARE
        else Quality.SPEECH
        for i in range(len(windows))
    ]
    return qualities, np.where(peak < SILENCE_PEAK, 0.0, speech)
