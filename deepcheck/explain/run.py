"""Explaining what a scan found: of each file the most suspicious stretch."""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepcheck.audio.decode import SAMPLE_RATE, Waveform
from deepcheck.audio.isolated import decode
from deepcheck.engine.model import Model
from deepcheck.errors import AudioError, DataError
from deepcheck.explain import EXPLAINERS
from deepcheck.explain.explanation import Explanation, explain
from deepcheck.explain.render import save
from deepcheck.files import exact
from deepcheck.scanner.result import FileResult
from deepcheck.scanner.stamp import digest

_CHANGED = "the file has changed since it was scanned"
_LONGEST_NAME = 40  # characters, of up to four bytes: file systems take 255 of these


@dataclass(frozen=True, eq=False)
class Explained:
    """A result of a scan with the `explanation` of its most suspicious stretch, or the `reason` why there is none.

    `picture` is the file that it was drawn into, if a folder was given.
    """

    result: FileResult
    explanation: Explanation | None = None
    reason: str | None = None
    picture: Path | None = None


def explain_report(
    model: Model, results: Iterable[FileResult], folder: Path | None = None, method: str | None = None
) -> Iterator[Explained]:
    """Of every scored file in `results`, a `Report` for instance, one at a time: what in it speaks for a spoof.

    For `--explain DIR` give the `folder`: it is made if need be, and gets a PNG a file, named by `picture_name`. For a
    report that embeds pictures, none is needed:

        pictures = {
            each.result.path: png_bytes(each.explanation)
            for each in explain_report(model, report)
            if each.explanation is not None
        }

    `model` is one that the files were scored with, and stays on the device where it is; if there were several, it gives
    its own view of the stretch that all of them together found most suspicious. `method` is a row of `EXPLAINERS`, by
    default the one that suits the detector.

    A file is decoded again as far as the end of its stretch, of which alone is kept in memory. One that has vanished or
    changed since, or cannot be read any more, comes with its reason. Raises `DataError` if the folder cannot be written
    to, `ConfigError` for a method that does not exist or does not suit the detector.
    """
    if method is not None:
        EXPLAINERS.resolve(method)
    if folder is not None:
        _require_place(folder)
    return (
        _explained(model, result, folder, method)
        for result in results
        if result.verdict is not None and result.suspicious is not None
    )


def picture_name(path: Path) -> str:
    """The name of a recording's picture: its own as far as any system takes it, and a number that tells it from others.

    The number depends on the path as it is given; `a/call.m4a` becomes `call.m4a-6b1c0d8f4e.png` or the like.
    """
    kept = "".join(c if c.isalnum() or c in "-_." else "_" for c in path.name)[:_LONGEST_NAME].strip(".-_")
    return f"{kept or 'recording'}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:10]}.png"


def _explained(model: Model, result: FileResult, folder: Path | None, method: str | None) -> Explained:
    try:
        start, count = _place(result, model.detector.window_s)
        samples = _reread(result.path, start, count)
        if result.sha256 is not None and digest(result.path) != result.sha256:
            return Explained(result, reason=_CHANGED)
        explanation = explain(model.detector, samples, start / SAMPLE_RATE, method)
    except (AudioError, DataError) as error:
        return Explained(result, reason=error.message)
    if folder is None:
        return Explained(result, explanation)
    picture = folder / picture_name(result.path)
    try:
        save(explanation, picture, _title(result))
    except OSError as error:
        raise DataError(f"The picture cannot be written to {picture}: {error.strerror}.") from None
    return Explained(result, explanation, picture=picture)


def _place(result: FileResult, window_s: float) -> tuple[int, int]:
    """(first sample, samples) of the window around the middle of the most suspicious stretch, within the recording."""
    stretch = result.suspicious
    assert stretch is not None
    end = round((result.duration_s or stretch.end_s) * SAMPLE_RATE)
    count = round(window_s * SAMPLE_RATE)
    start = round((stretch.start_s + stretch.end_s) / 2 * SAMPLE_RATE) - count // 2
    return max(0, min(start, end - count)), count


def _reread(path: Path, start: int, count: int) -> Waveform:
    """The samples from `start` on, at most `count`, of a recording that may be hours long; `AudioError` without any."""
    kept: list[Waveform] = []
    position = 0
    for block in decode(path):
        part = block[max(0, start - position) : start + count - position]
        if len(part):
            kept.append(part.copy())  # a view would keep the block
        position += len(block)
        if position >= start + count:
            break
    if not kept:
        raise AudioError(_CHANGED)
    return np.concatenate(kept)


def _title(result: FileResult) -> str:
    assert result.suspicious is not None
    return f"{exact(Path(result.path.name))}: the most suspicious stretch, LLR {result.suspicious.llr:+.2f}"


def _require_place(folder: Path) -> None:
    # Before hours of work, not after them.
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DataError(f"No pictures can be written to {folder}: {error.strerror}.") from None
