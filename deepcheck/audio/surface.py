"""The surface of a recording: numbers that say nothing of a voice, and by which a test set may yet be solved.

The length of the silence before the first word alone separates the classes of ASVspoof 2019 with an EER of
15 % (Müller et al. 2021, arXiv:2106.12914).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deepcheck.audio.augment.levels import active_power, frame_rms, rms
from deepcheck.audio.decode import SAMPLE_RATE, Waveform

SILENCE_DB = -40.0  # relative to the loudest 10 ms; below is silence
_SILENCE_FRAME = 160  # 10 ms
_FLOOR_FRAME = 320  # 20 ms
_SPECTRUM_FRAME = 512  # 32 ms, bins 31.25 Hz apart
_MOST_FRAMES = 2000  # 64 s, spread over a longer recording
_BAND_DB = -65.0  # relative to the strongest bin; speech at 7 kHz keeps above, resamplers and encoders fall below
_ROLLOFF = 0.995
_HALF_STEP = 2.0**-16  # of 16 bits
_ZERO_RUN = 32  # 2 ms; single zeros are crossings of the axis
_LOWEST_DB = -120.0  # what digital silence has for a level


@dataclass(frozen=True)
class Surface:
    """What `measure` finds. Levels are in dB below full scale, at least -120.

    `leading_silence_s`, `trailing_silence_s`: up to the first, and from the last 10 ms that is at most 40 dB
    below the loudest 10 ms; `silence_share` of the recording is below, 0 to 1. In a recording without any
    sound all three are the whole of it.
    `level_db`: root mean square; `peak_db`: the largest sample.
    `bandwidth_hz`: the highest frequency at which the long-term spectrum is within 65 dB of its maximum, what
    a resampler or an encoder left; `rolloff_hz`: that below which 99.5 % of the power lies once the spectrum
    of the quietest tenth is taken off. Both are 0 without any sound.
    `digital_zero_share`: in stretches of 2 ms and more that stay below half a step of 16 bits, 0 to 1.
    `noise_floor_db`: the level that a tenth of all 20 ms frames stay below; `snr_db`: the level while
    somebody speaks (`levels.active_power`) above that floor.
    `offset_db`: the level of the mean, the constant part.
    """

    duration_s: float
    leading_silence_s: float
    trailing_silence_s: float
    silence_share: float
    level_db: float
    peak_db: float
    bandwidth_hz: float
    rolloff_hz: float
    digital_zero_share: float
    noise_floor_db: float
    snr_db: float
    offset_db: float


FAMILIES: Mapping[str, tuple[str, ...]] = {
    "duration": ("duration_s",),
    "silence": ("leading_silence_s", "trailing_silence_s", "silence_share"),
    "level": ("level_db", "peak_db"),
    "band": ("bandwidth_hz", "rolloff_hz"),
    "zeros": ("digital_zero_share",),
    "noise floor": ("noise_floor_db", "snr_db"),
    "offset": ("offset_db",),
}
"""The fields of `Surface` by what they have in common."""


def measure(waveform: Waveform) -> Surface:
    """The surface of `waveform`, float32 (samples,) at 16 kHz, at least one sample; every number is finite."""
    silent = _silent_frames(waveform)
    leading, trailing = _silence_s(waveform), _silence_s(waveform[::-1])
    floor_db = _db(float(np.quantile(_frame_levels(waveform, _FLOOR_FRAME), 0.1)))
    bandwidth_hz, rolloff_hz = _band(waveform)
    return Surface(
        duration_s=waveform.size / SAMPLE_RATE,
        leading_silence_s=leading,
        trailing_silence_s=trailing,
        silence_share=float(silent.mean()),
        level_db=_db(rms(waveform)),
        peak_db=_db(float(np.abs(waveform).max())),
        bandwidth_hz=bandwidth_hz,
        rolloff_hz=rolloff_hz,
        digital_zero_share=_digital_zero_share(waveform),
        noise_floor_db=floor_db,
        snr_db=_db(float(np.sqrt(active_power(waveform)))) - floor_db,
        offset_db=_db(abs(float(np.mean(waveform, dtype=np.float64)))),
    )


def _db(amplitude: float) -> float:
    return max(20.0 * float(np.log10(max(amplitude, 1e-30))), _LOWEST_DB)


def _frame_levels(waveform: Waveform, frame: int) -> np.ndarray:
    """(frames,) of at least one, however short the waveform."""
    return frame_rms(waveform, min(frame, waveform.size))


def _silent_frames(waveform: Waveform) -> np.ndarray:
    levels = _frame_levels(waveform, _SILENCE_FRAME)
    silent: np.ndarray = levels <= levels.max() * 10.0 ** (SILENCE_DB / 20.0)
    return silent


def _silence_s(waveform: Waveform) -> float:
    silent = _silent_frames(waveform)
    samples = waveform.size if silent.all() else int(silent.argmin()) * _SILENCE_FRAME
    return samples / SAMPLE_RATE


def _band(waveform: Waveform) -> tuple[float, float]:
    """(bandwidth_hz, rolloff_hz)"""
    padded = np.pad(waveform, (0, max(_SPECTRUM_FRAME - waveform.size, 0)))
    frames = padded[: padded.size // _SPECTRUM_FRAME * _SPECTRUM_FRAME].reshape(-1, _SPECTRUM_FRAME)
    frames = frames[:: -(-len(frames) // _MOST_FRAMES)].astype(np.float64)
    powers = np.abs(np.fft.rfft(frames * np.blackman(_SPECTRUM_FRAME))) ** 2
    power = powers.mean(axis=0)
    if not power.max() > 0.0:
        return 0.0, 0.0
    hz = np.fft.rfftfreq(_SPECTRUM_FRAME, 1.0 / SAMPLE_RATE)
    bandwidth_hz = hz[np.flatnonzero(power >= power.max() * 10.0 ** (_BAND_DB / 10.0))[-1]]
    # Of a recording of equal loudness, or of a single frame, nothing would be left: there the floor is the signal.
    quietest = powers[np.argsort(powers.sum(axis=1), kind="stable")[: len(powers) // 10]]
    floor = quietest.mean(axis=0) if len(quietest) else np.zeros_like(power)
    above = np.cumsum(np.maximum(power - floor, 0.01 * power))
    return float(bandwidth_hz), float(hz[np.argmax(above >= _ROLLOFF * above[-1])])


def _digital_zero_share(waveform: Waveform) -> float:
    quiet = np.abs(waveform) < _HALF_STEP
    edges = np.flatnonzero(np.diff(np.concatenate(([False], quiet, [False])).astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    return float(runs[runs >= _ZERO_RUN].sum() / waveform.size)
