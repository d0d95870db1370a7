"""One clip through an encoder and back, in memory, without the delay that the two add."""

import io
from functools import cache
from typing import Any

import av
import numpy as np
import soxr

from deepcheck.audio.augment import SAMPLE_RATE
from deepcheck.audio.augment.codec_formats import FORMATS, encoder_of
from deepcheck.audio.augment.filtering import fast_length
from deepcheck.errors import AudioError

# Some decoders drop the first frame and some encoders hold back the last: only silence may be lost to that.
_LEAD_S, _TRAIL_S = 0.1, 0.25


def round_trip(waveform: np.ndarray, name: str, rate_hz: int, kbps: float) -> np.ndarray:
    """`waveform`, (samples,) at 16 kHz, as it sounds after the format `name` at one of its `modes`.

    Same length, aligned to within a sample of the codec's own rate. Peaks above full scale are brought below
    it for the encoder and back afterwards. Raises `AudioError` if ffmpeg fails or returns too little.
    """
    peak = max(float(np.abs(waveform).max(initial=0.0)) / 0.99, 1.0)
    decoded, decoded_hz = _recode(waveform / np.float32(peak), name, rate_hz, kbps)
    # Cut before the rates change: at 16 kHz the delay would be no whole number of samples.
    aligned = _resample(decoded[_delay(name, rate_hz) :], decoded_hz, SAMPLE_RATE)[: waveform.size]
    if aligned.size < waveform.size:
        raise AudioError(f"{name} gave back only {aligned.size} of {waveform.size} samples")
    return aligned * np.float32(peak)


def _recode(waveform: np.ndarray, name: str, rate_hz: int, kbps: float) -> tuple[np.ndarray, int]:
    """What the decoder returns, with the lead and the codec's delay at its beginning, and its sample rate."""
    try:
        file = _encode(_resample(waveform, SAMPLE_RATE, rate_hz), name, rate_hz, kbps)
        return _decode(file, FORMATS[name].container)
    except (av.error.FFmpegError, ValueError, IndexError) as error:
        raise AudioError(f"{name} at {rate_hz} Hz and {kbps:g} kbit/s failed ({error})") from error


def _encode(signal: np.ndarray, name: str, rate_hz: int, kbps: float) -> io.BytesIO:
    spec = FORMATS[name]
    layout = "mono" if spec.channels == 1 else "stereo"
    signal = np.pad(signal, (int(_LEAD_S * rate_hz), int(_TRAIL_S * rate_hz)))
    # PyAV converts one long frame to the encoder's sample format and cuts it to the encoder's frame size.
    frame = av.AudioFrame.from_ndarray(np.tile(signal, (spec.channels, 1)), format="fltp", layout=layout)
    frame.sample_rate = rate_hz
    file = io.BytesIO()
    with av.open(file, "w", format=spec.container) as container:
        stream: Any = container.add_stream(encoder_of(name), rate=rate_hz, layout=layout, options=dict(spec.options))
        stream.bit_rate = round(kbps * 1000)
        stream.codec_context.thread_count = 1  # the loader's workers are the threads
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    return file


def _decode(file: io.BytesIO, container_format: str) -> tuple[np.ndarray, int]:
    to_float = av.AudioResampler(format="fltp")
    blocks = []
    with av.open(file, "r", format=container_format) as container:
        track = container.streams.audio[0]
        track.codec_context.thread_count = 1
        for frame in container.decode(track):
            blocks += [planar.to_ndarray().mean(axis=0) for planar in to_float.resample(frame)]
        return np.concatenate(blocks), track.codec_context.sample_rate


def _resample(signal: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    return signal if from_hz == to_hz else soxr.resample(signal, from_hz, to_hz)


@cache
def _delay(name: str, rate_hz: int) -> int:
    """Samples, at the decoder's rate, by which `_recode` is late.

    Measured once on a probe, not looked up: encoders, containers and decoders each announce, hide or forget
    parts of it, and not in the same way in all versions of ffmpeg.
    """
    probe = _probe()
    decoded, decoded_hz = _recode(probe, name, rate_hz, max(FORMATS[name].modes[rate_hz]))
    probe = _resample(probe, SAMPLE_RATE, decoded_hz)
    size = fast_length(probe.size + decoded.size)
    spectrum = np.fft.rfft(decoded, size) * np.conj(np.fft.rfft(probe, size))
    # Band and weights: speech codecs shift the phase below 300 Hz, and strong harmonics would blur the peak.
    hz = np.fft.rfftfreq(size, 1.0 / decoded_hz)
    spectrum *= ((hz > 400.0) & (hz < 3400.0)) / np.sqrt(np.abs(spectrum) + 1e-9)
    return int(np.argmax(np.fft.irfft(spectrum, size)[: size // 2]))


def _probe() -> np.ndarray:
    """0.6 s of noise bursts at irregular times: every codec keeps where they begin, and no period repeats."""
    rng = np.random.default_rng(0)
    probe = 0.003 * rng.standard_normal(int(0.6 * SAMPLE_RATE))
    for start in np.cumsum(rng.integers(300, 900, 14)):
        probe[start : start + 200] += 0.3 * rng.standard_normal(200) * np.hanning(400)[200:]
    return probe.astype(np.float32)
