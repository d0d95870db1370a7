"""Copies by WORLD (Morise et al., 2016): pitch, spectral envelope, aperiodicity, and a waveform anew from these."""

from collections.abc import Callable
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import Any

import numpy as np

from deepcheck.audio.decode import SAMPLE_RATE, Waveform
from deepcheck.errors import ConfigError

_Change = Callable[[Any, np.ndarray, np.random.Generator], np.ndarray]


def missing() -> str:
    """Why there is no WORLD here, and what to do about it; empty if there is."""
    return "" if find_spec("pyworld") else "WORLD needs the package pyworld: pip install pyworld"


def plain(clip: Waveform, rng: np.random.Generator) -> np.ndarray:
    """As it comes."""
    return _copy(clip, rng)


def smooth(clip: Waveform, rng: np.random.Generator) -> np.ndarray:
    """With an envelope of 18 to 60 mel-cepstral coefficients, as a statistical parametric synthesiser predicts it."""
    return _copy(clip, rng, envelope=_mel_cepstral)


def coded(clip: Waveform, rng: np.random.Generator) -> np.ndarray:
    """With an aperiodicity of few bands (one, at 16 kHz), and in half of the clips the smooth envelope too."""
    return _copy(clip, rng, _mel_cepstral if rng.random() < 0.5 else _as_is, _band_aperiodicity)


def _as_is(world: Any, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return values


def _mel_cepstral(world: Any, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = 2 * (values.shape[1] - 1)
    coefficients = world.code_spectral_envelope(values, SAMPLE_RATE, int(rng.integers(18, 61)))
    found: np.ndarray = world.decode_spectral_envelope(coefficients, SAMPLE_RATE, size)
    return found


def _band_aperiodicity(world: Any, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = 2 * (values.shape[1] - 1)
    found: np.ndarray = world.decode_aperiodicity(world.code_aperiodicity(values, SAMPLE_RATE), SAMPLE_RATE, size)
    return found


def _copy(
    clip: Waveform, rng: np.random.Generator, envelope: _Change = _as_is, aperiodicity: _Change = _as_is
) -> np.ndarray:
    world = _load()
    sound = np.ascontiguousarray(clip, dtype=np.float64)
    period_ms = float(rng.choice((2.5, 4.0, 5.0, 5.0, 8.0, 10.0)))
    floor, ceiling = float(rng.uniform(50, 75)), float(rng.uniform(450, 800))
    pitch, times = world.dio(sound, SAMPLE_RATE, f0_floor=floor, f0_ceil=ceiling, frame_period=period_ms)
    if rng.random() < 0.8:
        pitch = world.stonemask(sound, pitch, times, SAMPLE_RATE)
    spectrum = envelope(world, world.cheaptrick(sound, pitch, times, SAMPLE_RATE), rng)
    noisiness = aperiodicity(world, world.d4c(sound, pitch, times, SAMPLE_RATE), rng)
    if rng.random() < 1 / 3:
        pitch = pitch * 2.0 ** (rng.uniform(-3, 3) / 12)
    if rng.random() < 1 / 6:
        pitch = _smoothed(pitch, int(rng.integers(3, 12)))
    found: np.ndarray = world.synthesize(pitch, spectrum, noisiness, SAMPLE_RATE, period_ms)
    return found


def _smoothed(pitch: np.ndarray, width: int) -> np.ndarray:
    """Voiced pitch averaged over `width` frames, as a model that predicts it makes it."""
    window, voiced = np.ones(width), (pitch > 0).astype(np.float64)
    mean = np.convolve(pitch, window, "same") / np.maximum(np.convolve(voiced, window, "same"), 1.0)
    return np.where(pitch > 0, mean[: pitch.size], 0.0)


@cache
def _load() -> Any:
    """The compiled half of pyworld; the other half asks for setuptools, which newer environments lack."""
    package = find_spec("pyworld")
    if package is None:
        raise ConfigError("WORLD needs the package pyworld.", "pip install pyworld")
    spec = PathFinder.find_spec("pyworld.pyworld", package.submodule_search_locations)
    if spec is None or spec.loader is None:
        raise ConfigError("The installed package pyworld is not whole.", "pip install --force-reinstall pyworld")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
