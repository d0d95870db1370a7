"""The decoder in a process of its own: requests on stdin, answers on stdout, until stdin ends.

A request is a line of JSON: `path`, `sample_rate`, `cpu_s`. An answer is frames: a letter, how many bytes follow, and
these. `SOUND` is float32 samples, `FAILED` the reason as text, `DONE` the `container.Container` as JSON, or null. The
first frame of all is `READY`. torch is not imported, so that a start takes a quarter of a second.
"""

import json
import os
import signal
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from deepcheck.audio.container import Container
from deepcheck.audio.decode import SAMPLE_RATE, Waveform, decode
from deepcheck.errors import AudioError

READY, SOUND, FAILED, DONE = b"R", b"S", b"F", b"D"
FRAME = struct.Struct("<cI")
MEMORY_BYTES = 1 << 30
"""What a worker may need beside its programs; a recording of hours takes a few MB."""

_CHUNK = SAMPLE_RATE  # samples in a frame, or a block more: many small ones would cost more than decoding
_LIBRARIES = ("av", "soxr")
_SPARED = ("SIGINT", "SIGTERM", "SIGHUP")  # sent to the whole group; whoever asks decides when this ends


def main() -> None:
    """Answers requests until there are no more, or nobody reads the answers."""
    for name in _SPARED:
        with suppress(AttributeError, ValueError):  # not every system has each
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries that print must not do so into an answer
    for library in _LIBRARIES:  # no file is to wait for them, and its memory is what is needed beside them
        import_module(library)
    _limit_memory()
    with suppress(BrokenPipeError):
        _send(answers, READY)
        for line in requests:
            request = json.loads(line)
            _limit_cpu(request["cpu_s"])
            _answer(answers, request)


def _answer(answers: BinaryIO, request: dict[str, Any]) -> None:
    try:
        found = _sound(answers, request)
    except BrokenPipeError:
        raise
    except AudioError as error:
        _send(answers, FAILED, error.message.encode("utf-8", "backslashreplace"))
    except Exception as error:  # of a file from a stranger, nothing that a library may raise is a surprise
        reason = f"the file cannot be decoded ({type(error).__name__}: {error})"
        _send(answers, FAILED, reason.encode("utf-8", "backslashreplace"))
    else:
        _send(answers, DONE, json.dumps(found and asdict(found)).encode())


def _sound(answers: BinaryIO, request: dict[str, Any]) -> Container | None:
    told: list[Container] = []
    for chunk in _chunks(decode(request["path"], request["sample_rate"], told.append)):
        _send(answers, SOUND, chunk.tobytes())
    return told[0] if told else None


def _chunks(blocks: Iterator[Waveform]) -> Iterator[Waveform]:
    """The same sound in larger pieces."""
    held: list[Waveform] = []
    samples = 0
    try:
        for block in blocks:
            held.append(block)
            samples += len(block)
            if samples >= _CHUNK:
                yield np.concatenate(held)
                held, samples = [], 0
    except AudioError:  # what comes before it is still heard
        if held:
            yield np.concatenate(held)
        raise
    if held:
        yield np.concatenate(held)


def _send(answers: BinaryIO, kind: bytes, payload: bytes = b"") -> None:
    answers.write(FRAME.pack(kind, len(payload)))
    answers.write(payload)
    answers.flush()


def _limit_memory() -> None:
    """Beyond `MEMORY_BYTES` the system gives no more, where it can be told so."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY_BYTES, hard))


def _limit_cpu(seconds: float) -> None:
    """For the case that nobody is left who could end this process when the decoder turns in circles."""
    with suppress(ImportError, OSError, ValueError, OverflowError):
        import resource

        used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        resource.setrlimit(resource.RLIMIT_CPU, (int(used + seconds) + 1, resource.getrlimit(resource.RLIMIT_CPU)[1]))


if __name__ == "__main__":
    main()
