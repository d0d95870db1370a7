"""Scanning within this process."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from deepcheck.errors import AudioError
from deepcheck.scanner.address import Address, fetch
from deepcheck.scanner.engines.judging import Files, Judging, Results
from deepcheck.scanner.judge import UNREADABLE
from deepcheck.scanner.passing import passing_folder
from deepcheck.scanner.result import Basis, FileResult
from deepcheck.scanner.stamp import Stamp, digest, stamp

_FETCHED = 16  # files at a time, while as many more are fetched
_CHANGED = "the file changed while it was read"


class Local:
    """Judges files in this process; what lies elsewhere is fetched into a temporary folder, a few files at a time."""

    def __init__(self, judging: Judging) -> None:
        self._panel = judging.panel()
        self._jobs, self._timeout_s = judging.jobs, judging.timeout_s

    def basis(self) -> Basis:
        """As `Panel.basis`."""
        return self._panel.basis()

    def results(self, files: Files) -> Results:
        """As every engine; files that lie elsewhere come last."""
        here = [index for index, (path, _) in enumerate(files) if not isinstance(path, Address)]
        for number, result in self._panel.results([files[i][0] for i in here], self._jobs, self._timeout_s):
            yield here[number], _sealed(result, files[here[number]][1])
        away = [index for index in range(len(files)) if isinstance(files[index][0], Address)]
        if away:
            yield from self._fetched(files, away)

    def close(self) -> None:
        """Nothing is held."""

    def _fetched(self, files: Files, away: Sequence[int]) -> Results:
        groups = [away[start : start + _FETCHED] for start in range(0, len(away), _FETCHED)]
        with passing_folder("fetched") as folder, ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(_fetch, files, groups[0], folder)
            for number, group in enumerate(groups):
                came = coming.result()
                if number + 1 < len(groups):
                    coming = ahead.submit(_fetch, files, groups[number + 1], folder)
                yield from self._of_copies(files, group, came)

    def _of_copies(self, files: Files, group: Sequence[int], came: Sequence["Path | FileResult"]) -> Results:
        copies: list[tuple[int, Path]] = []
        for index, copy in zip(group, came, strict=True):
            if isinstance(copy, FileResult):
                yield index, copy
            else:
                copies.append((index, copy))
        judged = self._panel.results([copy for _, copy in copies], self._jobs, self._timeout_s)
        for number, result in judged:
            index, copy = copies[number]
            whole = replace(result, path=files[index][0], sha256=digest(copy))
            with suppress(OSError):
                copy.unlink()
            yield index, whole


def _fetch(files: Files, group: Sequence[int], folder: Path) -> list[Path | FileResult]:
    return [_fetch_one(*files[index], folder / f"{index}{files[index][0].suffix}") for index in group]


def _fetch_one(path: Path, before: Stamp | None, place: Path) -> Path | FileResult:
    assert isinstance(path, Address)
    try:
        now = fetch(path, place)
    except AudioError as error:
        return FileResult(path, UNREADABLE, reason=error.message)
    return place if _content(now) == _content(before) else FileResult(path, UNREADABLE, reason=_CHANGED)


def _sealed(result: FileResult, before: Stamp | None) -> FileResult:
    """With the SHA-256 of the file, if that and the score are of the same content; else a result that says so."""
    result = replace(result, sha256=digest(result.path))
    if _content(stamp(result.path)) != _content(before):  # still being copied: neither would be its own
        return FileResult(result.path, UNREADABLE, reason=_CHANGED)
    return result


def _content(seen: Stamp | None) -> tuple[int, int] | None:
    return None if seen is None else (seen.size, seen.mtime_ns)
