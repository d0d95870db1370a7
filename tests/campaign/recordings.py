"""Honest recordings of a second in every container and codec that is read, as far as they can be written here."""

import io
from functools import cache

import av
import numpy as np

# (ending, ffmpeg's container, encoder, rate in Hz)
KINDS = [
    *(("wav", "wav", codec, 16_000) for codec in (
        "pcm_s16le", "pcm_u8", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_alaw", "pcm_mulaw",
        "adpcm_ima_wav", "adpcm_ms",
    )),
    ("w64", "w64", "pcm_s16le", 16_000),
    ("flac", "flac", "flac", 16_000),
    ("mp3", "mp3", "libmp3lame", 24_000),
    ("mp2", "mp2", "mp2", 24_000),
    ("ogg", "ogg", "vorbis", 24_000),
    ("opus", "ogg", "libopus", 48_000),
    ("oga", "ogg", "flac", 16_000),
    ("spx", "ogg", "libspeex", 16_000),
    ("aiff", "aiff", "pcm_s16be", 16_000),
    ("caf", "caf", "pcm_s16be", 16_000),
    ("au", "au", "pcm_s16be", 16_000),
    ("m4a", "ipod", "aac", 24_000),
    ("m4a", "ipod", "alac", 16_000),
    ("mp4", "mp4", "aac", 24_000),
    ("mp4", "mp4", "libopus", 48_000),
    ("mov", "mov", "pcm_s16le", 16_000),
    ("3gp", "3gp", "aac", 16_000),
    ("aac", "adts", "aac", 24_000),
    ("ac3", "ac3", "ac3", 32_000),
    ("ac3", "eac3", "eac3", 32_000),
    ("amr", "amr", "libopencore_amrnb", 8_000),
    ("wma", "asf", "wmav2", 16_000),
    ("wv", "wv", "wavpack", 16_000),
    ("webm", "webm", "libopus", 48_000),
    ("webm", "webm", "vorbis", 24_000),
    ("mkv", "matroska", "flac", 16_000),
    ("mka", "matroska", "pcm_s16le", 16_000),
    ("avi", "avi", "libmp3lame", 24_000),
    ("avi", "avi", "pcm_s16le", 16_000),
    ("flv", "flv", "aac", 22_050),
    ("mpg", "mpeg", "mp2", 32_000),
    ("ts", "mpegts", "aac", 24_000),
    ("ts", "mpegts", "mp2", 32_000),
]  # fmt: skip


@cache
def honest(seconds: float = 1.2) -> dict[tuple[str, str, str], bytes]:
    """The content of a file by (ending, container, encoder)."""
    made = {}
    for ending, container, codec, rate in KINDS:
        try:
            made[ending, container, codec] = encode(voice(seconds, rate), container, codec, rate)
        except (av.error.FFmpegError, ValueError):  # this build of ffmpeg lacks the encoder
            continue
    return made


def voice(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    """A buzz in syllables, float32."""
    t = np.arange(round(seconds * rate)) / rate
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * np.cumsum(120 + 20 * np.sin(2 * np.pi * 1.3 * t)) / rate
    buzz = sum(np.sin(k * phase) / k for k in range(1, 12)) * (0.55 + 0.45 * np.sin(2 * np.pi * 3.5 * t))
    return (0.2 * buzz + 1e-3 * rng.standard_normal(len(t))).astype(np.float32)


def encode(samples: np.ndarray, container: str, codec: str, rate: int) -> bytes:
    """A file with these samples: mono, or where the encoder wants it so, the same on two channels."""
    out = io.BytesIO()
    layout = "stereo" if codec == "vorbis" else "mono"
    with av.open(out, "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout=layout)
        stream.codec_context.options = {"strict": "experimental"}
        if codec == "wmav2":
            stream.bit_rate = 32_000
        stream.codec_context.open()
        fit = av.AudioResampler(stream.format, layout, rate, frame_size=stream.codec_context.frame_size or None)
        whole = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        whole.sample_rate = rate
        for frame in (*fit.resample(whole), *fit.resample(None)):
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()
