"""Decoding recordings in threads, ahead of whoever computes with them."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from deepcheck.audio import isolated
from deepcheck.audio.container import Container
from deepcheck.audio.decode import SAMPLE_RATE, Waveform, decode
from deepcheck.audio.windows import Window, cut
from deepcheck.errors import AudioError

Change = Callable[[int, Waveform], Waveform]  # (index, a whole recording) -> the recording to cut, not empty


class End(NamedTuple):
    """Of a recording: its length in seconds, the reason if it could not be decoded, what its file says of itself."""

    duration_s: float
    error: str | None = None
    container: Container | None = None


def read_ahead(
    paths: Sequence[Path],
    size: int,
    hop: int,
    jobs: int,
    ahead: int,
    change: Change | None = None,
    timeout_s: float | None = None,
) -> Iterator[tuple[int, Window | End]]:
    """Windows of all recordings, interleaved, decoded by `jobs` threads at most `ahead` items in advance.

    Each recording ends with an `End`. With a `change`, its windows are those of
    the changed recording, for which it is held in memory as a whole. With `timeout_s` each thread has a process that
    decodes for it, at most so long for each recording (`isolated.decode`); without, it decodes itself.
    """
    items: queue.Queue[tuple[int, Window | End] | BaseException | None] = queue.Queue(ahead)
    indices = iter(range(len(paths)))
    stop = threading.Event()
    blocks_of = decode if timeout_s is None else partial(isolated.decode, timeout_s=timeout_s, stop=stop)

    def put(item: tuple[int, Window | End] | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                items.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def put_window(index: int, window: Window) -> bool:
        return put((index, window))

    def work() -> None:
        try:
            for index in indices:  # `next` of one iterator is atomic, so no index is taken twice
                if stop.is_set():
                    return
                told: list[Container] = []
                blocks = blocks_of(paths[index], told=told.append)
                if change is not None:
                    blocks = _changed(index, blocks, change)
                end = _cut_one(blocks, size, hop, partial(put_window, index))
                put((index, end._replace(container=told[0] if told else None)))
        except BaseException as error:
            put(error)
        finally:
            put(None)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(jobs, len(paths)))]
    for thread in threads:
        thread.start()
    try:
        running = len(threads)
        while running:
            item = items.get()
            if item is None:
                running -= 1
            elif isinstance(item, BaseException):
                raise item
            else:
                yield item
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=10)  # a process that ends while one is within a decoder is aborted


def _changed(index: int, blocks: Iterator[Waveform], change: Change) -> Iterator[Waveform]:
    yield change(index, np.concatenate(list(blocks)))


def _cut_one(blocks: Iterator[Waveform], size: int, hop: int, put: Callable[[Window], bool]) -> End:
    samples = 0

    def counted() -> Iterator[Waveform]:
        nonlocal samples
        for block in blocks:
            samples += len(block)
            yield block

    try:
        for window in cut(counted(), size, hop):
            if not put(window):
                break  # nobody reads any more: the rest of the recording, hours perhaps, need not be decoded
    except AudioError as error:
        return End(samples / SAMPLE_RATE, error.message)
    return End(samples / SAMPLE_RATE)
