"""Copies by a neural vocoder that the user has: a HiFi-GAN generator in the format of transformers' SpeechT5HifiGan."""

from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from copies import Method

from deepcheck.audio.decode import SAMPLE_RATE, Waveform
from deepcheck.audio.torchaudio_import import import_torchaudio
from deepcheck.errors import ConfigError


def hifigan(place: Path) -> Method:
    """A row for the table of copies; `place` is the folder of config.json and the weights, or a file in it."""
    folder = place if place.is_dir() else place.parent
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"There is no config.json in {folder}.",
            "Name the folder of a vocoder that was saved by transformers (SpeechT5HifiGan.save_pretrained).",
        )
    return Method("hifigan", "hifigan", 30, lambda clip, rng: _copy(folder, clip, rng), "that of the vocoder's weights")


@cache
def _load(folder: Path) -> Any:
    import_torchaudio()
    from transformers import SpeechT5HifiGan

    try:
        return SpeechT5HifiGan.from_pretrained(folder, local_files_only=True).eval()
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"The vocoder in {folder} cannot be loaded: {error}") from error


def _copy(folder: Path, clip: Waveform, rng: np.random.Generator) -> np.ndarray:
    model = _load(folder)
    rate, hop = int(model.config.sampling_rate), prod(model.config.upsample_rates)
    late = int(rng.integers(hop))  # so that the frames of no two copies fall on the same places of their clips
    sound = np.pad(soxr.resample(clip, SAMPLE_RATE, rate), (late, 2 * hop))
    with torch.inference_mode():
        made = model(torch.as_tensor(_bands(sound, rate, hop, int(model.config.model_in_dim)))).numpy()
    return np.asarray(soxr.resample(made.reshape(-1)[late:].astype(np.float32), rate, SAMPLE_RATE))


def _bands(sound: np.ndarray, rate: int, hop: int, bands: int) -> np.ndarray:
    """The features that SpeechT5's vocoders are trained on: log mel, 80 to 7600 Hz, windows of four hops."""
    from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

    filters = mel_filter_bank(2 * hop + 1, bands, 80.0, min(7600.0, rate / 2), rate, norm="slaney", mel_scale="slaney")
    found = spectrogram(
        sound.astype(np.float64),
        window_function(4 * hop, "hann"),
        frame_length=4 * hop,
        hop_length=hop,
        fft_length=4 * hop,
        power=1.0,
        mel_filters=filters,
        mel_floor=1e-10,
        log_mel="log10",
    )
    return np.ascontiguousarray(found.T, dtype=np.float32)
