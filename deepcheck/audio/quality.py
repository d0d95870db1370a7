"""Which windows can be judged at all, and what is known of the others; vectorised over a batch."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from deepcheck.audio.decode import SAMPLE_RATE
from deepcheck.audio.speech import speech_detector


class Quality(StrEnum):
    """What a window holds: `SPEECH` is what detectors were trained on, the others get no score."""

    SPEECH = "speech"
    NO_SPEECH = "no speech"
    SILENT = "silent"
    TOO_NOISY = "too noisy"
    CLIPPED = "clipped"
    MUSIC = "music"


# Where shares and figures are given below, `python -m tests.benchmarks.quality` prints them.

SILENCE_PEAK = 1e-3  # -60 dB below full scale
# Resampling and codecs ring, so that single samples overshoot the ceiling: what tells clipping is how much lies near
# it. Of clean speech 0.3 % does, of one recording in twenty 2 %; hard clipped speech keeps 19 to 28 % through mp3 or
# mu-law.
CLIPPED_LEVEL = 0.7  # of the peak
CLIPPED_SHARE = 0.15
MIN_SPEECH_SHARE = 0.2  # of the window
# Speech falls and rises by syllables and pauses: the levels of its 20 ms frames have a standard deviation of 12 dB in
# the median. Whatever lies louder under it fills the gaps: 2 dB are left at 0 dB of white or pink noise, 3 dB at -5 dB
# of brown noise or of babble.
MIN_DYNAMICS_DB = 3.3
# Notes and hums stay on their frequency, as the partials of a voice do not: the share of the power in spectral peaks
# that last for 290 ms in one bin. It is 0 in the median of speech and of noise, 19 % of music.
TONAL_SHARE = 0.04  # where nobody speaks
TONAL_SHARE_OF_SPEECH = 0.1  # where something drowns a voice: above is music, below noise

_LEVEL_FRAME = 320  # 20 ms, as in `surface`
_FLOOR_SHARE = 0.1  # of the frames, the quietest
_ACTIVE = 1e-3  # of the power of the loudest frame: 30 dB below, as `levels.active_power` has it
_SPECTRUM_FRAME = 512
_BAND = 10.0**-6.5  # 65 dB below the strongest bin, as in `surface`
_TONE_FRAME, _TONE_HOP = 1024, 512
_TONE_NEIGHBOURS = 21  # bins of 15.6 Hz; a peak stands above the mean of their decibels
_TONE_DB = 6.0
_TONE_LASTS = 8  # frames: 64 ms and seven hops of 32 ms
_TINY = 1e-12


@dataclass(frozen=True)
class Assessment:
    """Of each window of a batch its quality and, as arrays (batch,), what `surface.Surface` calls so.

    `speech` is the share of the window in which somebody speaks, 0 to 1.
    """

    qualities: list[Quality]
    speech: NDArray[np.float64]
    snr_db: NDArray[np.float64]
    bandwidth_hz: NDArray[np.float64]
    level_db: NDArray[np.float64]


def assess(windows: NDArray[np.float32]) -> Assessment:
    """(batch, samples) at 16 kHz -> what each window holds."""
    magnitude = np.abs(windows)
    peak = magnitude.max(axis=1)
    silent = peak < SILENCE_PEAK
    clipped = (magnitude >= CLIPPED_LEVEL * peak[:, None]).mean(axis=1) > CLIPPED_SHARE
    # The network was made for ordinary levels; a quiet recording is no less speech.
    level = torch.from_numpy(0.5 * windows / np.maximum(peak, SILENCE_PEAK)[:, None])
    speech = (speech_detector()(level) > 0.5).double().mean(1).numpy()
    powers = _frame_powers(level)
    drowned = (_dynamics_db(powers) < MIN_DYNAMICS_DB).numpy()
    nobody = speech < MIN_SPEECH_SHARE
    tonal = np.zeros(len(windows))
    asked = np.flatnonzero(~silent & (nobody | drowned))  # which is nothing of most recordings
    if len(asked):
        tonal[asked] = _tonal_share(level[asked]).numpy()
    qualities = [
        Quality.SILENT
        if silent[i]
        else (Quality.MUSIC if tonal[i] > TONAL_SHARE else Quality.NO_SPEECH)
        if nobody[i]
        else Quality.CLIPPED
        if clipped[i]
        else (Quality.MUSIC if tonal[i] > TONAL_SHARE_OF_SPEECH else Quality.TOO_NOISY)
        if drowned[i]
        else Quality.SPEECH
        for i in range(len(windows))
    ]
    return Assessment(
        qualities,
        np.where(silent, 0.0, speech),
        _snr_db(powers).double().numpy(),
        _bandwidth_hz(level).double().numpy(),
        _decibels(np.sqrt(np.mean(np.square(windows, dtype=np.float64), axis=1))),
    )


def _decibels(amplitude: NDArray[np.float64]) -> NDArray[np.float64]:
    levels: NDArray[np.float64] = 20 * np.log10(np.maximum(amplitude, 1e-6))
    return levels


def _frame_powers(windows: Tensor) -> Tensor:
    """(batch, samples) -> (batch, frames) mean squares of 20 ms, at least one."""
    frame = min(_LEVEL_FRAME, windows.shape[1])
    frames = windows[:, : windows.shape[1] // frame * frame].unflatten(1, (-1, frame))
    return frames.double().square().mean(2)


def _dynamics_db(powers: Tensor) -> Tensor:
    """The standard deviation of the levels of the frames; 100 dB below the loudest all are alike."""
    floor = powers.amax(1, keepdim=True) * 1e-10 + _TINY
    return (10 * torch.log10(powers + floor)).std(1, correction=0)


def _snr_db(powers: Tensor) -> Tensor:
    active = powers >= powers.amax(1, keepdim=True) * _ACTIVE
    loud = (powers * active).sum(1) / active.sum(1)
    floor = powers.sqrt().quantile(_FLOOR_SHARE, dim=1).square()
    return 10 * (loud.clamp_min(_TINY).log10() - floor.clamp_min(_TINY).log10())


def _bandwidth_hz(windows: Tensor) -> Tensor:
    short = max(_SPECTRUM_FRAME - windows.shape[1], 0)
    padded = F.pad(windows, (0, short))
    frames = padded[:, : padded.shape[1] // _SPECTRUM_FRAME * _SPECTRUM_FRAME].unflatten(1, (-1, _SPECTRUM_FRAME))
    window = torch.blackman_window(_SPECTRUM_FRAME, periodic=False)
    power = torch.view_as_real(torch.fft.rfft(frames * window)).square().sum((1, 3))
    strongest = power.amax(1, keepdim=True)
    inside = (power >= strongest * _BAND) & (strongest > 0)
    return (inside * torch.arange(power.shape[1])).amax(1) * (SAMPLE_RATE / _SPECTRUM_FRAME)


def _tonal_share(windows: Tensor) -> Tensor:
    """The share of the power that lies in tones, after the frequency activation of Seyerlehner et al. (DAFx 2007).

    Peaks along frequency that stand out of their neighbourhood count where they stay in one bin.
    """
    short = max(_TONE_FRAME + (_TONE_LASTS - 1) * _TONE_HOP - windows.shape[1], 0)
    hann = torch.hann_window(_TONE_FRAME)
    spectrum = torch.stft(
        F.pad(windows, (0, short)), _TONE_FRAME, _TONE_HOP, window=hann, center=False, return_complex=True
    )
    power = torch.view_as_real(spectrum).square().sum(-1)  # (batch, bins, frames)
    db = (10 * torch.log10(power + _TINY)).transpose(1, 2)
    around = F.avg_pool1d(db, _TONE_NEIGHBOURS, 1, _TONE_NEIGHBOURS // 2, count_include_pad=False)
    middle, below, above = db[..., 1:-1], db[..., :-2], db[..., 2:]
    peaks = (middle > below) & (middle >= above) & (middle - around[..., 1:-1] > _TONE_DB)
    runs = F.avg_pool1d(peaks.float().transpose(1, 2), _TONE_LASTS, 1) > 1 - 1e-3
    lasting = F.max_pool1d(F.pad(runs.float(), (_TONE_LASTS - 1,) * 2), _TONE_LASTS, 1)
    return (lasting * power[:, 1:-1]).sum((1, 2)) / power.sum((1, 2)).clamp_min(_TINY)
