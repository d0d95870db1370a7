"""Front ends: waveform (batch, samples) at 16 kHz -> features (batch, 1, bins, frames) in float32."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

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
    },
)


class Frontend(nn.Module):
    """Level-independent features: the waveform is brought to unit RMS, transformed, and standardised.

    `transform` maps (batch, samples) to (batch, bins, frames). `normalise` says over what the features are
    brought to mean 0 and deviation 1: the whole `window`, each frequency `bin` over time (which also takes
    away the colour of microphone and channel), or `none`.
    """

    def __init__(self, transform: Callable[[Tensor], Tensor], bins: int, normalise: str) -> None:
        super().__init__()
        if normalise not in _NORMALISE:
            raise ConfigError(f'There is no normalisation "{normalise}".', f"Choose one of: {', '.join(_NORMALISE)}.")
        self.transform = transform
        self.bins = bins
        self.axes = _NORMALISE[normalise]

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
    try:
        frontend: Frontend = constructor(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f'The front end "{name}" cannot be built: {error}.') from error
    return frontend


_NORMALISE: dict[str, tuple[int, ...]] = {"window": (-2, -1), "bin": (-1,), "none": ()}
_FLOOR = 1e-6  # -60 dB below unit power: the noise floor of codecs and quiet rooms is no evidence


class _Log(nn.Module):
    def forward(self, power: Tensor) -> Tensor:
        return (power + _FLOOR).log()


def mel(*, bins: int = 80, window_ms: float = 25.0, hop_ms: float = 10.0, normalise: str = "window") -> Frontend:
    """Log mel spectrogram: `bins` triangular bands from 20 Hz to 8 kHz."""
    transform = import_torchaudio().transforms.MelSpectrogram(
        SAMPLE_RATE,
        n_fft=_fft_size(window_ms),
        win_length=_samples(window_ms),
        hop_length=_samples(hop_ms),
        f_min=20.0,
        n_mels=bins,
        normalized="window",
    )
    return Frontend(nn.Sequential(transform, _Log()), bins, normalise)


def log_linear(*, window_ms: float = 25.0, hop_ms: float = 10.0, normalise: str = "window") -> Frontend:
    """Log power spectrogram, all bins of the Fourier transform but the mean: 31.25 Hz apart at 25 ms."""
    transform = import_torchaudio().transforms.Spectrogram(
        n_fft=_fft_size(window_ms),
        win_length=_samples(window_ms),
        hop_length=_samples(hop_ms),
        normalized="window",
    )
    return Frontend(nn.Sequential(transform, _DropMean(), _Log()), _fft_size(window_ms) // 2, normalise)


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
        f_min=20.0,
        log_lf=True,
        speckwargs={
            "n_fft": _fft_size(window_ms),
            "win_length": _samples(window_ms),
            "hop_length": _samples(hop_ms),
        },
    )
    return Frontend(transform, bins, normalise)


def _samples(ms: float) -> int:
    return round(SAMPLE_RATE * ms / 1000)


def _fft_size(window_ms: float) -> int:
    return 1 << (_samples(window_ms) - 1).bit_length()
