import hashlib
import os
import stat
from pathlib import Path

import pytest

from deepcheck.files import sha256, write_atomically


def test_makes_folders_and_replaces(tmp_path):
    place = tmp_path / "a" / "b" / "report.csv"
    write_atomically(place, "old")
    write_atomically(place, "neü")
    assert place.read_bytes() == "neü".encode()
    write_atomically(place, b"\x00\xff")
    assert place.read_bytes() == b"\x00\xff"
    assert [p.name for p in place.parent.iterdir()] == ["report.csv"]


def test_ordinary_permissions(tmp_path):
    old = os.umask(0o027)
    try:
        write_atomically(tmp_path / "report.csv", "x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "report.csv").stat().st_mode) == 0o640


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failure_in_the_middle_leaves_the_old_file_alone(tmp_path, monkeypatch, failing):
    place = tmp_path / "model.safetensors"
    write_atomically(place, "old")
    seen = []

    def fail(*_):
        seen.append(sorted(p.name for p in tmp_path.iterdir()))
        raise OSError(28, "No space left on device")

    if failing == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(place, "new and longer")
    assert len(seen[0]) == 2  # the new content went to another file
    assert place.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_an_interrupt_cleans_up_too(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "x", "new")
    assert list(tmp_path.iterdir()) == []


def test_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc" * 100_000)
    assert sha256(tmp_path / "x") == hashlib.sha256(b"abc" * 100_000).hexdigest()
