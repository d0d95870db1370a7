"""Copies by the oldest idea of all: pulses and noise through a filter that changes from frame to frame."""

from collections.abc import Callable

import numpy as np
from pitch import Pitch, track

from deepcheck.audio.decode import SAMPLE_RATE, Waveform

_POINTS = 2048  # of the filters' spectra: a frame, and room for what rings on
_ENVELOPE_ROUNDS = 6


def lpc(clip: Waveform, rng: np.random.Generator) -> np.ndarray:
    """Linear prediction of order 10 to 32; each frame is either pulses or noise."""
    return _vocode(clip, rng, _all_pole(int(rng.integers(10, 33))), _pulses_or_noise)


def lpc_mixed(clip: Waveform, rng: np.random.Generator) -> np.ndarray:
    """The same with both at once: pulses below, noise above, more noise where the voice is less periodic."""
    return _vocode(clip, rng, _all_pole(int(rng.integers(10, 33))), _mixed)


def minimum_phase(clip: Waveform, rng: np.random.Generator) -> np.ndarray:
    """The envelope from 20 to 60 cepstral coefficients, and the causal filter that goes with it."""
    return _vocode(clip, rng, _cepstral(int(rng.integers(20, 61)), causal=True), _mixed)


def zero_phase(clip: Waveform, rng: np.random.Generator) -> np.ndarray:
    """The same envelope with all phases zero: every pulse is symmetric."""
    return _vocode(clip, rng, _cepstral(int(rng.integers(20, 61)), causal=False), _mixed)


_Filters = Callable[[np.ndarray], np.ndarray]  # windowed frames -> spectra of the filters, (frames, bins)
_Excitation = Callable[[Pitch, int, np.random.Generator], np.ndarray]


def _vocode(clip: Waveform, rng: np.random.Generator, filters: _Filters, excitation: _Excitation) -> np.ndarray:
    hop = int(rng.choice((64, 80, 128, 160)))
    size = hop * int(rng.choice((4, 5, 6)))
    pitch = track(clip, hop, float(rng.uniform(55, 75)), float(rng.uniform(400, 550)), float(rng.uniform(0.35, 0.55)))
    frames = _frames(clip.astype(np.float64), size, hop)
    source = _frames(excitation(pitch, clip.size, rng), size, hop)
    energies = np.sqrt((frames**2).sum(1))
    rung = np.fft.irfft(np.fft.rfft(source, _POINTS) * filters(frames), _POINTS)
    rung *= (energies / np.maximum(np.sqrt((rung**2).sum(1)), 1e-9))[:, None]
    return _overlapped(rung, size, hop, clip.size)


def _frames(signal: np.ndarray, size: int, hop: int) -> np.ndarray:
    padded = np.pad(signal, (size, 2 * size))
    count = (signal.size + size) // hop + 1
    return padded[np.arange(count)[:, None] * hop + np.arange(size)] * np.hanning(size + 1)[:-1]


def _overlapped(frames: np.ndarray, size: int, hop: int, length: int) -> np.ndarray:
    """Frames added up; what a filter without delay rings ahead lies at a frame's end, and goes in front."""
    before = (_POINTS - size) // 2
    frames = np.roll(frames, before, axis=1)
    out = np.zeros((len(frames) - 1) * hop + _POINTS)
    for at, frame in enumerate(frames):
        out[at * hop : at * hop + _POINTS] += frame
    return out[before + size : before + size + length]


def _all_pole(order: int) -> _Filters:
    def filters(frames: np.ndarray) -> np.ndarray:
        spectra = np.abs(np.fft.rfft(frames, _POINTS)) ** 2
        correlation = np.fft.irfft(spectra, _POINTS)[:, : order + 1]
        correlation[:, 0] = correlation[:, 0] * (1 + 1e-5) + 1e-9
        taps, error = np.zeros((len(frames), order + 1)), correlation[:, 0].copy()
        taps[:, 0] = 1.0
        for at in range(1, order + 1):  # Levinson and Durbin, all frames at once
            reflection = -(taps[:, :at] * correlation[:, at:0:-1]).sum(1) / error
            taps[:, 1 : at + 1] += reflection[:, None] * taps[:, at - 1 :: -1][:, :at]
            error *= np.maximum(1 - reflection**2, 1e-6)
        return 1.0 / np.fft.rfft(taps * 0.997 ** np.arange(order + 1), _POINTS)

    return filters


def _cepstral(count: int, causal: bool) -> _Filters:
    def filters(frames: np.ndarray) -> np.ndarray:
        magnitudes = np.abs(np.fft.rfft(frames, _POINTS))
        floor = 1e-6 * magnitudes.max(1, keepdims=True) + 1e-9
        log = np.log(magnitudes + floor)
        lifter = np.zeros(_POINTS)
        lifter[:count] = np.cos(np.linspace(0, np.pi / 2, count)) ** 0.5
        lifter[1:count] *= 2.0
        kept = np.fft.rfft(np.fft.irfft(log, _POINTS) * lifter, _POINTS)
        for _ in range(_ENVELOPE_ROUNDS):  # over the tops of the harmonics, not between them and the gaps
            kept = np.fft.rfft(np.fft.irfft(np.maximum(log, kept.real), _POINTS) * lifter, _POINTS)
        return np.exp(kept if causal else kept.real)

    return filters


def _pulses_or_noise(pitch: Pitch, length: int, rng: np.random.Generator) -> np.ndarray:
    voiced = np.repeat(pitch.hz > 0, pitch.hop)[:length]
    voiced = np.pad(voiced, (0, length - voiced.size), mode="edge")
    return np.where(voiced, pulses(pitch, length, rng), rng.standard_normal(length))


def _mixed(pitch: Pitch, length: int, rng: np.random.Generator) -> np.ndarray:
    """Up to a frequency that is drawn, pulses with as much noise as the voice has; above it noise alone."""
    hz = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    low = 1.0 / (1.0 + (hz / rng.uniform(2000, 6000)) ** 8)
    at = np.arange(length) / pitch.hop
    strength = np.interp(at, np.arange(pitch.hz.size), np.where(pitch.hz > 0, pitch.strength, 0.0))
    tone, noise = pulses(pitch, length, rng) * np.sqrt(strength), rng.standard_normal(length)
    above = np.fft.irfft(np.fft.rfft(noise) * np.sqrt(1 - low**2), length)
    below = np.fft.irfft(np.fft.rfft(noise) * low, length)
    voice = np.fft.irfft(np.fft.rfft(tone) * low, length)
    mixed: np.ndarray = voice + above + below * np.sqrt(1 - strength)
    return mixed


def pulses(pitch: Pitch, length: int, rng: np.random.Generator) -> np.ndarray:
    """One pulse a period, of unit power; the periods of a drawn share tremble by up to 2 %."""
    hz = np.interp(np.arange(length) / pitch.hop, np.arange(pitch.hz.size), _held(pitch.hz))
    hz *= 1.0 + rng.choice((0.0, 0.01, 0.02)) * np.repeat(rng.standard_normal(length // 100 + 1), 100)[:length]
    turns = np.cumsum(np.maximum(hz, 20.0)) / SAMPLE_RATE
    at = np.flatnonzero(np.diff(np.floor(turns), prepend=0.0))
    out = np.zeros(length)
    out[at] = np.sqrt(SAMPLE_RATE / hz[at])
    return out


def _held(hz: np.ndarray) -> np.ndarray:
    """The pitch, and between voices what leads from one to the next."""
    voiced = np.flatnonzero(hz > 0)
    return np.interp(np.arange(hz.size), voiced, hz[voiced]) if voiced.size else np.full(hz.size, 120.0)
