"""Scanning: paths in, a report out."""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from deepcheck.audio import isolated
from deepcheck.audio.isolated import GIVEN_UP, TIMEOUT_S
from deepcheck.engine.model import Model, load
from deepcheck.errors import ConfigError
from deepcheck.scanner.address import stamp_at
from deepcheck.scanner.discover import Found, discover
from deepcheck.scanner.engines import ENGINES
from deepcheck.scanner.engines.judging import Engine, Judging
from deepcheck.scanner.journal import Journal
from deepcheck.scanner.judge import UNREADABLE
from deepcheck.scanner.result import FileResult, Report
from deepcheck.scanner.shard import Shard
from deepcheck.scanner.stamp import Stamp
from deepcheck.scanner.tally import Tally

Models = str | Path | Model | Sequence[str | Path | Model] | None


def scan(
    paths: str | Path | Iterable[str | Path],
    *,
    model: Models = None,
    labels: str | None = None,
    threshold: float | None = None,
    prior: float = 0.5,
    device: str = "auto",
    precision: str = "auto",
    runtime: str = "auto",
    engine: str = "local",
    jobs: int | None = None,
    timeout_s: float = TIMEOUT_S,
    shard: str | Shard | None = None,
    journal: Path | None = None,
    resume: bool = True,
    progress: Callable[[FileResult | None, int], None] | None = None,
) -> Report:
    """Score every recording in `paths` (files, and folders with all below them); one `FileResult` each.

    `shard` such as `2/8` takes only that part of the files. The other arguments are those of `Scan`.
    `progress(result, total)` is called once with None at the start and then after each file.

    A file that cannot be read or judged becomes a result with its reason. Raises `DeepcheckError` only where
    nothing could be done at all: no such model, no audio in `paths`, no such device, a prior outside (0, 1).
    """
    part = Shard.parse(shard) if isinstance(shard, str) else shard
    found = discover([paths] if isinstance(paths, str | Path) else paths)
    if part is not None:
        found = part.of(found)
    with Scan(
        model=model,
        labels=labels,
        threshold=threshold,
        prior=prior,
        device=device,
        precision=precision,
        runtime=runtime,
        engine=engine,
        jobs=jobs,
        timeout_s=timeout_s,
        journal=journal,
        resume=resume,
    ) as running:
        if progress:
            progress(None, len(found.files))
        for result in running.run(found):
            if progress:
                progress(result, len(found.files))
        return running.report()


class Scan:
    """A scan under way, to be used in a `with` block: results as they come, and at any moment the report of them.

    `model` is a name, a file, `hf:owner/name` or what `load` returned, or several of these (`panel.Panel` says how they
    judge together); without one the current model. `labels` say what those of a model of the hub mean, such as
    `spoof=fake,bonafide=real`. `threshold` replaces the log-likelihood ratio at or below which a recording is called
    spoof; `prior` is the probability of spoof before anything was heard, and changes `p_spoof` alone. `precision` is
    fp32, bf16 or auto, `runtime` torch, onnx or auto (`panel.Panel`). `jobs` processes decode, and none works at a file
    for longer than `timeout_s` (`isolated.decode`). `engine` says where all that is computed: in this process, or on a
    Ray cluster (`engines`).

    `journal` is a folder in which results are remembered file by file (`journal.Journal`; the command line takes
    `store.home() / "journals"`); files that have not changed since are then not scored again, in this scan or a
    later one, unless `resume` is false. Those in `passing` are left out of it, since they will not be there again, and
    those that the decoder gave up, which says little of their content.

    Raises `DeepcheckError` where no file could be scored at all: no such model or device, a prior outside (0, 1).
    """

    def __init__(
        self,
        *,
        model: Models = None,
        labels: str | None = None,
        threshold: float | None = None,
        prior: float = 0.5,
        device: str = "auto",
        precision: str = "auto",
        runtime: str = "auto",
        engine: str = "local",
        jobs: int | None = None,
        timeout_s: float = TIMEOUT_S,
        journal: Path | None = None,
        resume: bool = True,
        passing: Collection[Path] = (),
    ) -> None:
        if not timeout_s > 0:
            raise ConfigError(f"The time limit for a file is {timeout_s:g} s.", "Give more than 0.")
        isolated.warm()
        many = [model] if model is None or isinstance(model, str | Path | Model) else model
        self.models = [one if isinstance(one, Model) else load(one, labels=labels) for one in many]
        judging = Judging(self.models, threshold, prior, device, precision, runtime, jobs, timeout_s)
        self._engine: Engine = ENGINES.resolve(engine)(judging)
        self.basis = self._engine.basis()
        self.tally = Tally()
        self._resume = resume
        self._passing = frozenset(passing)
        self._journal = Journal(journal, self.basis) if journal is not None else None
        self._results: dict[Path, FileResult | None] = {}
        self._open = ExitStack()
        self._running: Generator[FileResult, None, None] = self._run([])

    def __enter__(self) -> Self:
        if self._journal is not None:
            self._open.enter_context(self._journal)
        self._open.callback(self._engine.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()  # or threads would go on decoding for whoever was interrupted
        self._open.close()

    def run(self, paths: str | Path | Iterable[str | Path] | Found) -> Iterator[FileResult]:
        """Each result as soon as it is there: what the journal knows, then what has to be scored, in no order.

        `paths` are files and folders, or what `discover` found. A file that is run again, since it has changed, takes
        the place of its older result. `tally` is that of the last run.
        """
        found = paths if isinstance(paths, Found) else discover([paths] if isinstance(paths, str | Path) else paths)
        files = [(path, stamp_at(path)) for path in found.files]
        self._results |= dict.fromkeys(found.files)
        for path, why in found.unreadable:
            self._results[path] = FileResult(path, UNREADABLE, reason=why)
        self.tally = Tally(len(files))
        self._running.close()
        self._running = self._run(files)
        return self._running

    def _run(self, files: list[tuple[Path, Stamp | None]]) -> Generator[FileResult, None, None]:
        pending = []
        for path, now in files:
            known = self._known(path, now)
            if known is None:
                pending.append((path, now))
                self.tally.size += now.size if now else 0
            else:
                yield self._take(known, None)
        for index, result in self._engine.results(pending):
            before = pending[index][1]
            self._remember(result, before)
            yield self._take(result, before.size if before else 0)

    def report(self) -> Report:
        """The results so far in the order of the files; not `complete` if some are still to come."""
        done = tuple(result for result in self._results.values() if result is not None)
        return Report(done, self.basis, complete=len(done) == len(self._results))

    def _known(self, path: Path, now: Stamp | None) -> FileResult | None:
        if self._journal is None or not self._resume or now is None:
            return None
        return self._journal.find(path, now)

    def _remember(self, result: FileResult, before: Stamp | None) -> None:
        passing = result.path in self._passing or GIVEN_UP in (result.reason or "")
        if self._journal is not None and before is not None and not passing:
            self._journal.add(before, result)

    def _take(self, result: FileResult, size: int | None) -> FileResult:
        self._results[result.path] = result
        self.tally.add(result, size)
        return result
