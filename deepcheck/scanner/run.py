"""Scanning: paths in, a report out."""

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import deepcheck
from deepcheck.engine.model import Model, load
from deepcheck.engine.score import Scorer
from deepcheck.errors import ConfigError, ModelError
from deepcheck.files import sha256
from deepcheck.metrics.arguments import require_fraction
from deepcheck.metrics.calibration import Thresholds
from deepcheck.scanner.discover import discover
from deepcheck.scanner.judge import judge
from deepcheck.scanner.result import Basis, FileResult, Report


def scan(
    paths: str | Path | Iterable[str | Path],
    *,
    model: str | Path | Model | None = None,
    threshold: float | None = None,
    prior: float = 0.5,
    device: str = "auto",
    jobs: int | None = None,
    progress: Callable[[FileResult | None, int], None] | None = None,
) -> Report:
    """Score every recording in `paths` (files, and folders with all below them); one `FileResult` each.

    `model` is a name, a file or what `load` returned; without one the current model. `threshold` replaces the
    log-likelihood ratio at or below which a recording is called spoof; `prior` is the probability of spoof before
    anything was heard, and changes `p_spoof` alone. `jobs` threads decode. `progress(result, total)` is called
    once with None at the start and then after each file.

    A file that cannot be read or judged becomes a result with its reason. Raises `DeepcheckError` only where
    nothing could be done at all: no such model, no audio in `paths`, no such device, a prior outside (0, 1).
    """
    require_fraction("The prior probability of spoof", prior)
    found = discover([paths] if isinstance(paths, str | Path) else paths)
    chosen = model if isinstance(model, Model) else load(model)
    basis = _basis(chosen, threshold, prior)
    scorer = Scorer(chosen.detector, chosen.card.calibration, device=device, check=True)
    results: dict[Path, FileResult] = {path: FileResult(path, reason=why) for path, why in found.unreadable}
    if progress:
        progress(None, len(found.files))
    before = {path: _stamp(path) for path in found.files}
    for scores in scorer.recordings(found.files, jobs):
        result = judge(scores, basis.thresholds, prior)
        result = replace(result, sha256=_digest(result.path))
        if _stamp(result.path) != before[result.path]:  # still being copied: neither score nor digest would be its own
            result = FileResult(result.path, reason="the file changed while it was read")
        results[result.path] = result
        if progress:
            progress(result, len(found.files))
    order = [*found.files, *(path for path, _ in found.unreadable)]
    return Report(tuple(results[path] for path in order), basis)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - takes paths that pathlib refuses
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def _basis(model: Model, threshold: float | None, prior: float) -> Basis:
    card = model.card
    if card.calibration is None or card.thresholds is None:
        raise ModelError(
            f'The model "{card.name}" has no calibration, so its scores mean nothing in themselves.',
            "Train it with deepcheck train, which calibrates it on the development set.",
        )
    basis = Basis(card.name, model.sha256, deepcheck.__version__, card.thresholds, prior)
    if threshold is not None:
        if math.isnan(threshold):
            raise ConfigError("The threshold is not a number.", "Give a log-likelihood ratio, for instance -2.5.")
        return replace(basis, thresholds=Thresholds(threshold, max(threshold, card.thresholds.bonafide)))
    rates = card.rates
    return replace(
        basis,
        false_alarm=rates.get("false_alarm"),
        miss=rates.get("miss"),
        confidence=rates.get("confidence"),
        bonafide=int(rates["bonafide"]) if "bonafide" in rates else None,
        spoof=int(rates["spoof"]) if "spoof" in rates else None,
    )


def _digest(path: Path) -> str | None:
    try:
        return sha256(path) if path.is_file() else None  # a pipe would be waited for
    except OSError:
        return None
