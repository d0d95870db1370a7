"""Short-time spectra and mel bands, with shapes that are drawn per clip."""

from dataclasses import dataclass

import numpy as np
import torch

from deepcheck.audio.decode import SAMPLE_RATE


@dataclass(frozen=True)
class Frames:
    """A short-time Fourier transform of `size` points every `hop` samples; spectra are (bins, frames)."""

    size: int
    hop: int

    @classmethod
    def draw(cls, rng: np.random.Generator, sizes: tuple[int, ...] = (512, 640, 800, 1024, 1200, 2048)) -> "Frames":
        """A size, and a hop of a quarter to an eighth of it (of a long one: more often an eighth)."""
        size = int(rng.choice(sizes))
        return cls(size, size // int(rng.choice((4, 5, 8))))

    def analyse(self, waveform: np.ndarray) -> torch.Tensor:
        """The complex spectra of `waveform`."""
        signal = torch.as_tensor(waveform, dtype=torch.float32)
        # Mirrored at both ends, which torch refuses for a clip that is shorter than the window.
        mode = "reflect" if signal.numel() > self.size // 2 else "constant"
        return torch.stft(
            signal, self.size, self.hop, window=torch.hann_window(self.size), pad_mode=mode, return_complex=True
        )

    def synthesise(self, spectra: torch.Tensor, length: int) -> torch.Tensor:
        """The waveform, `length` samples, whose spectra come closest."""
        return torch.istft(spectra, self.size, self.hop, window=torch.hann_window(self.size), length=length)


def mel_bank(bands: int, size: int, low_hz: float, high_hz: float) -> torch.Tensor:
    """Triangular filters (bands, bins), equally far apart on the mel scale, each of height 1."""
    hz = torch.linspace(0.0, SAMPLE_RATE / 2, size // 2 + 1)
    mel = 2595.0 * torch.log10(1.0 + torch.tensor([low_hz, high_hz]) / 700.0)
    edges = 700.0 * (10.0 ** (torch.linspace(float(mel[0]), float(mel[1]), bands + 2) / 2595.0) - 1.0)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bank = torch.minimum((hz - left) / (centre - left), (right - hz) / (right - centre)).clamp(min=0.0)
    empty = bank.sum(1) == 0  # a band between two bins takes the nearer one
    nearest = (hz[None, :] - centre).abs().argmin(1)
    bank[empty, nearest[empty]] = 1.0
    return bank


def from_bank(bank: torch.Tensor, bands: torch.Tensor, rounds: int) -> torch.Tensor:
    """Magnitudes (bins, frames) whose `bank` values are about `bands`: the pseudo-inverse, then refined `rounds` times.

    The refinement is multiplicative, so that nothing falls below zero; without it there are holes.
    """
    found = (torch.linalg.pinv(bank) @ bands).clamp(min=0.0)
    if not rounds:
        return found
    found = found.clamp(min=1e-5 * float(bands.max()))
    covered = bank.sum(0)[:, None].clamp(min=1e-3)
    for _ in range(rounds):
        ratio = bands / (bank @ found).clamp(min=1e-9)
        found = found * (bank.T @ ratio) / covered
    return found
