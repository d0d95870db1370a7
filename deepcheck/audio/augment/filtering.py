"""Filtering through the FFT, and noise with a given spectrum: what scipy would be needed for otherwise."""

from collections.abc import Callable

import numpy as np

from deepcheck.audio.augment import SAMPLE_RATE

Gain = Callable[[np.ndarray], np.ndarray]
"""Frequencies in Hz -> factor on the amplitude at each."""


def fast_length(samples: int) -> int:
    """The smallest length of at least `samples` that has no prime factor above 5, quick to transform."""
    best = 1 << max(samples - 1, 0).bit_length()
    fives = 1
    while fives < best:
        threes = fives
        while threes < best:
            twos = threes << max(-(-samples // threes) - 1, 0).bit_length()
            best = min(best, twos)
            threes *= 3
        fives *= 5
    return best


def convolve(waveform: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """`waveform` through the filter `taps`, cut to the length of the waveform, as float32."""
    size = fast_length(waveform.size + taps.size)
    product = np.fft.rfft(waveform, size) * np.fft.rfft(taps, size)
    return np.fft.irfft(product, size)[: waveform.size].astype(np.float32)


def convolve_centred(waveform: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """`convolve` without the delay of a symmetric filter with an odd number of taps."""
    half = taps.size // 2
    return convolve(np.pad(waveform, (0, half)), taps)[half:]


def shape_spectrum(waveform: np.ndarray, gain: Gain, tail_s: float = 0.1) -> np.ndarray:
    """`waveform` with every frequency multiplied by `gain`, without any delay (zero phase).

    `tail_s` of silence keeps the filter's ringing at one end out of the other.
    """
    size = fast_length(waveform.size + int(tail_s * SAMPLE_RATE))
    frequencies = np.fft.rfftfreq(size, 1.0 / SAMPLE_RATE)
    spectrum = np.fft.rfft(waveform, size) * gain(frequencies)
    return np.fft.irfft(spectrum, size)[: waveform.size].astype(np.float32)


def shaped_noise(samples: int, gain: Gain, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise whose amplitude spectrum follows `gain`, root mean square 1 before the cut, float32."""
    size = fast_length(max(samples, 2))
    frequencies = np.fft.rfftfreq(size, 1.0 / SAMPLE_RATE)
    spectrum = np.fft.rfft(rng.standard_normal(size, dtype=np.float32))
    noise = np.fft.irfft(spectrum * gain(frequencies), size)
    return (noise[:samples] / max(float(np.sqrt(np.mean(noise**2))), 1e-12)).astype(np.float32)


def notch_taps(bands: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """One symmetric FIR filter that stops each of `bands` in turn, largest gain 1, odd number of taps.

    `bands` is (n, 2) in Hz; `lengths` the odd number of taps of each of the n filters in series, each the
    ideal band stop under a Hamming window. Short filters do not reach zero: that is meant.
    """
    size = fast_length(int(lengths.sum()))
    response = np.ones(size // 2 + 1)
    for (low, high), length in zip(bands, lengths, strict=True):
        index = np.arange(length) - length // 2
        band_pass = _low_pass(high, index) - _low_pass(low, index)
        stop = (index == 0) - band_pass * np.hamming(length)
        centred = np.zeros(size)
        centred[index] = stop  # negative indices wrap around, so that the filter has no delay
        response *= np.fft.rfft(centred).real
    half = int((lengths - 1).sum()) // 2
    taps = np.roll(np.fft.irfft(response, size), half)[: 2 * half + 1]
    return taps / max(float(np.abs(response).max()), 1e-12)


def _low_pass(cutoff_hz: float, index: np.ndarray) -> np.ndarray:
    return 2.0 * cutoff_hz / SAMPLE_RATE * np.sinc(2.0 * cutoff_hz / SAMPLE_RATE * index)
