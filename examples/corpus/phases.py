"""Copies that keep what is there and spoil its phases, or its time and pitch."""

import numpy as np
import soxr
import torch
from pitch import track
from spectra import Frames

from deepcheck.audio.decode import SAMPLE_RATE, Waveform


def randomised(clip: Waveform, rng: np.random.Generator) -> np.ndarray:
    """Phases off by a drawn amount above a drawn frequency, each bin for itself or each frame as a whole."""
    frames = Frames.draw(rng, (256, 320, 512, 640, 1024))
    spectra = frames.analyse(clip)
    bins, count = spectra.shape
    by_frame = rng.random() < 0.3
    noise = rng.standard_normal((1 if by_frame else bins, count)) * rng.uniform(0.5, 3.0)
    above = np.linspace(0, SAMPLE_RATE / 2, bins)[:, None] >= rng.uniform(0, 1500)
    turn = torch.as_tensor(noise * above, dtype=torch.float32)
    return frames.synthesise(spectra * torch.polar(torch.ones_like(turn), turn), clip.size).numpy()


def phase_vocoder(clip: Waveform, rng: np.random.Generator) -> np.ndarray:
    """Stretched by a phase vocoder and played as much faster: another voice, half to four semitones off."""
    semitones = rng.uniform(0.5, 4.0) * rng.choice((-1, 1))
    factor = 2.0 ** (semitones / 12)
    frames = Frames.draw(rng, (512, 640, 1024))
    stretched = _stretched(frames.analyse(clip), 1.0 / factor, frames)
    sound = frames.synthesise(stretched, round(clip.size * factor)).numpy()
    lowered = np.asarray(soxr.resample(sound, SAMPLE_RATE * factor, SAMPLE_RATE))[: clip.size]
    return lowered if factor > 1.0 else _with_top(lowered, clip, factor * SAMPLE_RATE / 2)


def _with_top(lowered: np.ndarray, clip: Waveform, above_hz: float) -> np.ndarray:
    """The clip's own highest band where a lowered voice has none: an empty one would be too easy to learn."""
    size = clip.size
    steep = (np.fft.rfftfreq(size, 1 / SAMPLE_RATE) / (0.97 * above_hz)) ** 60
    top = steep / (1.0 + steep)
    lower = np.fft.rfft(np.pad(lowered, (0, size - lowered.size)))
    mixed: np.ndarray = np.fft.irfft(lower * (1 - top) + np.fft.rfft(clip) * top, size)
    return mixed


def _stretched(spectra: torch.Tensor, step: float, frames: Frames) -> torch.Tensor:
    """A spectrum every `step` frames, with the phases that its partials would have by then."""
    count = spectra.shape[1]
    at = torch.arange(0.0, count, step)
    spectra = torch.nn.functional.pad(spectra, (0, 2))
    left = at.floor().long()
    share = (at - left)[None]
    before, after = spectra[:, left], spectra[:, left + 1]
    magnitudes = (1 - share) * before.abs() + share * after.abs()
    advance = torch.linspace(0.0, torch.pi * frames.hop, spectra.shape[0])[:, None]
    change = after.angle() - before.angle() - advance
    change = change - 2 * torch.pi * torch.round(change / (2 * torch.pi)) + advance
    phases = torch.cumsum(torch.cat((before[:, :1].angle(), change[:, :-1]), 1).double(), 1)
    return torch.polar(magnitudes, phases.float())


def sinusoidal(clip: Waveform, rng: np.random.Generator) -> np.ndarray:
    """Harmonics of the pitch with the loudness that the spectrum has there, and noise for the rest."""
    hop = int(rng.choice((80, 128, 160)))
    frames = Frames(1024, hop)
    magnitudes = frames.analyse(clip).abs().numpy().T  # (frames, bins)
    pitch = track(clip, hop, 65.0, 450.0, float(rng.uniform(0.35, 0.5)))
    at = np.arange(clip.size) / hop
    hz = np.interp(at, np.arange(pitch.hz.size), pitch.hz)
    voiced = np.interp(at, np.arange(pitch.hz.size), (pitch.hz > 0).astype(float))
    highest = rng.uniform(3000, 7500)
    turns = np.cumsum(np.where(hz > 50, hz, 100.0)) / SAMPLE_RATE
    out = np.zeros(clip.size)
    bins = np.arange(magnitudes.shape[0])
    for harmonic in range(1, int(highest / max(hz[hz > 50].min(initial=450.0), 60.0)) + 1):
        bin_of = np.clip(np.round(pitch.hz * harmonic / SAMPLE_RATE * frames.size), 0, magnitudes.shape[1] - 1)
        loudness = magnitudes[bins, bin_of[: bins.size].astype(int)]
        heard = np.interp(at, bins, loudness) * voiced * (hz * harmonic < highest)
        out += heard * np.cos(2 * np.pi * (harmonic * turns + rng.random()))
    out *= 4.0 / frames.size  # of a Hann window
    noise = frames.analyse(rng.standard_normal(clip.size)).numpy().T
    hertz = np.linspace(0, SAMPLE_RATE / 2, magnitudes.shape[1])
    voice = np.interp(bins, np.arange(pitch.hz.size), (pitch.hz > 0).astype(float))[:, None]
    share = 1.0 - voice * np.where(hertz < highest, 1.0 - rng.uniform(0.02, 0.2), 0.3)
    size = np.sqrt((np.hanning(frames.size) ** 2).sum())
    spectra = torch.as_tensor((noise / size * magnitudes * share).T, dtype=torch.complex64)
    return out + frames.synthesise(spectra, clip.size).numpy()
