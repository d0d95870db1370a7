import dataclasses
import hashlib
import json
import logging
import math
import os
import shutil
import threading
from pathlib import Path

import pytest

from deepcheck.audio.quality import Quality
from deepcheck.engine.score import WindowScore
from deepcheck.metrics.calibration import Thresholds
from deepcheck.scanner.journal import Journal, folder_of
from deepcheck.scanner.result import Basis, FileResult, Stretch
from deepcheck.scanner.stamp import Stamp, stamp

BASIS = Basis("tiny", "ab" * 32, "1.0", Thresholds(-1.0, 1.0), 0.5, created="2026-01-02T03:04:05+00:00")


@pytest.fixture
def journals(tmp_path) -> Path:
    return tmp_path / "journals"


@pytest.fixture
def recording(tmp_path) -> Path:
    path = tmp_path / "in" / "voice.wav"
    path.parent.mkdir()
    path.write_bytes(b"sound")
    return path


def result(path: Path, llr: float = -2.0) -> FileResult:
    """As a scan makes it, the odd numbers included."""
    windows = (
        WindowScore(0.0, 4.0, llr, Quality.SPEECH, 0.9),
        WindowScore(2.0, 6.0, math.nan, Quality.NO_SPEECH, 0.1),
    )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return FileResult(
        path, "scored", "spoof", llr, 1 / 3, 6.0, 0.1 + 0.2, Stretch(0.0, 4.0, llr), windows=windows, sha256=digest
    )


def remember(journals: Path, path: Path, *results: FileResult) -> None:
    with Journal(journals, BASIS) as journal:
        for one in results or (result(path),):
            journal.add(stamp(path), one)


def recall(journals: Path, path: Path, basis: Basis = BASIS) -> FileResult | None:
    with Journal(journals, basis) as journal:
        return journal.find(path, stamp(path))


def the_file(journals: Path) -> Path:
    [path] = journals.glob("*/*.jsonl")
    return path


def test_what_was_added_is_found_again_to_the_last_bit(journals, recording):
    remember(journals, recording)
    found = recall(journals, recording)
    assert repr(found) == repr(result(recording))  # NaN is not equal to itself


def test_a_journal_finds_what_it_was_given_itself(journals, recording):
    with Journal(journals, BASIS) as journal:
        journal.add(stamp(recording), result(recording))
        assert journal.find(recording, stamp(recording)).llr == -2.0
        assert len(journal) == 1


def test_the_path_is_as_it_is_asked_for(journals, recording, monkeypatch):
    """Whether relative, absolute, through a link or from another folder: it is the same file."""
    remember(journals, recording)
    monkeypatch.chdir(recording.parent)
    link = Path("link.wav")
    link.symlink_to(recording)
    for path in (Path("voice.wav"), Path("../in/voice.wav"), link):
        assert recall(journals, path).path == path
    copy = recording.with_name("copy.wav")
    copy.write_bytes(recording.read_bytes())
    assert recall(journals, copy) is None  # same content, but nobody looked


def test_a_changed_file_is_not_found(journals, recording):
    remember(journals, recording)
    recording.write_bytes(b"other sound")
    assert recall(journals, recording) is None


