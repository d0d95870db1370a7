"""Front ends: waveform (batch, samples) at 16 kHz -> features (batch, 1, bins, frames) in float32."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepcheck.audio.constant_q import ConstantQ
from deepcheck.audio.decode import SAMPLE_RATE
from deepcheck.audio.torchaudio_import import import_torchaudio
from deepcheck.errors import ConfigError
from deepcheck.registry import Registry

FRONTENDS = Registry(
    "front end",
    {
        "mel": "deepcheck.audio.frontend:mel",
        "log-linear": "deepcheck.audio.frontend:log_linear",
        "lfcc": "deepcheck.audio.frontend:lfcc",
        "cqt": "deepcheck.audio.frontend:cqt",
    },
)


class Frontend(nn.Module):
    """Level-independent features: the waveform is brought to unit RMS, transformed, and standardised.

    `transform` maps (batch, samples) to (batch, bins, frames). `normalise` says over what the features are
    brought to mean 0 and deviation 1: the whole `window`, each frequency `bin` over time (which also takes
    away the colour of microphone and channel), or `none`. `frequencies_hz` are the centres of the bins, (bins,);
    None where a bin is no band of frequencies.
    """

    def __init__(
        self,
        transform: Callable[[Tensor], Tensor],
        bins: int,
        normalise: str,
        frequencies_hz: NDArray[np.float32] | None = None,
    ) -> None:
        super().__init__()
        if normalise not in _NORMALISE:
            raise ConfigError(f'There is no normalisation "{normalise}".', f"Choose one of: {', '.join(_NORMALISE)}.")
        self.transform = transform
        self.bins = bins
        self.axes = _NORMALISE[normalise]
        self.frequencies_hz = frequencies_hz

    def forward(self, waveform: Tensor) -> Tensor:
        # A spectrogram spans more decades than bfloat16 resolves: always float32, whatever surrounds it.
        with torch.autocast(waveform.device.type, enabled=False):
            waveform = waveform.float()
            rms = waveform.square().mean(-1, keepdim=True).sqrt()
            features = self.transform(waveform / rms.clamp_min(1e-6))
            if self.axes:
                mean = features.mean(self.axes, keepdim=True)
                deviation = features.std(self.axes, keepdim=True)
                features = (features - mean) / deviation.clamp_min(1e-5)
            return features.unsqueeze(1)


def build_frontend(settings: Mapping[str, Any]) -> Frontend:
    """The front end called `settings["name"]` (mel without one) with the rest; `ConfigError` where they do not fit."""
    arguments = dict(settings)
    name = arguments.pop("name", "mel")
    constructor = FRONTENDS.resolve(name)
    for setting, (least, most) in _SENSIBLE.items():
        value = arguments.get(setting)
        if isinstance(value, int | float) and not least <= value <= most:
            raise ConfigError(f'"{setting}" of the front end "{name}" is {value:g}.', f"Give {least:g} to {most:g}.")
    try:
        frontend: Frontend = constructor(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f'The front end "{name}" cannot be built: {error}.') from error
    return frontend


# A model's file, which may come from a stranger, must not fill the memory with a bank of filters or of frames.
_SENSIBLE = {
    "bins": (1, 1024),
    "filters": (1, 1024),
    "bins_per_octave": (1, 96),
    "window_ms": (1, 1000),
    "hop_ms": (1, 1000),
    "lowest_hz": (1, 8000),
}
_NORMALISE: dict[str, tuple[int, ...]] = {"window": (-2, -1), "bin": (-1,), "none": ()}
_LOWEST_HZ = 20.0
_FLOOR = 1e-6  # -60 dB below unit power: the noise floor of codecs and quiet rooms is no evidence


class _Log(nn.Module):
    def forward(self, power: Tensor) -> Tensor:
        return (power + _FLOOR).log()


def require_frames(settings: Mapping[str, Any], count: int, window_s: float) -> None:
    """`ConfigError` unless a window has `count` frames of the front end of these settings."""
    if count * settings.get("hop_ms", 10.0) > 1000 * window_s:
        raise ConfigError(
            f"A window of {window_s:g} s has fewer than {count} frames.",
            "Give a longer one, or a smaller hop_ms or stack.",
        )


def stacked(features: Tensor, count: int) -> Tensor:
    """(batch, 1, bins, frames) -> (batch, frames // count, bins * count): so many frames a step, the rest left out."""
    x = features.squeeze(1).transpose(1, 2)
    batch, frames, bins = x.shape
    return x[:, : frames // count * count].reshape(batch, -1, bins * count)


def mel(*, bins: int = 80, window_ms: float = 25.0, hop_ms: float = 10.0, normalise: str = "window") -> Frontend:
    """Log mel spectrogram: `bins` triangular bands from 20 Hz to 8 kHz."""
    transform = import_torchaudio().transforms.MelSpectrogram(
        SAMPLE_RATE,
        n_fft=_fft_size(window_ms),
        win_length=_samples(window_ms),
        hop_length=_samples(hop_ms),
        f_min=_LOWEST_HZ,
        n_mels=bins,
        normalized="window",
    )
    return Frontend(nn.Sequential(transform, _Log()), bins, normalise, _mel_centres(bins))


def _mel_centres(bins: int) -> NDArray[np.float32]:
    """In Hz. Triangles touch on the scale of mels that torchaudio calls htk: 2595 log10(1 + f / 700)."""
    lowest, highest = (2595 * math.log10(1 + f / 700) for f in (_LOWEST_HZ, SAMPLE_RATE / 2))
    centres = np.linspace(lowest, highest, bins + 2)[1:-1]
    return (700 * (10 ** (centres / 2595) - 1)).astype(np.float32)


def log_linear(*, window_ms: float = 25.0, hop_ms: float = 10.0, normalise: str = "window") -> Frontend:
    """Log power spectrogram, all bins of the Fourier transform but the mean: 31.25 Hz apart at 25 ms."""
    transform = import_torchaudio().transforms.Spectrogram(
        n_fft=_fft_size(window_ms),
        win_length=_samples(window_ms),
        hop_length=_samples(hop_ms),
        normalized="window",
    )
    size = _fft_size(window_ms)
    centres = (np.arange(1, size // 2 + 1) * SAMPLE_RATE / size).astype(np.float32)
    return Frontend(nn.Sequential(transform, _DropMean(), _Log()), size // 2, normalise, centres)


class _DropMean(nn.Module):
    def forward(self, spectrogram: Tensor) -> Tensor:
        return spectrogram[:, 1:]


def lfcc(
    *,
    bins: int = 60,
    filters: int = 128,
    window_ms: float = 25.0,
    hop_ms: float = 10.0,
    normalise: str = "bin",
) -> Frontend:
    """Linear-frequency cepstral coefficients: `bins` DCT coefficients of `filters` linear bands, in log power."""
    if bins > filters:
        raise ValueError(f"{bins} coefficients cannot come from {filters} filters")
    transform = import_torchaudio().transforms.LFCC(
        SAMPLE_RATE,
        n_filter=filters,
        n_lfcc=bins,
        f_min=_LOWEST_HZ,
        log_lf=True,
        speckwargs={
            "n_fft": _fft_size(window_ms),
            "win_length": _samples(window_ms),
            "hop_length": _samples(hop_ms),
        },
    )
    return Frontend(transform, bins, normalise)


def cqt(
    *,
    bins: int = 96,
    bins_per_octave: int = 12,
    lowest_hz: float | None = None,
    hop_ms: float = 10.0,
    normalise: str = "window",
) -> Frontend:
    """Log constant-Q spectrogram, windows no longer than 128 ms: `bins` bands, a semitone apart, up to 7.6 kHz.

    Without `lowest_hz` fewer bins begin higher: 96 at 31 Hz, 80 at 79 Hz.
    """
    transform = ConstantQ(bins=bins, bins_per_octave=bins_per_octave, lowest_hz=lowest_hz, hop=_samples(hop_ms))
    return Frontend(nn.Sequential(transform, _Log()), bins, normalise, transform.frequencies_hz)


def _samples(ms: float) -> int:
    return round(SAMPLE_RATE * ms / 1000)


def _fft_size(window_ms: float) -> int:
    return 1 << (_samples(window_ms) - 1).bit_length()
