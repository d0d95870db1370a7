"""Files as they arrive in a folder."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from deepcheck.errors import ConfigError, DataError
from deepcheck.scanner.discover import Found, look
from deepcheck.scanner.stamp import stamp


def arrivals(
    paths: Sequence[Path], interval_s: float = 2.0, sleep: Callable[[float], object] = time.sleep
) -> Iterator[Found]:
    """What is there and what comes to `paths`, for ever: at every look the files that are ready, mostly none.

    A file is ready when its size and time are what they were `interval_s` seconds before, and ready again when it
    has changed since; a folder that cannot be opened is told once. A folder may go and come back, as a network
    share does. `DataError` if no folder is there to begin with, `ConfigError` if `interval_s` is not above 0.
    """
    if not interval_s > 0:
        raise ConfigError(f"The interval of looking is {interval_s:g} s.", "Give a number of seconds above 0.")
    if not any(os.path.isdir(path) for path in paths):  # noqa: PTH112 - the method raises, as in `look`
        raise DataError(
            f"There is no folder to watch at {', '.join(map(str, paths[:3]))}.", "Make it first, or check the path."
        )
    return _arrivals(paths, interval_s, sleep)


def _arrivals(paths: Sequence[Path], interval_s: float, sleep: Callable[[float], object]) -> Iterator[Found]:
    before: dict[Path, tuple[int, int]] = {}
    taken: dict[Path, tuple[int, int]] = {}
    told: set[Path] = set()
    while True:
        found = look(paths)
        now = {path: state for path in found.files if (state := _state(path)) is not None}
        ready = [path for path, state in now.items() if before.get(path) == state != taken.get(path)]
        # What has gone is forgotten: a watch of months must not grow.
        taken = {path: state for path, state in taken.items() if path in now} | {path: now[path] for path in ready}
        locked = tuple((path, why) for path, why in found.unreadable if path not in told)
        told.update(path for path, _ in locked)
        yield Found(tuple(ready), locked)
        before = now
        sleep(interval_s)


def _state(path: Path) -> tuple[int, int] | None:
    there = stamp(path)
    return None if there is None else (there.size, there.mtime_ns)
