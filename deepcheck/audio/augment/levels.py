"""Levels of signals: decibels, root mean square, and the power of speech while somebody speaks."""

import numpy as np

_FRAME = 320  # 20 ms at 16 kHz
_ACTIVE_DB = -30.0


def amplitude(db: float) -> float:
    """The factor on amplitudes that `db` decibels stand for."""
    return float(10.0 ** (db / 20.0))


def power(signal: np.ndarray) -> float:
    """Mean square of `signal`; 0 if it is empty."""
    return float(np.mean(np.square(signal, dtype=np.float64))) if signal.size else 0.0


def rms(signal: np.ndarray) -> float:
    """Root mean square of `signal`; 0 if it is empty."""
    return float(np.sqrt(power(signal)))


def active_power(waveform: np.ndarray) -> float:
    """Mean power of the 20 ms frames that are at most 30 dB below the loudest one.

    The idea of ITU-T P.56: pauses must not count, or the same signal-to-noise ratio would mean more noise
    in a clip that is full of speech than in one that is half silent.
    """
    frames = waveform[: waveform.size // _FRAME * _FRAME].reshape(-1, _FRAME)
    if not frames.size:
        return power(waveform)
    powers = np.mean(np.square(frames, dtype=np.float64), axis=1)
    return float(powers[powers >= powers.max() * 10.0 ** (_ACTIVE_DB / 10.0)].mean())


def frame_rms(waveform: np.ndarray, frame: int) -> np.ndarray:
    """Root mean square of each `frame` samples; a rest shorter than a frame is left out."""
    frames = waveform[: waveform.size // frame * frame].reshape(-1, frame)
    levels: np.ndarray = np.sqrt(np.mean(np.square(frames, dtype=np.float64), axis=1))
    return levels


def at_rms(signal: np.ndarray, target: float) -> np.ndarray:
    """`signal` scaled to a root mean square of `target`, as float32; silence stays silence."""
    level = rms(signal)
    return (signal * (target / level if level > 0.0 else 0.0)).astype(np.float32)
