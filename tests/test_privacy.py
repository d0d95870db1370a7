"""What is scanned stays where it is: no network, no copy left behind."""

import os
import signal
import socket
import subprocess
import sys
import tempfile

import pytest
from conftest import speechlike, write_wav
from typer.testing import CliRunner

from deepcheck.cli.app import app
from deepcheck.scanner.passing import clear_up


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A folder of its own for temporary files."""
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return place


@pytest.fixture
def offline(monkeypatch):
    """Whatever asks for a socket or a name fails, and is noted."""
    asked = []

    def refuse(*arguments, **_):
        asked.append(arguments)
        raise OSError("there is no network")

    for name in ("socket", "create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    return asked


def test_a_scan_asks_nothing_of_the_network(tmp_path, stored_model, offline, temporary):
    write_wav(tmp_path / "in" / "voice.wav", speechlike(2.0))
    (tmp_path / "in" / "list.m4a").write_bytes(b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.mp3\n")
    outputs = [
        argument for ending in ("html", "jsonl", "csv", "md") for argument in ("--output", tmp_path / f"r.{ending}")
    ]
    result = CliRunner().invoke(app, ["scan", str(tmp_path / "in"), "--model", stored_model(), *map(str, outputs)])
    assert result.exit_code == 3, result.output  # the playlist is no sound
    assert (tmp_path / "r.html").stat().st_size > 1000
    assert offline == []
    assert list(temporary.iterdir()) == []
    # Otherwise nothing would have been noted.
    with pytest.raises(OSError, match="no network"):
        socket.create_connection(("127.0.0.1", 9))
    assert len(offline) == 1


@pytest.mark.parametrize("whole", [True, False])
def test_the_sound_from_stdin_is_gone_after_the_scan(tmp_path, stored_model, temporary, whole, monkeypatch):
    sound = write_wav(tmp_path / "voice.wav", speechlike(2.0)).read_bytes()
    arguments = ["scan", "-", "--model", stored_model(), "--format", "jsonl"]
    seen = []
    monkeypatch.setattr(
        "deepcheck.scanner.run.Scan.run", _noting(seen, temporary) if whole else _failing(seen, temporary)
    )
    result = CliRunner().invoke(app, arguments, input=sound)
    assert seen == [len(sound)]
    assert list(temporary.iterdir()) == []
    assert result.exit_code == (0 if whole else 1), result.output


def _size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _noting(seen, folder):
    from deepcheck.scanner.run import Scan

    run = Scan.run

    def noting(self, found):
        seen.append(_size(folder))
        return run(self, found)

    return noting


def _failing(seen, folder):
    def failing(_self, _found):
        seen.append(_size(folder))
        raise OSError(28, "No space left on device")

    return failing


SLOW = """
import sys, time
from deepcheck.cli.app import app
import deepcheck.cli.scan_inputs as inputs
received = inputs._receive
def receive(sound):
    received(sound)
    print("received", flush=True)
    time.sleep(60)
inputs._receive = receive
app(["scan", "-", "--quiet"])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs signals")
def test_the_sound_from_stdin_is_gone_however_the_scan_is_ended(tmp_path, temporary):
    sound = write_wav(tmp_path / "voice.wav", speechlike(2.0))
    for number, code, left in ((signal.SIGTERM, 143, 0), (signal.SIGINT, 130, 0), (signal.SIGKILL, -9, 1)):
        with sound.open("rb") as file:
            scan = subprocess.Popen(
                [sys.executable, "-c", SLOW], stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        assert scan.stdout.readline() == b"received\n"
        assert _size(temporary) == sound.stat().st_size
        scan.send_signal(number)
        _, errors = scan.communicate(timeout=30)
        assert scan.returncode == code, errors
        assert len(list(temporary.iterdir())) == left
    # What was killed could not clear up; the next scan from stdin does, and leaves alone what is not of the kind.
    own = temporary / f"deepcheck-stdin-{os.getpid()}-x"
    for folder in (own, temporary / "deepcheck-stdin-x-y", temporary / "other-1-2"):
        folder.mkdir()
    clear_up("stdin")
    assert {path.name for path in temporary.iterdir()} == {own.name, "deepcheck-stdin-x-y", "other-1-2"}


def test_clearing_up_follows_no_link_and_survives_one_that_leads_nowhere(tmp_path, temporary):
    """The folder of temporary files belongs to everybody."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    (temporary / "deepcheck-stdin-4194305-x").symlink_to(tmp_path / "mine")  # no process has such a number
    (temporary / "deepcheck-stdin-4194305-y").symlink_to(tmp_path / "nowhere")
    clear_up("stdin")
    assert (tmp_path / "mine" / "file").exists()
