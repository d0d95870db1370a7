"""The sound of a recording for the page: one streaming pass gives its waveform and small playable excerpts of it."""

import base64
import io
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from deepcheck.audio.decode import SAMPLE_RATE, Waveform
from deepcheck.audio.isolated import decode
from deepcheck.errors import AudioError
from deepcheck.files import sha256
from deepcheck.scanner.address import Address

_AWAY = "the file is not on this computer, and its copy was deleted"
COLUMNS = 600  # of a waveform, at most
KBPS = 40
"""The bit rate of excerpts: the lowest at which LAME leaves room for the header that tells players the exact length and
the encoder's delay. Without it the sound would come 75 ms late. MP3 is what every browser plays, Safari included."""

# libsndfile's scale for constant bit rates at 16 kHz: 0 is 160 kbit/s, 1 is 8 kbit/s.
_COMPRESSION = (160 - KBPS) / (160 - 8)
_FINEST = SAMPLE_RATE // 100  # samples of a column, where a recording is short or its length not known


@dataclass(frozen=True)
class Clip:
    """A playable part of a recording, as a data URI."""

    start_s: float
    end_s: float
    url: str


@dataclass(frozen=True)
class Sound:
    """What was heard of a file: its length, the waveform as (lowest, highest) by column, clips, and what went wrong."""

    duration_s: float = 0.0
    waveform: tuple[tuple[float, float], ...] = ()
    clips: tuple[Clip, ...] = ()
    problem: str | None = None


def listen(
    path: Path, ranges: Sequence[tuple[float, float]], duration_s: float | None = None, digest: str | None = None
) -> Sound:
    """Decode the file at `path` once: its waveform, and a clip of each of `ranges` (start and end in seconds).

    `duration_s` is its length if known. Raises nothing: a file that has gone, or whose SHA-256 is no longer `digest`,
    gives no sound but a `problem`; one that is damaged, what could be decoded and the `problem`.
    """
    try:
        if not path.is_file():  # a pipe would be waited for
            return Sound(problem=_AWAY if isinstance(path, Address) else "the file is no longer there")
        if digest is not None and sha256(path) != digest:
            return Sound(problem="the file has changed since it was scanned")
    except (OSError, ValueError) as error:
        return Sound(problem=f"the file cannot be read ({getattr(error, 'strerror', None) or error})")
    envelope = _Envelope(duration_s)
    heard, problem = 0, None
    with ExitStack() as open_files:
        writers = [open_files.enter_context(_Writer(start, end)) for start, end in ranges]
        blocks = decode(path)
        while True:
            try:
                block = next(blocks, None)
            except AudioError as error:
                problem = error.message
                break
            if block is None:
                break
            envelope.add(block)
            for writer in writers:
                writer.take(block, heard)
            heard += len(block)
    clips = tuple(writer.clip() for writer in writers if writer.samples)
    return Sound(heard / SAMPLE_RATE, envelope.columns(), clips, problem)


class _Writer:
    """An MP3 file in memory of the samples between two times."""

    def __init__(self, start_s: float, end_s: float) -> None:
        self._start, self._end = round(start_s * SAMPLE_RATE), round(end_s * SAMPLE_RATE)
        self._buffer = io.BytesIO()
        self._file: Any = None
        self.samples = 0

    def __enter__(self) -> "_Writer":
        self._file = soundfile.SoundFile(
            self._buffer,
            "w",
            SAMPLE_RATE,
            1,
            format="MP3",
            subtype="MPEG_LAYER_III",
            compression_level=_COMPRESSION,
            bitrate_mode="CONSTANT",
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def take(self, block: Waveform, position: int) -> None:
        """`block` begins at sample `position` of the recording."""
        part = block[max(0, self._start - position) : max(0, self._end - position)]
        if len(part):
            self._file.write(np.clip(part, -1.0, 1.0))
            self.samples += len(part)

    def clip(self) -> Clip:
        data = base64.b64encode(self._buffer.getbuffer()).decode()
        end = self._start + self.samples
        return Clip(self._start / SAMPLE_RATE, end / SAMPLE_RATE, f"data:audio/mpeg;base64,{data}")


class _Envelope:
    """The lowest and the highest sample of each column."""

    def __init__(self, duration_s: float | None) -> None:
        self._step = max(_FINEST, -(-round((duration_s or 0) * SAMPLE_RATE) // COLUMNS))
        self._rest = np.zeros(0, np.float32)
        self._columns: list[np.ndarray] = []

    def add(self, block: Waveform) -> None:
        samples = np.concatenate([self._rest, block])
        whole = len(samples) // self._step * self._step
        self._rest = samples[whole:]
        if whole:
            self._columns.append(_extremes(samples[:whole].reshape(-1, self._step)))

    def columns(self) -> tuple[tuple[float, float], ...]:
        rest = [_extremes(self._rest[None])] if len(self._rest) else []
        if not self._columns and not rest:
            return ()
        found = np.concatenate([*self._columns, *rest])
        groups = np.unique(np.linspace(0, len(found), min(COLUMNS, len(found)), endpoint=False).astype(int))
        low = np.minimum.reduceat(found[:, 0], groups)
        high = np.maximum.reduceat(found[:, 1], groups)
        return tuple(zip(low.tolist(), high.tolist(), strict=True))


def _extremes(rows: np.ndarray) -> np.ndarray:
    return np.stack([rows.min(axis=1), rows.max(axis=1)], axis=1)