def test_a_change_that_keeps_size_and_time_is_noticed(journals, recording):
    remember(journals, recording)
    before = recording.stat()
    recording.write_bytes(b"SOUND")
    os.utime(recording, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert stamp(recording).mtime_ns == before.st_mtime_ns
    assert recall(journals, recording) is None


def test_times_alone_do_not_make_it_another_file(journals, recording):
    remember(journals, recording)
    os.utime(recording, ns=(0, 0))
    assert recall(journals, recording).llr == -2.0
    recording.chmod(0o600)
    assert recall(journals, recording).llr == -2.0


def test_after_new_times_were_checked_once_the_file_is_not_read_again(journals, recording, monkeypatch):
    remember(journals, recording)
    os.utime(recording, ns=(0, 0))
    assert recall(journals, recording) is not None
    monkeypatch.setattr("deepcheck.scanner.journal.digest", lambda path: pytest.fail("read again"))
    assert recall(journals, recording) is not None


def test_the_last_line_about_a_file_counts(journals, recording):
    remember(journals, recording, result(recording, 1.0), result(recording, 2.0))
    assert recall(journals, recording).llr == 2.0


def test_saying_the_same_again_adds_nothing(journals, recording):
    remember(journals, recording)
    size = the_file(journals).stat().st_size
    remember(journals, recording)
    assert the_file(journals).stat().st_size == size
    remember(journals, recording, result(recording, 1.0))
    assert the_file(journals).stat().st_size > size


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"model_sha256": "cd" * 32},
        {"version": "1.1"},
        {"thresholds": Thresholds(-2.0, 1.0)},
        {"prior": 0.1},
        {"bands": (("telephone", Thresholds(-3.0, 3.0)),)},
        {"settings": (("threshold", "-2.0"),)},
        {"models": (BASIS,)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_model_other_settings_another_version(journals, recording, change):
    remember(journals, recording)
    assert recall(journals, recording, dataclasses.replace(BASIS, **change)) is None
    assert recall(journals, recording) is not None


def test_other_code(journals, recording, monkeypatch):
    remember(journals, recording)
    monkeypatch.setattr("deepcheck.scanner.journal.code_digest", lambda: "other")
    assert recall(journals, recording) is None


def test_the_code_is_what_makes_results(tmp_path, monkeypatch):
    from deepcheck.scanner import provenance

    copy = tmp_path / "deepcheck"
    shutil.copytree(Path(provenance.__file__).parent.parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "__file__", str(copy / "scanner" / "provenance.py"))
    digest = provenance.code_digest.__wrapped__
    assert digest() == provenance.code_digest()
    (copy / "cli" / "scan.py").write_text("# shows results")
    (copy / "audio" / "notes.txt").write_text("no code")
    assert digest() == provenance.code_digest()
    (copy / "scanner" / "judge.py").write_text("# makes results")
    assert digest() != provenance.code_digest()
    before = digest()
    monkeypatch.setattr(provenance, "version", lambda name: "2.0")
    assert digest() != before


def test_the_time_of_the_scan_does_not_matter(journals, recording):
    remember(journals, recording)
    assert recall(journals, recording, dataclasses.replace(BASIS, created="later")) is not None


def test_nor_does_that_of_any_of_several_models(journals):
    at = [dataclasses.replace(BASIS, created=time, models=(dataclasses.replace(BASIS, created=time),)) for time in "ab"]
    assert folder_of(journals, at[0]) == folder_of(journals, at[1])
    other = dataclasses.replace(at[0], models=(dataclasses.replace(BASIS, model_sha256="cd" * 32),))
    assert folder_of(journals, other) != folder_of(journals, at[0])


def test_any_name_of_a_model_makes_a_folder_below_the_journals(journals):
    for name in ("hf:owner/name", "../../etc", "a" * 300, "模型", ".."):
        folder = folder_of(journals, dataclasses.replace(BASIS, model=name))
        assert folder.parent == journals
        assert folder.resolve().parent == journals.resolve()
        assert len(folder.name) < 100


@pytest.mark.parametrize(
    "name", [b"caf\xe9.wav".decode("utf-8", "surrogateescape"), "new\nline.wav", "音.wav", '"].wav']
)
def test_any_name_of_a_file(journals, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"x")
    remember(journals, path)
    assert recall(journals, path).path == path
    assert the_file(journals).read_bytes().count(b"\n") == 1


def test_a_file_that_could_not_be_read_is_tried_again(journals, recording):
    remember(journals, recording, FileResult(recording, reason="no permission to read the file"))
    assert recall(journals, recording) is None


def test_a_bad_file_is_remembered(journals, recording):
    digest = hashlib.sha256(recording.read_bytes()).hexdigest()
    remember(journals, recording, FileResult(recording, reason="the file is truncated", sha256=digest))
    assert recall(journals, recording).reason == "the file is truncated"


def test_a_pipe_in_the_place_of_an_empty_file_is_not_waited_for(journals, recording):
    recording.write_bytes(b"")
    remember(journals, recording)
    recording.unlink()
    os.mkfifo(recording)
    assert recall(journals, recording) is None


# --- a process that ended in the middle, and others at the same time


@pytest.mark.parametrize(("left", "whole"), [(1, False), (20, False), (200, False), (-2, False), (-1, True)])
def test_a_torn_last_line_is_passed_over_and_ends_there(journals, tmp_path, left, whole):
    paths = [tmp_path / f"{i}.wav" for i in range(3)]
    for i, path in enumerate(paths):
        path.write_bytes(bytes(i + 1))
        remember(journals, path)
    file = the_file(journals)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:2]) + lines[2][:left])
    assert [recall(journals, path) is not None for path in paths] == [True, True, whole]
    remember(journals, paths[2])
    assert all(recall(journals, path) for path in paths)


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\0" * 5000,
        b"\xff\xfe\n\n\n",
        b'{"file": ["/x", 1, 2, 3], "result": {}}\n',
        b'{"file": [1, 2, 3, 4], "result": {}}\n{"file": "/x"}\nnull\n[]\n',
        b'{"file": ' + b"[" * 100_000 + b"}\n",
        b'{"file": ["\\ud800", 1, 2, 3], "result": {}}\n',
    ],
)
def test_rubbish_is_passed_over(journals, recording, rubbish):
    remember(journals, recording)
    file = the_file(journals)
    file.write_bytes(rubbish + b"\n" + file.read_bytes() + rubbish)
    assert recall(journals, recording) is not None


