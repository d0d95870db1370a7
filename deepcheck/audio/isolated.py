"""Decoding files from strangers: in worker processes, so that one that breaks the decoder costs itself alone.

`decode` says what `decode.decode` says within this process, to the bit. Workers are started when one is
wanted, serve one caller at a time, and are kept for the next; one that crashes or is overdue is replaced.
"""

import atexit
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from deepcheck.audio import decode as here
from deepcheck.audio import worker
from deepcheck.audio.container import Container
from deepcheck.audio.decode import SAMPLE_RATE, Told, Waveform
from deepcheck.errors import AudioError

TIMEOUT_S = 600.0
"""How long a decoder may work at one file; the sound of six hours takes it about a minute."""
GIVEN_UP = "decoding was given up"
"""How the reason begins where it was not the file that ended, but the patience or the worker."""

_START_S = 60.0
_LOOK_S = 0.1
_START = "import sys; sys.path[:] = {path!r}; from deepcheck.audio.worker import main; main()"

_log = logging.getLogger(__name__)
_idle: list["_Worker"] = []
_all: set["_Worker"] = set()
_lock = threading.Lock()
_watching = False
_started = False  # at least one worker could be
_here = False  # none can be: decode in this process


class _LostError(Exception):
    """The worker has ended; the argument says how."""


class _EndedError(Exception):
    """The worker was ended from here; the argument says why."""


def decode(
    path: str | Path,
    sample_rate: int = SAMPLE_RATE,
    timeout_s: float = TIMEOUT_S,
    stop: threading.Event | None = None,
    told: Told | None = None,
) -> Iterator[Waveform]:
    """As `decode.decode`, block for block of about a second, from a process of its own; `told` is called at the end.

    `timeout_s` is the time that the decoder may work at the file; what the caller does with the blocks does not count.
    Raises `AudioError` as that does, and with a reason that begins with `GIVEN_UP` where the decoder was too slow or
    did not survive the file, twice, or where another thread has set `stop` meanwhile. Where no worker can be started,
    this process decodes, after a warning in the log.
    """
    heard = 0
    for last in (False, True):
        try:
            passed = 0
            for block in _blocks(path, sample_rate, timeout_s, stop, told):
                fresh = block[max(0, heard - passed) :]  # the second worker begins at the beginning
                passed += len(block)
                if len(fresh):
                    heard = passed
                    yield fresh
            return
        except _EndedError as error:
            raise AudioError(f"{GIVEN_UP}: {error}") from None
        except _LostError as error:
            if last:
                raise AudioError(f"{GIVEN_UP}: {error}") from None


def warm() -> None:
    """Starts a worker, if none is free, for whoever will want one in a moment, and does not wait for it."""
    with suppress(OSError):
        if not _idle:
            _give_back(_Worker())


def close() -> None:
    """Ends all workers; more are started when they are wanted."""
    with _lock:
        ending = [*_all]
        _idle.clear()
    for one in ending:
        one.end("it was stopped")


def _blocks(
    path: str | Path, sample_rate: int, timeout_s: float, stop: threading.Event | None, told: Told | None
) -> Iterator[Waveform]:
    borrowed = _borrowed()
    if borrowed is None:
        yield from here.decode(path, sample_rate, told)
        return
    borrowed.stop = stop
    for kind, data in borrowed.ask(path, sample_rate, timeout_s):
        if kind == worker.SOUND:
            yield np.frombuffer(data, np.float32)
        elif told is not None and (found := json.loads(data)) is not None:
            told(Container(**found))


