"""The lossy formats that speech travels in, and which of them this machine's ffmpeg libraries can write."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import av


@dataclass(frozen=True)
class CodecFormat:
    """How to write and read one format.

    `encoders` are ffmpeg's names, the first one present is taken; `modes` maps each sample rate in Hz to
    its bit rates in kbit/s; `channels` is 2 where the encoder knows no mono.
    """

    encoders: tuple[str, ...]
    decoder: str
    container: str
    modes: Mapping[int, tuple[float, ...]]
    options: Mapping[str, str] = field(default_factory=dict)
    channels: int = 1


_G711 = {8000: (64.0,)}
_AMR = {8000: (4.75, 5.15, 5.9, 6.7, 7.4, 7.95, 10.2, 12.2)}

# The options trade a little quality for half the time: `compression_level` of libopus (0-10, 10 unless told)
# and of LAME (9-0, 5 unless told), `aac_coder` instead of the two-loop search.
FORMATS: dict[str, CodecFormat] = {
    "opus": CodecFormat(
        ("libopus",),
        "opus",
        "ogg",
        {8000: (8, 12), 16000: (12, 16, 24), 48000: (24, 32, 64)},
        {"compression_level": "3"},
    ),
    "mp3": CodecFormat(
        ("libmp3lame",),
        "mp3",
        "mp3",
        {16000: (16, 24, 32, 48), 22050: (32, 48, 64), 44100: (64, 96, 128)},
        {"compression_level": "7"},
    ),
    "aac": CodecFormat(
        ("aac",),
        "aac",
        "adts",
        {16000: (16, 24, 32), 22050: (24, 32, 48), 44100: (48, 64, 96, 128)},
        {"aac_coder": "fast"},
    ),
    "amr-nb": CodecFormat(("libopencore_amrnb",), "amrnb", "amr", _AMR),
    "g722": CodecFormat(("g722",), "g722", "g722", {16000: (64,)}),
    "g711-alaw": CodecFormat(("pcm_alaw",), "pcm_alaw", "wav", _G711),
    "g711-ulaw": CodecFormat(("pcm_mulaw",), "pcm_mulaw", "wav", _G711),
    "g726": CodecFormat(("g726",), "g726", "wav", {8000: (16, 24, 32, 40)}),
    "gsm": CodecFormat(("libgsm",), "gsm", "gsm", {8000: (13,)}),
    "sbc": CodecFormat(("sbc",), "sbc", "sbc", {16000: (32, 64)}),
    # ffmpeg's own Vorbis encoder is marked experimental, writes stereo only and sets its own bit rate.
    "vorbis": CodecFormat(
        ("libvorbis", "vorbis"),
        "vorbis",
        "ogg",
        {16000: (48,)},
        {"strict": "experimental"},
        channels=2,
    ),
    "ac3": CodecFormat(("ac3",), "ac3", "ac3", {32000: (48, 64), 48000: (64, 96)}),
    "mp2": CodecFormat(("mp2",), "mp2", "mp2", {16000: (32, 48), 48000: (64, 96)}),
    "wmav2": CodecFormat(("wmav2",), "wmav2", "asf", {16000: (24, 32), 22050: (24, 32), 44100: (48, 64)}),
}


@cache
def encoder_of(name: str) -> str:
    """ffmpeg's name of an encoder for the format `name`; "" if this build cannot both write and read it."""
    spec = FORMATS[name]
    if spec.container not in av.formats_available or not _has(spec.decoder, "r"):
        return ""
    return next((encoder for encoder in spec.encoders if _has(encoder, "w")), "")


def available() -> list[str]:
    """The formats of the table that this build can both write and read."""
    return [name for name in FORMATS if encoder_of(name)]


def _has(codec: str, mode: Literal["r", "w"]) -> bool:
    try:
        av.Codec(codec, mode)
    except ValueError:  # of which PyAV's UnknownCodecError is one
        return False
    return True
