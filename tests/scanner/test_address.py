"""Recordings in a file system of fsspec that lives in memory."""

import json
import pickle
from pathlib import Path

import fsspec
import pytest
from conftest import speechlike, write_wav
from typer.testing import CliRunner

from deepcheck.cli.app import app
from deepcheck.errors import AudioError, ConfigError, DataError
from deepcheck.files import exact
from deepcheck.scanner.address import Address, below, fetch, located, stamp_at
from deepcheck.scanner.discover import discover
from deepcheck.scanner.engines import local
from deepcheck.scanner.record import to_record
from deepcheck.scanner.run import Scan, scan
from deepcheck.scanner.shard import Shard
from deepcheck.scanner.stamp import Stamp


@pytest.fixture
def bucket(tmp_path):
    """Three voices, one of them in a folder, and what is none; the same voices as files."""
    memory = fsspec.filesystem("memory")
    for i, name in enumerate(("a.wav", "b.WAV", "below/c.flac")):
        file = write_wav(tmp_path / "here" / name, speechlike(1.5, seed=i))
        memory.pipe(f"/bucket/{name}", file.read_bytes())
    memory.pipe("/bucket/notes.txt", b"nothing to hear")
    memory.pipe("/bucket/.hidden/d.wav", b"")
    yield memory
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


def test_an_address_is_a_path_that_keeps_its_slashes():
    address = located("s3://bucket/calls/1.wav")
    assert isinstance(address, Address)
    assert (str(address), f"{address}", exact(address)) == ("s3://bucket/calls/1.wav",) * 3
    assert (address.name, address.suffix) == ("1.wav", ".wav")
    assert str(located("hdfs:///data/1.wav")) == "hdfs:///data/1.wav"
    assert not address.is_file()
    assert address == located("s3://bucket/calls/1.wav") != located("s3://bucket/calls/2.wav")
    assert len({address, located(str(address))}) == 1
    again = pickle.loads(pickle.dumps(address))
    assert (type(again), str(again)) == (Address, str(address))
    for text in ("calls/1.wav", "/calls/1.wav", "c:/calls/1.wav", "-", "s3:/bucket"):
        assert located(text) == Path(text)
        assert not isinstance(located(text), Address)


def test_what_lies_below(bucket):
    names = ["memory:///bucket/a.wav", "memory:///bucket/b.WAV", "memory:///bucket/below/c.flac"]
    found = below(located("memory://bucket"))
    assert [str(one).replace("memory:///", "memory://") for one in found] == [
        name.replace("memory:///", "memory://") for name in names
    ]
    assert below(located("memory://bucket/notes.txt"))[0].info["size"] == 15
    assert [one.info for one in below(located("memory://bucket/nothing.wav"))] == [None]
    assert discover([located("memory://bucket")]).files == tuple(found)
    shards = [Shard(i, 3).of(discover(["memory://bucket"])).files for i in (1, 2, 3)]
    assert sorted(path for part in shards for path in part) == sorted(found)


@pytest.mark.parametrize(
    ("url", "kind", "message"),
    [
        ("nowhere://x/a.wav", ConfigError, "no file system that is known"),
        ("memory://bucket/nothing.wav", DataError, "There is nothing at memory://bucket/nothing.wav"),
    ],
)
def test_addresses_that_lead_nowhere(bucket, url, kind, message):
    with pytest.raises(kind, match=message):
        scan(url)


def test_a_package_that_is_missing(monkeypatch):
    def missing(url):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(ConfigError, match="Install s3fs to access S3") as caught:
        below(located("s3://bucket"))
    assert "pip install 'deepcheck[s3]'" in caught.value.hint


def test_a_stamp_tells_a_new_content(bucket, tmp_path):
    [address] = below(located("memory://bucket/a.wav"))
    before = stamp_at(address)
    assert (before.place, before.size) == (str(address), len(bucket.cat("/bucket/a.wav")))
    assert fetch(address, tmp_path / "copy") == before == stamp_at(located(str(address)))
    bucket.pipe("/bucket/a.wav", b"x" * before.size)
    assert stamp_at(located(str(address))).mtime_ns != before.mtime_ns
    assert stamp_at(Address("http://x/a.wav", {"size": 3})) is None  # it may be another by tomorrow
    assert stamp_at(Address("s3://x/a.wav", {"size": 3, "ETag": "e", "LastModified": 1})) == stamp_at(
        Address("s3://x/a.wav", {"size": 3, "ETag": "e"})
    )
    with pytest.raises(AudioError, match="the file does not exist"):
        fetch(located("memory://bucket/nothing.wav"), tmp_path / "copy")


def test_results_are_those_of_the_files_and_no_copy_is_left(bucket, stored_model, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(local, "_FETCHED", 2)
    here = scan(tmp_path / "here", model=stored_model())
    away = scan("memory://bucket", model="tiny")
    assert len(away) == 3
    for one, other in zip(here, away, strict=True):
        assert to_record(one) | {"path": ""} == to_record(other) | {"path": ""}
        assert str(other.path).endswith(f"bucket/{one.path.relative_to(tmp_path / 'here')}")
    assert list((tmp_path / "temporary").iterdir()) == []


def test_what_is_known_is_not_fetched_again(bucket, stored_model, tmp_path, monkeypatch):
    fetched = []
    monkeypatch.setattr(local, "fetch", lambda address, place: fetched.append(address.name) or fetch(address, place))
    for new in ([], ["a.wav", "b.WAV", "c.flac"], ["b.WAV"], []):
        if new == ["b.WAV"]:
            bucket.pipe("/bucket/b.WAV", bucket.cat("/bucket/a.wav"))
        if new or fetched:
            with Scan(model=stored_model(), journal=tmp_path / "journals") as running:
                list(running.run("memory://bucket"))
            assert fetched == new
            assert {result.verdict for result in running.report()} <= {"spoof", "inconclusive", "bona fide"}
            fetched.clear()


def test_a_file_that_goes_or_changes_is_a_row_with_its_reason(bucket, stored_model, monkeypatch):
    found = discover(["memory://bucket"])
    bucket.rm("/bucket/a.wav")
    bucket.pipe("/bucket/b.WAV", b"another")
    with Scan(model=stored_model()) as running:
        reasons = {result.path.name: result.reason for result in running.run(found)}
    assert reasons == {
        "a.wav": "the file does not exist",
        "b.WAV": "the file changed while it was read",
        "c.flac": None,
    }


def test_on_the_command_line(bucket, stored_model, tmp_path):
    stored_model()

    def command(*arguments):
        return CliRunner().invoke(app, ["scan", "--model", "tiny", *map(str, arguments)])

    page = tmp_path / "report.html"
    result = command("memory://bucket", "--format", "jsonl", "-o", "-", "-o", page)
    assert result.exit_code == 0, result.stderr
    paths = [json.loads(line)["path"] for line in result.stdout.splitlines()]
    assert paths == [str(path) for path in discover(["memory://bucket"]).files]
    assert "the file is not on this computer" in page.read_text()
    (tmp_path / "list.txt").write_text("memory://bucket/a.wav\n")
    listed = command("--from-file", tmp_path / "list.txt", "--format", "jsonl")
    assert len(listed.stdout.splitlines()) == 1
    assert "1 of 1 files were scored by an earlier run" in listed.stderr
    assert "--watch takes folders on this computer" in command("memory://bucket", "--watch").stderr


def test_a_stamp_of_a_file_here_is_its_own(tmp_path):
    (tmp_path / "x").write_bytes(b"12")
    assert isinstance(stamp_at(tmp_path / "x"), Stamp)
    assert stamp_at(tmp_path / "y") is None
