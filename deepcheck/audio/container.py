"""How a recording came: what its file says of itself, before anything is decoded."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Container:
    """`format` and `codec` in ffmpeg's words, the rate and channels of the audio track, and its bit rate if told."""

    format: str
    codec: str
    sample_rate_hz: int
    channels: int
    bit_rate_bps: int | None = None


def describe(container: Any) -> Container | None:
    """What the header of PyAV's open `container` says of its audio track; None where there is no saying.

    Where the format tells no bit rate of the track, it is that of the file, if there is nothing else in it. Never
    raises: what is wrong with a file is found out, and told, by whoever decodes it.
    """
    try:
        return _described(container)
    except Exception:  # whatever it is: the sound can still be heard
        return None


def _described(container: Any) -> Container | None:
    track = container.streams.best("audio")
    if track is None or track.codec_context is None:
        return None
    context = track.codec_context
    rate, channels = int(context.sample_rate or 0), int(context.channels or 0)
    if rate <= 0 or channels <= 0:
        return None
    bit_rate = track.bit_rate or context.bit_rate or (container.bit_rate if len(container.streams) == 1 else 0)
    # The decoder's own name differs from one build to the next: mp3float, libopus.
    codec = getattr(context.codec, "canonical_name", None) or context.name
    return Container(container.format.name, codec, rate, channels, int(bit_rate) if bit_rate and bit_rate > 0 else None)
