"""The one way in: any audio or video file -> 16 kHz mono float32, block by block.

PyAV's wheel carries ffmpeg's libraries, soxr resamples. Training and scanning share this path on purpose:
two decoders of one codec differ by more than a detector should notice. Both are imported where a file is opened: a
scan, which has others decode, does without them.
"""

import os
import stat
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from deepcheck.audio.container import Container, describe
from deepcheck.errors import AudioError

SAMPLE_RATE = 16_000  # Hz
Waveform = NDArray[np.float32]
Told = Callable[[Container], None]

# fmt: off
EXTENSIONS = frozenset({
    "wav", "wave", "w64", "flac", "mp3", "mp2", "ogg", "oga", "opus", "spx", "aif", "aiff", "aifc", "caf", "au", "snd",
    "m4a", "m4b", "m4p", "aac", "ac3", "amr", "wma", "wv", "gsm",
    "mp4", "m4v", "mov", "3gp", "3g2", "webm", "mkv", "mka", "avi", "wmv", "asf", "flv", "ogv", "mpg", "mpeg", "ts",
    "mts", "m2ts", "vob",
})
# fmt: on
"""File name endings that a folder scan takes for audio, or video with an audio track (lower case, no dot)."""

# ffmpeg also reads playlists and scripts that name other files or hosts; only containers of sound get in.
_FORMATS = (
    "wav,w64,flac,mp3,ogg,aiff,caf,au,aac,ac3,eac3,amr,amrnb,amrwb,wv,gsm,ape,tta,nistsphere,"
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,asf,asf_o,flv,mpeg,mpegts,mpegvideo"
)
# Containers whose header states the true length, so that a shorter decode means a truncated file. Of a wav, ffmpeg
# tells only what is there; its header is read here.
_STATES_LENGTH = {"flac", "aiff", "au", "mov,mp4,m4a,3gp,3g2,mj2"}
LONGEST_S = 48 * 3600.0
"""What decodes to more is refused: a few kilobytes can claim ten days, and be as long."""
_SLOWEST_HZ, _FASTEST_HZ = 1_000, 1_000_000  # from 1 Hz, each sample would become a second
_LEAST_BYTES_PER_S = 25  # the leanest speech codecs take three times as many, silence between words included
_UNKNOWN_SIZE = 0x7FFFF000  # what a recorder that cannot rewind writes into a wav: this or more, or nothing
_DAMAGED_SHARE = 0.1  # of all packets; a few bad ones (tags at the end of an mp3) are ordinary


def decode(path: str | Path, sample_rate: int = SAMPLE_RATE, told: Told | None = None) -> Iterator[Waveform]:
    """Blocks of the recording at `path`: mono float32, full scale 1.0, `sample_rate` Hz, some 0.1-2 s each.

    Channels are averaged (ffmpeg's own downmix would be 3 dB louder) and the rate is converted by soxr HQ.
    Memory stays flat whatever the length. `told` is called once with what the file says of itself, if it says anything.
    Raises `AudioError` with the reason in words if the file is missing,
    empty, no audio, protected, damaged or truncated; with a truncated file that is known only at its end.
    """
    import av

    try:
        mode = Path(path).stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise AudioError("this is a pipe or a device, not a file")  # opening it could wait for ever
        with Path(path).open("rb") as file:
            if not file.read(1):
                raise AudioError("the file is empty")
            file.seek(0)
            yield from _decode_open_file(file, sample_rate, told)
    except FileNotFoundError:
        raise AudioError("the file does not exist") from None
    except IsADirectoryError:
        raise AudioError("this is a folder, not a file") from None
    except PermissionError:
        raise AudioError("no permission to read the file") from None
    except (av.error.FFmpegError, OSError, ValueError, MemoryError) as error:
        raise AudioError(f"the file cannot be decoded ({_plain(error)})") from error


def read(path: str | Path, sample_rate: int = SAMPLE_RATE) -> Waveform:
    """The whole recording as one array; raises as `decode` does."""
    return np.concatenate(list(decode(path, sample_rate)))


def _decode_open_file(file: BinaryIO, sample_rate: int, told: Told | None) -> Iterator[Waveform]:
    import av

    # An open file, not its name: ffmpeg would take "http://..." or "concat:..." in a name at its word.
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "none"}
    try:
        container = av.open(file, options=options, metadata_errors="replace")
    except av.error.FFmpegError:  # which one depends on the first format that seemed to fit
        raise AudioError("not audio or video in a known format, or damaged at its beginning") from None
    with container:
        track = container.streams.best("audio")
        if track is None:
            raise AudioError("the file has no audio track")
        _refuse_undecodable(track)
        _refuse_endless(_stated_s(container, track) or 0.0)
        if told is not None and (found := describe(container)) is not None:
            told(found)
        samples = 0
        for block in _resampled(_frames(container, track), sample_rate):
            samples += len(block)
            _refuse_endless(samples / sample_rate)
            if samples > 3600 * sample_rate and file.tell() < _LEAST_BYTES_PER_S * samples / sample_rate:
                raise AudioError("the file is a bomb: no recording puts hours of sound into so few bytes")
            yield block
        if not samples:
            raise AudioError("the audio track holds no samples")
        decoded_s = samples / sample_rate
        stated_s = _stated_by_wav(file, decoded_s) if container.format.name == "wav" else _stated_s(container, track)
        if stated_s is not None and decoded_s < 0.98 * stated_s - 0.25:
            raise AudioError(
                f"the file is truncated: its header promises {stated_s:.1f} s, the sound ends after {decoded_s:.1f} s"
            )


