"""Copies by Griffin and Lim (1984, with the momentum of 2013): magnitudes are kept, phases are guessed again."""

import numpy as np
import torch
from spectra import Frames, from_bank, mel_bank

from deepcheck.audio.decode import SAMPLE_RATE, Waveform


def mel(clip: Waveform, rng: np.random.Generator) -> np.ndarray:
    """From 40 to 100 mel bands, as a text-to-speech system without a vocoder does it."""
    frames = Frames.draw(rng)
    bank = mel_bank(
        int(rng.integers(40, 101)), frames.size, float(rng.uniform(0, 80)), float(rng.uniform(7400, SAMPLE_RATE / 2))
    )
    bands = _smeared(bank @ frames.analyse(clip).abs(), rng)
    magnitudes = from_bank(bank, bands, rounds=int(rng.choice((0, 8, 20))))
    return _invert(magnitudes, frames, clip.size, rng)


def linear(clip: Waveform, rng: np.random.Generator) -> np.ndarray:
    """From the magnitudes as they are."""
    frames = Frames.draw(rng)
    return _invert(frames.analyse(clip).abs(), frames, clip.size, rng)


def _smeared(bands: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """In a third of the clips the bands are blurred in time, as an acoustic model's averages are."""
    if rng.random() > 1 / 3:
        return bands
    width = int(rng.choice((3, 5)))
    kernel = torch.hann_window(width + 2)[1:-1]
    log = torch.log(bands.clamp(min=1e-6))[:, None]
    log = torch.nn.functional.pad(log, (width // 2, width // 2), mode="replicate")
    return torch.nn.functional.conv1d(log, (kernel / kernel.sum())[None, None]).exp()[:, 0]


def _invert(magnitudes: torch.Tensor, frames: Frames, length: int, rng: np.random.Generator) -> np.ndarray:
    momentum, rounds = float(rng.choice((0.0, rng.uniform(0.2, 0.99)))), int(rng.integers(8, 61))
    noise = torch.as_tensor(rng.uniform(-np.pi, np.pi, tuple(magnitudes.shape)), dtype=torch.float32)
    phases = torch.polar(torch.ones_like(noise), noise)
    before = torch.zeros_like(phases)
    for _ in range(rounds):
        found = frames.analyse(frames.synthesise(magnitudes * phases, length).numpy())
        ahead = found - momentum / (1.0 + momentum) * before
        before = found
        phases = ahead / ahead.abs().clamp(min=1e-12)
    return frames.synthesise(magnitudes * phases, length).numpy()
