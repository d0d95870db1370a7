"""Scanning on the machines of a Ray cluster: each worker is an actor that judges as a scan of one machine does."""

import json
import logging
import os
import platform
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

from deepcheck.checkpoint import snapshot
from deepcheck.engine.model import Model
from deepcheck.errors import ConfigError, DeepcheckError
from deepcheck.scanner.address import located
from deepcheck.scanner.engines.judging import Files, Judging, Results
from deepcheck.scanner.engines.local import Local
from deepcheck.scanner.provenance import code_digest
from deepcheck.scanner.record import from_record, to_record
from deepcheck.scanner.result import Basis
from deepcheck.scanner.stamp import Stamp

_log = logging.getLogger(__name__)

_FILES = 16  # of one task, which is what a worker that dies takes with it
_NO_FILE = -1
_RETRIES = 3
"""How often a task is given to another worker: more often, and it is the task that kills them."""


class Ray:
    """Hands files to a pool of actors, as many as the cluster has cores or GPUs for; takes results as they come.

    A task whose worker died is done by another one. `jobs` are the cores of one worker; each has the models in memory.
    `RAY_ADDRESS` says which cluster, else it is the one of this machine, else one that is started for this scan.
    """

    def __init__(self, judging: Judging) -> None:
        _require_ray()
        if judging.runtime == "onnx":
            raise ConfigError('The engine "ray" computes with PyTorch.', "Leave out --runtime onnx, or --engine ray.")
        # Not by what suits this machine: the others may be of another kind.
        precision = "fp32" if judging.precision == "auto" else judging.precision
        self._judging = replace(judging, runtime="torch", precision=precision)
        # Of the panel here only the words are wanted: the GPU may be elsewhere.
        self._basis = replace(self._judging, device="cpu").panel().basis()
        self._began = False

    def basis(self) -> Basis:
        """As `Panel.basis`."""
        return self._basis

    def results(self, files: Files) -> Results:
        """As every engine. `DeepcheckError` where the cluster fails, or a task has killed its workers four times."""
        if not files:
            return
        self._begin()
        import ray

        try:
            for batch in self._judged(files).iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                for index, record in zip(*(batch[name].to_pylist() for name in ("index", "record")), strict=True):
                    if index == _NO_FILE:
                        raise DeepcheckError(*json.loads(record))
                    yield index, from_record(json.loads(record))
        except ray.exceptions.RayError as error:
            raise DeepcheckError(
                f"The Ray cluster failed ({_line(error)}).",
                "What is finished is kept: the same command goes on. Workers that die again and again may lack memory: "
                "--jobs gives each more cores, and makes them fewer.",
            ) from error

    def close(self) -> None:
        """Leaves the cluster, and ends it if it was started for this scan."""
        if self._began:
            import ray

            ray.shutdown()
            self._began = False

    def _begin(self) -> None:
        import ray

        _keep_off_stdout()
        if ray.is_initialized():
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a scan tells nobody anything
        try:
            with _own_signals():
                ray.init(log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise DeepcheckError(f"No Ray cluster can be reached or started ({_line(error)}).") from error
        self._began = True

    def _judged(self, files: Files) -> Any:
        import ray
        from ray.data import ActorPoolStrategy, DataContext

        context = DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        size, cores, gpus = _pool(ray.cluster_resources(), self._judging)
        # Plain data, of which each worker builds the models as a file is read; once, however many workers there are.
        sent = ray.put(
            [(snapshot(one.detector, one.card, one.evidence), one.path, one.sha256) for one in self._judging.models]
        )
        tasks = [{"task": json.dumps([i, os.fspath(path), _plain(seen)])} for i, (path, seen) in enumerate(files)]
        each = max(1, min(_FILES, len(tasks) // size))
        blocks = -(-len(tasks) // each)
        with warnings.catch_warnings():
            # Of the arguments by name, with which this is to be said one day, none says how often.
            warnings.filterwarnings("ignore", message=".*ray_remote_args_fn")
            return ray.data.from_items(tasks, override_num_blocks=blocks).map_batches(
                Worker,
                batch_size=None,
                batch_format="pyarrow",
                compute=ActorPoolStrategy(size=min(size, blocks)),
                num_cpus=cores,
                num_gpus=gpus,
                ray_remote_args_fn=lambda: {"max_restarts": -1, "max_task_retries": _RETRIES},
                fn_constructor_args=(sent, replace(self._judging, models=(), jobs=cores), code_digest()),
            )


class Worker:
    """What an actor holds: models that judge as in `Local`; called with a table of tasks, it returns one of results.

    `sent` is a reference to (checkpoint, path, SHA-256) of each model, which `judging` leaves out; the code has to be
    that of `code`, or the worker refuses. What it raises for the user comes as the record of no file.
    """

    def __init__(self, sent: Any, judging: Judging, code: str) -> None:
        self._sent, self._judging, self._code = sent, judging, code

    @cached_property
    def _engine(self) -> Local:
        import ray

        if code_digest() != self._code:
            raise ConfigError(
                f"{platform.node()} has another version of deepcheck, or of a package that it computes with.",
                "Install the same versions on every machine of the cluster.",
            )
        models = [
            Model(sent.build(), sent.card, path, sha256, sent.evidence) for sent, path, sha256 in ray.get(self._sent)
        ]
        return Local(replace(self._judging, models=models))

    def __call__(self, table: Any) -> Any:
        import pyarrow

        tasks = [json.loads(task) for task in table["task"].to_pylist()]
        files = [(located(path), Stamp(*seen) if seen else None) for _, path, seen in tasks]
        try:
            found = [(tasks[i][0], json.dumps(to_record(result))) for i, result in self._engine.results(files)]
        except DeepcheckError as error:
            found = [(_NO_FILE, json.dumps([error.message, error.hint]))]
        return pyarrow.table({"index": [index for index, _ in found], "record": [record for _, record in found]})


def _pool(resources: dict[str, float], judging: Judging) -> tuple[int, int, int]:
    """(workers, cores of each, GPUs of each) in a cluster of so many "CPU" and "GPU"."""
    cores = max(1, int(resources.get("CPU", 1)))
    gpus = int(resources.get("GPU", 0)) if judging.device != "cpu" else 0
    own = min(judging.jobs or max(1, cores // gpus if gpus else 1), cores)
    return gpus or cores // own, own, 1 if gpus else 0


def _plain(seen: Stamp | None) -> Sequence[Any] | None:
    return None if seen is None else (seen.place, seen.size, seen.mtime_ns, seen.ctime_ns)


def _require_ray() -> None:
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f'The engine "ray" needs Ray, which is not installed ({_line(error)}).', "pip install 'deepcheck[ray]'"
        ) from None


@contextmanager
def _own_signals() -> Iterator[None]:
    """Whoever handled signals before the block does so after it: Ray takes SIGTERM for itself, and then aborts."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


def _keep_off_stdout() -> None:
    """Ray prints what befalls its workers to stdout, which is for results, and has no setting for it."""
    from ray._private import worker

    said: set[str] = set()

    def warn(data: dict[str, Any], *_: Any, **__: Any) -> None:
        sentence = " ".join(data.get("lines", ())).partition(". ")[0][:300]
        if sentence not in said:
            said.add(sentence)
            _log.warning("Ray: %s.", sentence)

    worker.print_to_stdstream = warn


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:200]
