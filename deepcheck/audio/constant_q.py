"""Constant-Q power spectrogram of a waveform at 16 kHz, each octave at a sample rate of its own."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from deepcheck.audio.decode import SAMPLE_RATE

_LONGEST_S = 0.128
_FEWEST_PERIODS = 2  # a Hann window of fewer hears the mean and the negative frequencies as well
_TONE_POWER = 256  # that of a tone of unit RMS in the 257 bins of a Fourier transform over 512 samples
_HALF_BAND = 11  # taps on either side of the middle one


class ConstantQ(nn.Module):
    """(batch, samples) at 16 kHz -> power (batch, bins, 1 + samples // hop); frame t has its middle at sample t * hop.

    Bin k lies at lowest_hz * 2 ** (k / bins_per_octave); without `lowest_hz` the next one after the last would lie at
    8 kHz. It is heard through a Hann window of Q = 1 / (2 ** (1 / bins_per_octave) - 1) periods (Brown 1991), so that
    its bandwidth at half power is 1.44 / Q of its frequency. But no window is longer than 128 ms: below Q / 0.128 s,
    which is 131 Hz at 12 bins an octave, all bands are 11 Hz wide and overlap. Where windows are shorter than the hop,
    a frame is the mean power of several, at most half a window apart, so that nothing between two frames goes unheard.

    White noise of unit RMS has power 1 for each 31.25 Hz that a bin is wide (its noise bandwidth), and a tone of unit
    RMS 256 in the bin at its frequency, whichever that is: the units of a mel spectrogram over 512 samples.

    Each octave is correlated with its windowed exponentials at a sample rate halved as long as it stays above 4 times
    the octave's highest frequency and the hop a whole number of samples (Schörkhuber and Klapuri 2010). The waveform is
    mirrored at both ends, and must be longer than `margin` samples: 89 ms with a hop of 10 ms.
    """

    half_band: Tensor

    def __init__(self, *, bins: int, bins_per_octave: int, lowest_hz: float | None = None, hop: int) -> None:
        super().__init__()
        if min(bins, bins_per_octave, hop) < 1:
            raise ValueError("bins, bins per octave and samples per hop must be at least 1")
        if lowest_hz is None:
            lowest_hz = SAMPLE_RATE / 2 * 2 ** (-bins / bins_per_octave)
        frequencies = lowest_hz * 2 ** (np.arange(bins) / bins_per_octave)
        q = 1 / (2 ** (1 / bins_per_octave) - 1)
        if min(q, lowest_hz * _LONGEST_S) < _FEWEST_PERIODS:
            raise ValueError(
                f"windows for {bins_per_octave} bins an octave from {lowest_hz:g} Hz on hold fewer than "
                f"{_FEWEST_PERIODS} periods"
            )
        if frequencies[-1] * 2 ** (0.5 / bins_per_octave) > SAMPLE_RATE / 2:
            raise ValueError(f"the highest bin, at {frequencies[-1]:.0f} Hz, reaches beyond {SAMPLE_RATE // 2} Hz")
        self.hop = hop
        self.frequencies_hz: NDArray[np.float32] = frequencies.astype(np.float32)
        starts = range(bins - bins_per_octave, -bins_per_octave, -bins_per_octave)  # the highest octave first
        octaves = [_Octave(frequencies[max(0, k) : k + bins_per_octave], q, hop) for k in starts]
        self.octaves = nn.ModuleList(octaves)
        self.halvings = [octave.halvings for octave in octaves]
        # How many samples at the lowest rate lie before the first frame, for every octave to have enough at its own.
        # Each halving takes `_HALF_BAND` samples and leaves half of the others, which must be an even number.
        fewest = [
            math.ceil((octave.reach + _HALF_BAND) / 2 ** (self.halvings[-1] - octave.halvings)) for octave in octaves
        ]
        self.lead = 2 ** self.halvings[-1] * max(fewest) - _HALF_BAND
        self.margin = self.lead + 2 ** (self.halvings[-1] + 1)
        # Half the samples at -80 dB from 0.36 of the rate on, flat to 0.14: beyond the skirts of the octaves below.
        offsets = np.arange(-_HALF_BAND, _HALF_BAND + 1)
        half_band = np.sinc(offsets / 2) * np.kaiser(len(offsets), 7.9)
        self.register_buffer("half_band", _float32(half_band / half_band.sum()), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        frames = 1 + waveform.shape[-1] // self.hop
        rest = F.pad(waveform, (self.lead, self.margin), mode="reflect")
        lead, done = self.lead, 0
        powers: list[Tensor] = []
        for octave, halvings in zip(self.octaves, self.halvings, strict=True):
            for _ in range(halvings - done):
                rest = rest.unfold(-1, len(self.half_band), 2) @ self.half_band
                lead = (lead - _HALF_BAND) // 2
            done = halvings
            powers.append(octave(rest, lead, frames))
        return torch.cat(powers[::-1], -1).transpose(-1, -2)


class _Octave(nn.Module):
    """Power in the bands at `frequencies` (ascending, in Hz), of a waveform whose rate was halved `halvings` times."""

    kernels: Tensor

    def __init__(self, frequencies: NDArray[np.float64], q: float, hop: int) -> None:
        super().__init__()
        self.halvings = 0
        while hop % 2 ** (self.halvings + 1) == 0 and SAMPLE_RATE / 2 ** (self.halvings + 1) >= 4 * frequencies[-1]:
            self.halvings += 1
        rate = SAMPLE_RATE / 2**self.halvings
        hop //= 2**self.halvings
        lengths = np.minimum(q / frequencies, _LONGEST_S) * rate  # in samples, not whole ones
        half = math.floor(lengths[0] / 2)
        self.windows = next(n for n in range(1, hop + 1) if hop % n == 0 and hop / n <= max(1, lengths[-1] / 2))
        self.step = hop // self.windows
        self.reach = half + (self.windows - 1) * self.step // 2  # samples before a frame's middle that it hears
        offsets = np.arange(-half, half + 1)[:, None]
        window = np.where(np.abs(offsets) < lengths / 2, np.cos(np.pi * offsets / lengths) ** 2, 0)
        window *= math.sqrt(2 * _TONE_POWER) / window.sum(0)  # a tone puts half its power at its negative frequency
        phases = 2 * np.pi * offsets * frequencies / rate
        kernels = np.concatenate([window * np.cos(phases), window * np.sin(phases)], 1)
        self.register_buffer("kernels", _float32(kernels), persistent=False)

    def forward(self, waveform: Tensor, lead: int, frames: int) -> Tensor:
        """(batch, samples), the first frame's middle at sample `lead` -> (batch, frames, bands)."""
        taps, columns = self.kernels.shape
        start = lead - self.reach
        stop = start + (frames * self.windows - 1) * self.step + taps
        # A product of matrices and no convolution, which cuDNN may round to the 11 bits of TF32.
        parts = waveform[..., start:stop].unfold(-1, taps, self.step) @ self.kernels
        parts = parts.view(-1, frames, 2 * self.windows, columns // 2)
        return parts.square().sum(2) / self.windows


def _float32(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