def test_a_line_that_says_something_else_of_a_result_means_scoring_again(journals, recording):
    """As after an update that changed what results are made of."""
    remember(journals, recording)
    file = the_file(journals)
    line = json.loads(file.read_text())
    del line["result"]["verdict"]
    file.write_text(json.dumps(line) + "\n")
    assert recall(journals, recording) is None


def test_two_scans_at_once_lose_nothing(journals, tmp_path):
    paths = []
    for i in range(200):
        path = tmp_path / f"{i}.wav"
        path.write_bytes(b"%d" % i)
        paths.append(path)

    def add(mine):
        with Journal(journals, BASIS) as journal:
            for path in mine:
                journal.add(stamp(path), result(path))
                assert journal.find(path, stamp(path)).path == path

    threads = [threading.Thread(target=add, args=[paths[i::2] + paths[:20]]) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Journal(journals, BASIS) as journal:
        assert len(journal) == 200
        for path in paths:
            assert repr(journal.find(path, stamp(path))) == repr(result(path))


def test_what_another_computer_wrote_counts_as_well(journals, recording, monkeypatch):
    monkeypatch.setattr("platform.node", lambda: "first")
    remember(journals, recording)
    monkeypatch.setattr("platform.node", lambda: "second/..\n")
    assert recall(journals, recording) is not None
    other = recording.with_name("other.wav")
    other.write_bytes(b"other")
    remember(journals, other)
    assert len(list(journals.glob("*/*.jsonl"))) == 2
    assert recall(journals, recording) is not None


# --- no place to write


def test_a_place_that_cannot_be_written_is_a_warning(tmp_path, recording, caplog):
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING), Journal(tmp_path / "file" / "journals", BASIS) as journal:
        journal.add(stamp(recording), result(recording))
        assert journal.find(recording, stamp(recording)) is None
    [record] = caplog.records
    assert "cannot be written" in record.getMessage()


def test_a_full_disk_is_a_warning_and_what_was_written_before_stays(journals, recording, caplog, monkeypatch):
    other = recording.with_name("other.wav")
    other.write_bytes(b"other")
    real = os.write
    with caplog.at_level(logging.WARNING), Journal(journals, BASIS) as journal:
        journal.add(stamp(recording), result(recording))
        monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:10]))  # what still fits
        journal.add(stamp(other), result(other))
        monkeypatch.setattr(os, "write", real)
        journal.add(stamp(other), result(other))
    [record] = caplog.records
    assert "No space left" in record.getMessage()
    assert recall(journals, recording) is not None
    assert recall(journals, other) is None
    remember(journals, other)
    assert recall(journals, other) is not None


def test_a_journal_that_may_only_be_read_is_read(journals, recording, caplog, monkeypatch):
    remember(journals, recording)
    real = os.open

    def refuse(path, flags, *arguments, **settings):
        if flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, *arguments, **settings)

    monkeypatch.setattr(os, "open", refuse)
    with caplog.at_level(logging.WARNING):
        assert recall(journals, recording) is not None
    assert "Permission denied" in caplog.text


def test_only_its_owner_may_read_it(journals, recording):
    remember(journals, recording)
    assert the_file(journals).stat().st_mode & 0o077 == 0


# --- stamps


def test_stamp(recording, tmp_path):
    now = stamp(recording)
    assert now == Stamp(os.path.realpath(recording), 5, recording.stat().st_mtime_ns, recording.stat().st_ctime_ns)
    (tmp_path / "link.wav").symlink_to(recording)
    assert stamp(tmp_path / "link.wav") == now
    assert stamp(tmp_path / "gone.wav") is None
    assert stamp(Path("nul\0byte")) is None
