"""Clips in and out: what a synthetic copy has to share with its original so that nothing but the synthesis differs."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile
from numpy.lib.stride_tricks import sliding_window_view

from deepcheck.audio.augment.levels import rms
from deepcheck.audio.decode import SAMPLE_RATE, Waveform, read
from deepcheck.errors import AudioError
from deepcheck.files import replacing

# How a file of each kind is written. 44 kbit/s of the 6 to 256 that libsndfile's compression level spans.
FORMATS: dict[str, dict[str, Any]] = {
    "flac": {"format": "FLAC", "subtype": "PCM_16"},
    "opus": {"format": "OGG", "subtype": "OPUS", "compression_level": (256 - 44) / (256 - 6)},
}
PEAK = 0.99
_MOST_DB = 1.0  # by so much a copy may be softer than its original where a limiter does not suffice
_LIMITER = SAMPLE_RATE // 250  # samples to each side of a peak
_ROUNDS = 6
_MOST_GAIN = 10.0  # on amplitudes, against what a codec takes
_STILL = 2.0 / 32768  # digital silence, but for what a lossy codec makes of it
_STILL_RUN = SAMPLE_RATE // 100


def format_of(path: Path, wanted: str) -> str:
    """The ending of the copy of `path`: as `wanted`, or with "same" a lossy one for a lossy original."""
    if wanted != "same":
        return wanted
    return "flac" if path.suffix.lower() in {".flac", ".wav", ".aiff", ".aif", ".w64"} else "opus"


def settle(copy: np.ndarray, original: Waveform) -> Waveform:
    """`copy` with the length and the level of `original`, and silent where that is digitally silent.

    `AudioError` if it is no sound, or if its peaks would have to be clipped.
    """
    if not np.isfinite(copy).all() or not copy.size:
        raise AudioError("the synthesis gave no sound")
    missing = max(0, original.size - copy.size)
    if missing > SAMPLE_RATE // 20:
        raise AudioError(f"the synthesis is {missing / SAMPLE_RATE:.2f} s shorter than the clip")
    copy = np.pad(copy.astype(np.float64), (0, missing), mode="reflect" if copy.size > missing else "edge")
    copy = copy[: original.size]
    level, target = rms(copy), rms(original)
    if level < 1e-6 or target < 1e-6:
        raise AudioError("the clip or its copy is silent")
    copy = _with_lows(copy * (target / level), original)
    copy *= target / rms(copy)
    still = _still(original)
    copy[still] = original[still]
    return below_full_scale(copy)


def _with_lows(copy: np.ndarray, original: Waveform) -> np.ndarray:
    """Below 60 Hz, where nobody speaks, the original's rumble: that a synthesis has none would be too easy to learn."""
    hz = np.fft.rfftfreq(copy.size, 1 / SAMPLE_RATE)
    share = 1.0 / (1.0 + (hz / 60.0) ** 12)
    mixed: np.ndarray = np.fft.irfft(np.fft.rfft(copy) * (1 - share) + np.fft.rfft(original) * share, copy.size)
    return mixed


def _still(waveform: Waveform) -> np.ndarray:
    """Where at least 10 ms on end are digital silence."""
    quiet = (np.abs(waveform) < _STILL).astype(np.float64)
    if quiet.size < _STILL_RUN:
        return np.zeros(quiet.size, bool)
    window = np.ones(_STILL_RUN)
    full = np.convolve(quiet, window, "valid") >= _STILL_RUN - 0.5  # runs, by where they begin
    return np.convolve(full.astype(np.float64), window) > 0.5


def below_full_scale(copy: np.ndarray) -> Waveform:
    """`copy` with peaks below full scale: they are turned down smoothly, as a limiter does, and the rest up for it.

    So a loud clip's copy is as loud. `AudioError` if that is not to be had.
    """
    target = rms(copy)
    for _ in range(_ROUNDS):
        excess = np.maximum(np.abs(copy) / PEAK, 1.0)
        if excess.max() <= 1.0:
            break
        held = sliding_window_view(np.pad(excess, _LIMITER, mode="edge"), 2 * _LIMITER + 1).max(1)
        window = np.hanning(2 * _LIMITER + 3)[1:-1]
        # A mean of values of which each covers the sample in the middle: never less than that one needs.
        copy = copy / np.convolve(np.pad(held, _LIMITER, mode="edge"), window / window.sum(), "valid")
        copy *= min(target / rms(copy), 10.0 ** (0.5 / 20.0))
    copy = copy / max(1.0, float(np.abs(copy).max()) / PEAK)
    if rms(copy) < target * 10.0 ** (-_MOST_DB / 20.0):
        raise AudioError("its peaks would be clipped at the level of the clip")
    return copy.astype(np.float32)


def save(path: Path, waveform: np.ndarray, again: bool = False) -> None:
    """Write `path`, flac or opus by its ending, at 16 kHz; it is there when it is whole.

    With `again` the sound has been through that codec before: what Opus takes from the highest octave is made up for,
    or else each copy would have lost it twice, and its original once.
    """
    if again and path.suffix == ".opus":
        waveform = _against_roll_off(waveform)
    with replacing(path) as place:
        _encode(place, waveform, path.suffix)


def _encode(place: Path, waveform: np.ndarray, suffix: str) -> None:
    soundfile.write(place, waveform, SAMPLE_RATE, **FORMATS[suffix[1:]])


def _against_roll_off(waveform: np.ndarray) -> np.ndarray:
    with TemporaryDirectory() as folder:
        place = Path(folder) / "once.opus"
        _encode(place, waveform, place.suffix)
        once = read(place)[: waveform.size]
    before = np.fft.rfft(waveform)
    hz = np.fft.rfftfreq(waveform.size, 1 / SAMPLE_RATE)
    width = max(3, round(80.0 / hz[1]) | 1)
    lost = np.sqrt(
        _smooth(np.abs(before) ** 2, width) / (_smooth(np.abs(np.fft.rfft(once, waveform.size)) ** 2, width))
    )
    gain = np.where(hz > 5000.0, np.clip(lost, 1.0, _MOST_GAIN), 1.0)
    raised = np.where(waveform == 0.0, 0.0, np.fft.irfft(before * gain, waveform.size))
    return (raised / max(1.0, float(np.abs(raised).max()) / PEAK)).astype(np.float32)


def _smooth(power: np.ndarray, width: int) -> np.ndarray:
    return np.convolve(np.pad(power, width // 2, mode="edge"), np.full(width, 1.0 / width), "valid") + 1e-20
