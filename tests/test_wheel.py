"""The wheel carries the shipped detector and works without the repository."""

import csv
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
import yaml
from conftest import speechlike, write_wav

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel in it; its dependencies are those of the environment of the tests."""
    place = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = place.glob("*.whl")
    venv.create(place / "env", with_pip=False)
    python = place / "env" / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", str(wheel)],
        check=True,
        capture_output=True,
    )
    [packages] = (place / "env" / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place / "env"


def run(environment: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [str(environment / "bin" / arguments[0]), *arguments[1:]]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_package_comes_from_the_wheel_with_every_shipped_model(installed: Path, tmp_path: Path) -> None:
    code = "import deepcheck.store as s; print(s.__file__); print([e.path.is_file() for e in s.entries()])"
    done = run(installed, "python", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    where, models = done.stdout.splitlines()
    assert Path(where).is_relative_to(installed)
    catalogue = yaml.safe_load((ROOT / "weights" / "catalogue.yaml").read_text())
    assert models == str([True] * len(catalogue))


def test_scan_with_the_shipped_detector(installed: Path, tmp_path: Path) -> None:
    write_wav(tmp_path / "recordings" / "voice.wav", speechlike(5.0))
    (tmp_path / "recordings" / "empty.wav").touch()
    done = run(installed, "deepcheck", "scan", "recordings", "--format", "csv", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    rows = {row["path"]: row for row in csv.DictReader(done.stdout.splitlines())}
    assert rows["recordings/voice.wav"]["verdict"] in {"spoof", "inconclusive", "bona fide"}
    assert rows["recordings/empty.wav"]["reason"] == "the file is empty"


def test_no_module_of_the_package_needs_the_repository(installed: Path, tmp_path: Path) -> None:
    done = run(installed, "deepcheck", "models", "list", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "in the package" in done.stdout