class _Worker:
    """A process that decodes.

    `deadline` is when it will be ended while somebody waits for it, `otherwise` what is then said, `ended` what was.
    """

    def __init__(self) -> None:
        root = str(Path(__file__).parent.parent.parent)
        # The same packages as here, in no case others that lie about in the current folder.
        start = _START.format(path=[*sys.path, root] if root not in sys.path else sys.path)
        self.deadline = float("inf")
        self.ended = self.otherwise = ""
        self.stop: threading.Event | None = None
        self.ready = False
        self.process = subprocess.Popen(
            [sys.executable or "", "-P", "-c", start],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # One thread each: there are as many workers as cores. Arenas take address space, which is limited.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
        )
        _all.add(self)

    def wait_until_ready(self) -> None:
        """`_LostError` if it never will be."""
        if not self.ready:
            self._frame(time.monotonic() + _START_S, f"it did not start within {_START_S:g} s")
            self.ready = True

    def ask(self, path: str | Path, sample_rate: int, timeout_s: float) -> Iterator[tuple[bytes, bytes]]:
        """(kind, payload) of the frames of the answer, the last one `DONE`; `AudioError` for `FAILED`.

        Gives the worker back at the end; one that is not asked to the end has to go.
        """
        place = os.path.join(os.getcwd(), os.fspath(path)) if not os.path.isabs(path) else os.fspath(path)  # noqa: PTH117, PTH118, PTH109
        request = {"path": place, "sample_rate": sample_rate, "cpu_s": 4 * timeout_s + 60}
        left, finished = timeout_s, False
        try:
            self._send(request)
            while not finished:
                began = time.monotonic()
                kind, data = self._frame(began + left, f"it took longer than {timeout_s:g} s (--timeout)")
                left -= time.monotonic() - began
                finished = kind in (worker.DONE, worker.FAILED)
                if kind == worker.FAILED:
                    raise AudioError(data.decode("utf-8", "replace"))
                yield kind, data
        finally:
            self.stop = None
            if finished:
                _give_back(self)
            else:
                self.end()

    def _send(self, request: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            raise _LostError(self._why()) from None

    def _frame(self, deadline: float, otherwise: str) -> tuple[bytes, bytes]:
        self.deadline, self.otherwise = deadline, otherwise
        try:
            kind, size = worker.FRAME.unpack(self._read(worker.FRAME.size))
            data = self._read(size)
        finally:
            with _lock:  # from here on nobody ends it for being late
                self.deadline = float("inf")
        if self.ended:
            raise _EndedError(self.ended)
        return kind, data

    def _read(self, size: int) -> bytes:
        assert self.process.stdout is not None
        data = self.process.stdout.read(size)
        if len(data) == size:
            return data
        if self.ended:
            raise _EndedError(self.ended)
        raise _LostError(self._why())

    def _why(self) -> str:
        try:
            code = self.process.wait(10)
        except subprocess.TimeoutExpired:
            return "the decoder does not answer"
        if code == -getattr(signal, "SIGKILL", 9):
            return "the decoder was killed, perhaps for want of memory"
        try:
            return f"the decoder crashed ({signal.Signals(-code).name})"
        except ValueError:
            return f"the decoder ended with code {code}"

    def end(self, why: str = "") -> None:
        """Kills it, whatever it does; who waits for its answer is told `why`."""
        self.ended = self.ended or why
        _all.discard(self)
        self.process.kill()
        self.process.wait()
        self.close()

    def close(self) -> None:
        """Closes the pipes of this end; the worker ends when it has no other."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _borrowed() -> _Worker | None:
    """A worker for the caller alone; None if none can be started."""
    global _started, _here
    _watch()
    while True:
        with _lock:
            one = _idle.pop() if _idle else None
        if one is not None and one.process.poll() is not None:
            one.end()  # it died while nobody asked anything of it
            continue
        if _here:
            return None
        try:
            one = one or _Worker()
            one.wait_until_ready()
            _started = True
            return one
        except (OSError, _LostError, _EndedError) as error:
            if one is not None:
                one.end()
            if _started:
                raise AudioError(f"{GIVEN_UP}: no process for it can be started ({error})") from None
            _here = True
            _log.warning(
                "No process for decoding can be started (%s): a file that crashes the decoder will end this one.", error
            )


def _give_back(one: _Worker) -> None:
    with _lock:
        _idle.append(one)


def _watch() -> None:
    global _watching
    with _lock:
        if not _watching:
            _watching = True
            threading.Thread(target=_end_the_overdue, daemon=True, name="deepcheck-decoders").start()


def _end_the_overdue() -> None:
    while True:
        time.sleep(_LOOK_S)
        now = time.monotonic()
        for one in [*_all]:
            with _lock:
                stopped = one.stop is not None and one.stop.is_set()
                if one.deadline < now or (stopped and one.deadline < float("inf")):
                    one.ended = "it was stopped" if stopped else one.otherwise
                    one.process.kill()


def _forget() -> None:
    """In a forked process: the workers are those of its parent, which lets them go by closing the pipes."""
    global _lock, _watching
    _lock, _watching = threading.Lock(), False
    for one in _all:
        one.process.returncode = 0  # or it would be waited for here
        one.close()
    _idle.clear()
    _all.clear()


atexit.register(close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
