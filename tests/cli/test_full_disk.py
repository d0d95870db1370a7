"""A disk that fills up costs nothing that was finished, and leaves nothing half written."""

import contextlib
import logging
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import speechlike, write_wav
from scanned import DONE, ERROR, journal, rows, scan, scores
from typer.testing import CliRunner

from deepcheck.cli.app import app

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture
def disk():
    """A disk of its own of so many bytes, mounted at a folder; there everything counts, not each file by itself."""
    mounted = []

    def mount(folder, size) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "deepcheck-test", str(folder)]
        made = subprocess.run(command, capture_output=True, text=True) if shutil.which("mount") else None
        if made is None or made.returncode:
            pytest.skip(f"no disk can be mounted here: {made.stderr.strip() if made else 'there is no mount'}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder) -> Path:
    """What takes all that is left there."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    assert shutil.disk_usage(folder).free == 0
    return filler


@contextlib.contextmanager
def no_file_above(size):
    """A limit for each file, which other systems than a full disk have, and which can be set where none can be mounted:
    a file takes so many bytes and no more."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def is_no_loss(inbox, tmp_path, home, caplog, fault, said):
    """Whether a scan under a `fault`, given half of what its journal takes, reports all files, remembers some, and so
    the next one goes on."""
    scan(inbox, "-o", tmp_path / "whole.csv", "--no-resume")
    files, size = len(list(inbox.iterdir())), journal(home).stat().st_size
    shutil.rmtree(home / "journals")
    with fault(size // 2), caplog.at_level(logging.WARNING):
        told = scan(inbox, "--format", "csv", "--quiet")
    assert said in caplog.text
    assert {name: row["llr"] for name, row in rows(told.stdout).items()} == scores(tmp_path / "whole.csv")
    kept = journal(home).read_bytes().count(b"\n")
    assert 0 < kept < files
    again = scan(inbox, "-o", tmp_path / "again.csv")
    assert f"{kept} of {files} files were scored by an earlier run" in again.stderr
    assert scores(tmp_path / "again.csv") == scores(tmp_path / "whole.csv")


def test_under_the_journal(inbox, tmp_path, home, disk, caplog):
    for i in range(6, 14):
        write_wav(inbox / f"{i}.wav", speechlike(1.2, seed=i % 7) * (0.5 + i / 100))

    @contextlib.contextmanager
    def small_disk(size):
        yield disk(home / "journals", size)

    is_no_loss(inbox, tmp_path, home, caplog, small_disk, "No space left on device")


def test_under_reports_and_models(inbox, tmp_path, home, disk):
    out = disk(tmp_path / "out", 1 << 16)
    scan(inbox, "-o", out / "report.csv")
    before, filler = (out / "report.csv").read_bytes(), fill(out)
    told = scan(inbox, "-o", out / "report.csv", code=ERROR)
    assert "No space left on device" in told.stderr
    assert (out / "report.csv").read_bytes() == before
    assert {path.name for path in out.iterdir()} == {"report.csv", "filler"}, "half a report was left"
    parent = shutil.copy(home / "models" / "tiny.safetensors", tmp_path)
    disk(home / "models", 1 << 21)
    fill(home / "models")
    grow = ["grow", str(parent), "--layer", "3", "--neurons", "8", "--name", "wider"]
    result = CliRunner().invoke(app, grow)
    assert result.exit_code == ERROR, result.output
    assert "No space left on device" in result.stderr
    assert [path.name for path in (home / "models").iterdir()] == ["filler"], "half a model was left"
    (home / "models" / "filler").unlink()
    shutil.copy(parent, home / "models")
    assert CliRunner().invoke(app, grow).exit_code == DONE
    filler.unlink()
    scan(inbox, "--prior", "0.2", "-o", out / "report.csv")
    assert (out / "report.csv").read_bytes() != before


def test_a_journal_that_may_not_grow(inbox, tmp_path, home, caplog):
    is_no_loss(inbox, tmp_path, home, caplog, no_file_above, "cannot be written")


def test_a_report_that_may_not_grow(inbox, tmp_path):
    out = tmp_path / "out"
    scan(inbox, "-o", out / "report.csv")
    before = (out / "report.csv").read_bytes()
    with no_file_above(100):
        told = scan(inbox, "-o", out / "report.csv", code=ERROR)
    assert "Error:" in told.stderr
    assert "report.csv" in told.stderr
    assert (out / "report.csv").read_bytes() == before
    assert [path.name for path in out.iterdir()] == ["report.csv"], "half a report was left"
