"""Against a Ray cluster on this computer: two workers, of which some are killed."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from conftest import speechlike, write_wav

from deepcheck.engine.model import load
from deepcheck.errors import ConfigError, DeepcheckError
from deepcheck.scanner.engines import ray as engine
from deepcheck.scanner.engines.judging import Judging
from deepcheck.scanner.engines.ray import Ray, _pool
from deepcheck.scanner.record import to_record
from deepcheck.scanner.run import Scan


def by_path(results):
    return {str(result.path): json.dumps(to_record(result)) for result in results}


def workers() -> list[int]:
    """The processes of the actors, all over this computer."""
    lines = ((path.parent.name, path.read_bytes()) for path in Path("/proc").glob("[0-9]*/cmdline"))
    return [int(pid) for pid, line in lines if line.startswith(b"ray::MapWorker")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    ray = pytest.importorskip("ray", reason="needs the extra ray")
    pytest.importorskip("ray.data", reason="needs the extra ray")
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]))
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
    yield ray
    ray.shutdown()
    patch.undo()


@pytest.mark.filterwarnings("default")  # those of Ray itself are not ours
def test_what_two_workers_say_of_which_both_are_killed_is_what_one_process_says(
    cluster, stored_model, tmp_path, monkeypatch, capfd, caplog
):
    files = [write_wav(tmp_path / f"voice{i:02}.wav", speechlike(1.2 + 0.1 * i, seed=i)) for i in range(12)]
    (tmp_path / "broken.wav").write_bytes(b"a letter")
    write_wav(tmp_path / "silent.wav", np.zeros(48_000, np.float32))
    paths = [tmp_path, f"file://{files[0]}"]
    with Scan(model=stored_model(), jobs=1, precision="fp32") as running:
        alone = by_path(running.run(paths))
    assert len(alone) == 15

    monkeypatch.setattr(engine, "_FILES", 1)
    journal = tmp_path / "journals"
    with Scan(model="tiny", engine="ray", journal=journal) as running:
        results = running.run(paths)
        first = next(results)
        killed = workers()
        assert len(killed) == 2
        for process in killed:
            os.kill(process, signal.SIGKILL)
        found = [first, *results]
    assert len(found) == 15
    assert by_path(found) == alone
    assert running.report().complete
    assert "A worker died" in caplog.text
    assert capfd.readouterr().out == ""

    with Scan(model="tiny", engine="ray", journal=journal) as running:
        assert by_path(running.run(paths)) == alone
    assert running.tally.known == 15


@pytest.mark.filterwarnings("default")
def test_what_a_worker_refuses_comes_in_its_words(cluster, stored_model, tmp_path, monkeypatch):
    file = write_wav(tmp_path / "voice.wav", speechlike(2.0))
    monkeypatch.setattr(engine, "code_digest", lambda: "of another version")
    with (
        pytest.raises(DeepcheckError, match="has another version of deepcheck"),
        Scan(model=stored_model(), engine="ray") as running,
    ):
        list(running.run(file))


def test_as_many_workers_as_there_are_cores_or_gpus_for():
    def pool(resources, **settings):
        return _pool(resources, Judging((), **settings))

    assert pool({"CPU": 16.0}) == (16, 1, 0)
    assert pool({"CPU": 16.0}, jobs=4) == (4, 4, 0)
    assert pool({"CPU": 2.0}, jobs=8) == (1, 2, 0)
    assert pool({"CPU": 16.0, "GPU": 2.0}) == (2, 8, 1)
    assert pool({"CPU": 16.0, "GPU": 2.0}, device="cpu") == (16, 1, 0)


def test_it_computes_with_torch(monkeypatch):
    monkeypatch.setattr(engine, "_require_ray", lambda: None)
    with pytest.raises(ConfigError, match="computes with PyTorch"):
        Ray(Judging((), runtime="onnx"))


def test_without_ray_it_says_what_to_install(stored_model, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(ConfigError, match='The engine "ray" needs Ray, which is not installed') as caught:
        Ray(Judging([load(stored_model())]))
    assert caught.value.hint == "pip install 'deepcheck[ray]'"