def _refuse_undecodable(track: Any) -> None:
    tag = str(getattr(track, "codec_tag", "")).strip("\0 ").lower()
    if tag in {"drms", "enca"}:
        raise AudioError("the audio track is protected (DRM)")
    if track.codec_context is None:
        raise AudioError("the audio track is in a codec that cannot be decoded here")


def _refuse_endless(length_s: float) -> None:
    if length_s > LONGEST_S:
        raise AudioError(f"the recording is longer than {LONGEST_S / 3600:.0f} hours, or claims to be: split it")


def _stated_s(container: Any, track: Any) -> float | None:
    if container.format.name not in _STATES_LENGTH:
        return None
    if track.duration is not None and track.time_base is not None:
        return float(track.duration * track.time_base)
    return None if container.duration is None else container.duration / 1_000_000  # AV_TIME_BASE


def _stated_by_wav(file: BinaryIO, decoded_s: float) -> float | None:
    """The length that a RIFF header promises: what was decoded, over the share of the data that is there."""
    whole = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(12)[:4] != b"RIFF":
        return None
    while len(header := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", header)
        there = whole - file.tell()
        if name == b"data":
            return decoded_s * size / there if there and size < _UNKNOWN_SIZE else None
        file.seek(size + size % 2, os.SEEK_CUR)
    return None


def _frames(container: Any, track: Any) -> Iterator[Any]:
    """Decoded frames; single damaged packets are stepped over, many of them are an error."""
    import av

    packets = damaged = 0
    demuxed = container.demux(track)
    while True:
        try:
            packet = next(demuxed, None)
        except av.error.FFmpegError:
            damaged += 1  # the container itself breaks off here
            break
        if packet is None:
            break
        packets += 1
        try:
            yield from packet.decode()
        except av.error.FFmpegError:
            damaged += 1
    if damaged > 2 and damaged > _DAMAGED_SHARE * packets:
        raise AudioError(f"the file is damaged: {damaged} of {packets} packets cannot be decoded")


def _resampled(frames: Iterator[Any], sample_rate: int) -> Iterator[Waveform]:
    import av
    import soxr

    to_float = None
    stream: Any = None
    rate, layout = 0, None
    for frame in frames:
        if (frame.format.name, frame.layout.name, frame.sample_rate) != layout:
            if to_float is not None:
                yield from _mono(to_float.resample(None), stream)
            layout = (frame.format.name, frame.layout.name, frame.sample_rate)
            if frame.sample_rate != rate:  # first frame, or a stream that changes its rate on the way
                if stream is not None:
                    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
                rate = frame.sample_rate
                if not _SLOWEST_HZ <= rate <= _FASTEST_HZ:
                    raise AudioError(f"the sample rate is {rate} Hz, which is none of speech")
                stream = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32") if rate != sample_rate else None
            # Interleaved: PyAV miscounts the planes of eight channels and more, and reads past their end. Codecs of
            # speech have frames of 20 ms: gathered, a third of the time is saved.
            to_float = av.AudioResampler(format="flt", frame_size=rate // 2)
        assert to_float is not None
        yield from _mono(to_float.resample(frame), stream)
    if to_float is not None:
        yield from _mono(to_float.resample(None), stream)
    if stream is not None:
        rest = stream.resample_chunk(np.zeros(0, np.float32), last=True)
        if len(rest):
            yield rest


def _mono(frames: Iterable[Any], stream: Any) -> Iterator[Waveform]:
    for interleaved in frames:
        channels = interleaved.to_ndarray().reshape(-1, interleaved.layout.nb_channels)
        mono = _finite(channels.mean(axis=1, dtype=np.float32))
        block = stream.resample_chunk(mono) if stream is not None else mono
        if len(block):
            yield block


def _finite(samples: Waveform) -> Waveform:
    # Float formats can hold NaN and infinity; one of them would poison every later sample of the resampler.
    return samples if np.isfinite(samples).all() else np.nan_to_num(samples, posinf=1.0, neginf=-1.0)


def _plain(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text[0].lower() + text[1:]
