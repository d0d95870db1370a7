"""What a worker says is what this process would say; what it does not survive costs one file."""

import logging
import os
import signal
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from campaign.oddities import silence
from conftest import speechlike, write_wav
from odd_decoder import ODD

from deepcheck.audio import decode as here
from deepcheck.audio import isolated
from deepcheck.audio.container import Container
from deepcheck.audio.decode import read
from deepcheck.errors import AudioError


@pytest.fixture
def voice():
    return speechlike(3.0)


@pytest.fixture(autouse=True)
def workers(monkeypatch):
    """None from before, none left, and no memory of whether any could be started."""
    isolated.close()
    monkeypatch.setattr(isolated, "_started", False)
    monkeypatch.setattr(isolated, "_here", False)
    yield
    isolated.close()


@pytest.fixture
def odd(monkeypatch):
    monkeypatch.setattr(isolated, "_START", ODD)


def reason(path, **how):
    with pytest.raises(AudioError) as caught:
        list(isolated.decode(path, **how))
    return caught.value.message


def test_to_the_bit_and_with_the_same_reasons(tmp_path, voice):
    good = write_wav(tmp_path / "a \udce9 ☃.wav", voice, 44_100)
    cut = write_wav(tmp_path / "cut.wav", voice)
    cut.write_bytes(cut.read_bytes()[:50_000])
    told = []
    heard = np.concatenate(list(isolated.decode(good, told=told.append)))
    np.testing.assert_array_equal(heard, read(good))
    assert heard.dtype == np.float32
    assert told == [Container("wav", "pcm_s16le", 44_100, 1, 16 * 44_100)]
    blocks = isolated.decode(cut)
    assert len(next(blocks)) >= 16_000  # what comes before the damage is heard
    with pytest.raises(AudioError, match=r"^the file is truncated: its header promises 3.0 s"):
        list(blocks)
    assert reason(tmp_path / "gone.wav") == "the file does not exist"
    assert len(isolated._all) == 1, "one worker serves one caller after another"


def test_a_relative_path_is_that_of_this_process(tmp_path, voice, monkeypatch):
    write_wav(tmp_path / "x.wav", voice)
    isolated.warm()
    monkeypatch.chdir(tmp_path)
    assert sum(map(len, isolated.decode("x.wav"))) == 48_000


def test_many_threads_have_a_worker_each_and_share_none(tmp_path, voice):
    paths = [write_wav(tmp_path / f"{i}.wav", np.roll(voice, 999 * i)) for i in range(4)]
    heard = {}

    def work(path):
        heard[path] = np.concatenate(list(isolated.decode(path)))

    threads = [threading.Thread(target=work, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for path in paths:
        np.testing.assert_array_equal(heard[path], read(path))


def test_a_crash_costs_the_file_that_caused_it(tmp_path, voice, odd):
    paths = [write_wav(tmp_path / f"{name}.wav", voice) for name in ("good", "crash", "better")]
    assert sum(map(len, isolated.decode(paths[0]))) == 48_000
    assert reason(paths[1]) == "decoding was given up: the decoder crashed (SIGSEGV)"
    assert sum(map(len, isolated.decode(paths[2]))) == 48_000


def test_who_was_killed_from_outside_is_replaced_without_a_gap(tmp_path, voice, odd):
    path = write_wav(tmp_path / "once.wav", voice)
    np.testing.assert_array_equal(np.concatenate(list(isolated.decode(path))), read(path))
    assert (tmp_path / "once.wav.seen").exists()
    [idle] = isolated._all
    os.kill(idle.process.pid, signal.SIGKILL)
    idle.process.wait()
    assert sum(map(len, isolated.decode(path))) == 48_000


def test_a_hang_ends_with_the_time_limit(tmp_path, voice, odd):
    path = write_wav(tmp_path / "hang.wav", voice)
    began = time.monotonic()
    assert reason(path, timeout_s=0.5) == "decoding was given up: it took longer than 0.5 s (--timeout)"
    assert time.monotonic() - began < 30


def test_the_time_that_the_caller_takes_does_not_count(tmp_path, voice):
    path = write_wav(tmp_path / "x.wav", np.tile(voice, 10))
    isolated.warm()
    heard = 0
    list(isolated.decode(path))  # it is there now
    for block in isolated.decode(path, timeout_s=5.0):
        heard += len(block)
        time.sleep(6.0 if heard == len(block) else 0.0)
    assert heard == 480_000


def test_memory_has_a_bound(tmp_path, voice, odd):
    pytest.importorskip("resource")
    if not sys.platform.startswith("linux"):
        pytest.skip("the bound of address space is Linux's")
    path = write_wav(tmp_path / "greedy.wav", voice)
    assert reason(path) == "the file cannot be decoded (MemoryError: )"


def test_whatever_a_library_raises_is_a_reason(tmp_path, voice, odd):
    assert reason(write_wav(tmp_path / "odd.wav", voice)) == "the file cannot be decoded (LookupError: no such thing)"


def test_stopping_does_not_wait_for_a_decoder_that_hangs(tmp_path, voice, odd):
    stop, path = threading.Event(), write_wav(tmp_path / "hang.wav", voice)
    threading.Timer(0.5, stop.set).start()
    began = time.monotonic()
    assert reason(path, stop=stop) == "decoding was given up: it was stopped"
    assert time.monotonic() - began < 30


def test_a_caller_that_goes_leaves_no_worker_in_the_middle_of_a_file(tmp_path, voice):
    path = write_wav(tmp_path / "x.wav", np.tile(voice, 20))
    blocks = isolated.decode(path)
    next(blocks)
    blocks.close()
    assert not isolated._all
    assert sum(map(len, isolated.decode(path))) == 960_000


@pytest.mark.parametrize("program", ["", "/bin/false"])
def test_where_none_can_be_started_this_process_decodes(tmp_path, voice, program, monkeypatch, caplog):
    monkeypatch.setattr(sys, "executable", program)
    path = write_wav(tmp_path / "x.wav", voice)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            told = []
            np.testing.assert_array_equal(np.concatenate(list(isolated.decode(path, told=told.append))), read(path))
            assert told == [Container("wav", "pcm_s16le", 16_000, 1, 256_000)]
    [record] = caplog.records
    assert record.getMessage().startswith("No process for decoding can be started")


def test_a_file_cannot_bring_the_decoder_back_into_this_process(tmp_path, voice, monkeypatch):
    path = write_wav(tmp_path / "x.wav", voice)
    list(isolated.decode(path))
    isolated.close()
    monkeypatch.setattr(sys, "executable", "")
    monkeypatch.setattr(here, "decode", None)
    assert reason(path).startswith("decoding was given up: no process for it can be started")


@pytest.mark.parametrize(
    ("length_s", "stated_s", "said"),
    [
        (5_000.0, 0.0, "the file is a bomb: no recording puts hours of sound into so few bytes"),
        (8.0, 864_000.0, "the recording is longer than 48 hours, or claims to be: split it"),
    ],
)
def test_bombs(tmp_path, length_s, stated_s, said):
    path = tmp_path / "x.flac"
    path.write_bytes(silence(length_s, stated_s))
    assert reason(path) == said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_has_workers_of_its_own(tmp_path, voice):
    path = write_wav(tmp_path / "x.wav", voice)
    list(isolated.decode(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on forking beside threads
        child = os.fork()
    if not child:
        right = not isolated._all and sum(map(len, isolated.decode(path))) == 48_000
        isolated.close()
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sum(map(len, isolated.decode(path))) == 48_000
