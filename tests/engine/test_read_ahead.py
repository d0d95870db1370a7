import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import described, speechlike, write_wav

from deepcheck.audio.container import Container
from deepcheck.audio.decode import SAMPLE_RATE, read
from deepcheck.audio.windows import Window, cut
from deepcheck.engine import read_ahead as module
from deepcheck.engine.read_ahead import End, read_ahead

SIZE, HOP = 16_000, 8_000


@pytest.fixture
def recordings(tmp_path) -> list[Path]:
    return [write_wav(tmp_path / f"{i}.wav", speechlike(0.5 + 0.7 * i, seed=i)) for i in range(5)]


def running() -> set[threading.Thread]:
    return set(threading.enumerate())


def wait_until(true, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return true()


def endless(taken: list[int]) -> Iterator[np.ndarray]:
    """Sound that never ends; counts the blocks that somebody took."""
    for i in itertools.count():
        taken.append(i)
        yield np.full(HOP, 0.1, np.float32)


@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_windows_are_those_of_each_recording_in_order(recordings, jobs):
    windows: dict[int, list[Window]] = {}
    ends: dict[int, End] = {}
    for index, item in read_ahead(recordings, SIZE, HOP, jobs, 4):
        assert index not in ends, "something came after the end of a recording"
        if isinstance(item, Window):
            windows.setdefault(index, []).append(item)
        else:
            ends[index] = item
    assert sorted(ends) == list(range(5))
    for index, path in enumerate(recordings):
        whole = read(path)
        assert ends[index] == (len(whole) / SAMPLE_RATE, None, described(path))
        expected = list(cut([whole], SIZE, HOP))
        assert [window[:2] for window in windows[index]] == [window[:2] for window in expected]
        for ours, theirs in zip(windows[index], expected, strict=True):
            np.testing.assert_array_equal(ours.samples, theirs.samples)


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_change_sees_whole_recordings_and_gives_what_is_cut(recordings, jobs):
    def reverse(index, waveform):
        np.testing.assert_array_equal(waveform, read(recordings[index]))
        return waveform[::-1]

    windows: dict[int, list[Window]] = {}
    for index, item in read_ahead(recordings, SIZE, HOP, jobs, 4, reverse):
        if isinstance(item, Window):
            windows.setdefault(index, []).append(item)
    for index, path in enumerate(recordings):
        expected = list(cut([read(path)[::-1]], SIZE, HOP))
        for ours, theirs in zip(windows[index], expected, strict=True):
            np.testing.assert_array_equal(ours.samples, theirs.samples)


def test_no_recordings():
    assert list(read_ahead([], SIZE, HOP, 4, 4)) == []


def test_error_comes_as_the_end_of_its_recording_alone(recordings, tmp_path):
    data = write_wav(tmp_path / "cut.wav", speechlike(4.0)).read_bytes()
    (tmp_path / "cut.wav").write_bytes(data[: len(data) // 2])
    (tmp_path / "empty.wav").touch()
    paths = [recordings[4], tmp_path / "cut.wav", tmp_path / "empty.wav", tmp_path / "gone.wav", recordings[3]]
    items = list(read_ahead(paths, SIZE, HOP, 2, 8))
    ends = {index: item for index, item in items if not isinstance(item, Window)}
    wav = Container("wav", "pcm_s16le", 16_000, 1, 256_000)
    assert ends[0] == (pytest.approx(3.3), None, wav)
    assert ends[4] == (pytest.approx(2.6), None, wav)
    assert ends[1].duration_s == pytest.approx(2.0, abs=0.01)
    assert ends[1].error.startswith("the file is truncated")
    assert ends[2] == (0.0, "the file is empty", None)
    assert ends[3] == (0.0, "the file does not exist", None)
    assert sum(index == 1 and isinstance(item, Window) for index, item in items) == 2


@pytest.mark.parametrize("jobs", [1, 3])
def test_unexpected_exception_reaches_the_caller_and_ends_the_threads(recordings, jobs, monkeypatch):
    def decode(path, told):
        if path == recordings[1]:
            raise ZeroDivisionError("a bug")
        yield read(path)

    monkeypatch.setattr(module, "decode", decode)
    before = running()
    with pytest.raises(ZeroDivisionError, match="a bug"):
        list(read_ahead(recordings, SIZE, HOP, jobs, 2))
    assert wait_until(lambda: running() <= before)


def test_exception_while_the_queue_is_full_is_not_lost(recordings, monkeypatch):
    def decode(path, told):
        yield np.zeros(4 * SIZE, np.float32)
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(module, "decode", decode)
    items = read_ahead(recordings, SIZE, HOP, 2, 1)
    next(items)
    time.sleep(0.3)  # every thread now waits for room
    with pytest.raises(ZeroDivisionError):
        list(items)


@pytest.mark.parametrize("ahead", [1, 4, 16])
def test_decodes_no_further_ahead_than_allowed(ahead, monkeypatch):
    taken: list[int] = []
    monkeypatch.setattr(module, "decode", lambda _, told: endless(taken))
    items = read_ahead([Path("x")], SIZE, HOP, 1, ahead)
    next(items)
    time.sleep(0.3)
    # The window given out, `ahead` in the queue, one in the hand of the thread; each is a block, the first two.
    assert len(taken) <= ahead + 4
    items.close()


@pytest.mark.parametrize("jobs", [1, 4])
def test_closing_early_ends_the_threads_within_a_recording(jobs, monkeypatch):
    taken: list[int] = []
    monkeypatch.setattr(module, "decode", lambda _, told: endless(taken))
    before = running()
    items = read_ahead([Path(str(i)) for i in range(10)], SIZE, HOP, jobs, 4)
    next(items)
    assert len(running() - before) == jobs
    items.close()
    assert wait_until(lambda: running() <= before)
    at_the_end = len(taken)
    time.sleep(0.2)
    assert len(taken) == at_the_end


def test_an_exception_of_the_reader_ends_the_threads(monkeypatch):
    monkeypatch.setattr(module, "decode", lambda _, told: endless([]))
    before = running()

    def consume() -> None:
        for _ in read_ahead([Path("x")], SIZE, HOP, 2, 4):
            raise RuntimeError("the detector failed")

    with pytest.raises(RuntimeError):
        consume()
    assert wait_until(lambda: running() <= before)


def test_no_more_threads_than_recordings(monkeypatch):
    monkeypatch.setattr(module, "decode", lambda _, told: endless([]))
    before = running()
    items = read_ahead([Path("a"), Path("b")], SIZE, HOP, 16, 4)
    next(items)
    assert len(running() - before) == 2
    items.close()


def test_nothing_is_started_before_it_is_read(recordings):
    before = running()
    read_ahead(recordings, SIZE, HOP, 2, 4)
    assert running() == before
