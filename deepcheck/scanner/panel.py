"""One or several models that judge recordings."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from deepcheck.audio import isolated
from deepcheck.audio.quality import Quality
from deepcheck.engine.graph import graph_for, runtime_name
from deepcheck.engine.model import Model
from deepcheck.engine.precision import usual_precision
from deepcheck.engine.reference import reference_of
from deepcheck.engine.score import RecordingScores, Scorer, WindowScore, score_together
from deepcheck.errors import ConfigError
from deepcheck.metrics.arguments import require_fraction
from deepcheck.metrics.calibration import NO_VERDICT, Thresholds, probability_of_spoof
from deepcheck.scanner.basis import Member, own_basis, rule_for, whole_basis, with_threshold
from deepcheck.scanner.judge import judge
from deepcheck.scanner.pooling import pool
from deepcheck.scanner.result import BONAFIDE, INCONCLUSIVE, SCORED, SPOOF, Basis, FileResult, Note, Opinion, Stretch


class Panel:
    """Judges recordings with one model, or with several of which each has its opinion and which together have one.

    `threshold` replaces the log-likelihood ratio at or below which a recording is called spoof; `prior` is the
    probability of spoof before anything was heard, and changes `p_spoof` alone.

    Of several models, the score is a weighted sum of theirs with thresholds of its own, both fitted on the
    development recordings that all have in common (`metrics.fusion`). Without 100 such recordings of each label it
    is the mean of their scores, against the mean of their thresholds, and there is a verdict only where each model
    by itself comes to it. Where one model says spoof and another bona fide, the recording is inconclusive in either
    case, with the note `disagreement`. `Basis.settings` say which of this applies.

    A model without calibration has scores, but no verdicts: everything is inconclusive, with the note `uncalibrated`
    and without a probability, unless a `threshold` is given. Among several models, its opinions are scores without
    a verdict, and do not count.

    `precision` and `runtime` say how numbers are computed (`runtime.PRECISIONS`, `engine.graph.RUNTIMES`); what is not
    usual is told in the `settings` of the basis. A precision of `auto` is what `engine.precision` says.

    Raises `ConfigError` for a prior outside (0, 1), a threshold that is no number, a device, precision or runtime that
    is not there, no model at all, and models that are the same or have the same name.
    """

    def __init__(
        self,
        models: Sequence[Model],
        *,
        threshold: float | None = None,
        prior: float = 0.5,
        device: str = "auto",
        precision: str = "auto",
        runtime: str = "auto",
    ) -> None:
        require_fraction("The prior probability of spoof", prior)
        if threshold is not None and math.isnan(threshold):
            raise ConfigError("The threshold is not a number.", "Give a log-likelihood ratio, for instance -2.5.")
        _require_different(models)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        if precision == "auto":
            precision = usual_precision(models, device, runtime)
        scorers = [_scorer(model, device, precision, runtime) for model in models]
        self._members = [
            Member(model, _computed(own_basis(model, prior, created), scorer))
            for model, scorer in zip(models, scorers, strict=True)
        ]
        self._calibrated = any(member.calibrated for member in self._members)
        self._counting = [i for i, member in enumerate(self._members) if member.calibrated or not self._calibrated]
        self._rule = rule_for([self._members[i] for i in self._counting])
        self._by_hand = threshold is not None
        self._basis = whole_basis(self._members, self._rule)
        if threshold is not None:
            self._basis = with_threshold(self._basis, threshold)
        self._uncalibrated = tuple(
            Note("uncalibrated", _why_uncalibrated(member.basis.model, alone=len(models) == 1, by_hand=self._by_hand))
            for member in self._members
            if not member.calibrated
        )
        sizes = dict.fromkeys(model.detector.window_s for model in models)
        self._groups = [[i for i, model in enumerate(models) if model.detector.window_s == size] for size in sizes]
        self._scorers = [_alike([scorers[i] for i in group]) for group in self._groups]

    def basis(self) -> Basis:
        """What the verdicts rest on; of several models, `models` has one basis each."""
        return self._basis

    def results(
        self, files: Sequence[Path], jobs: int | None = None, timeout_s: float = isolated.TIMEOUT_S
    ) -> Iterator[tuple[int, FileResult]]:
        """(index into `files`, result without SHA-256), each as soon as all models are done, in no promised order.

        Models with windows of the same length share one pass over the recordings; for each other length they are
        decoded anew, all passes at the same pace. `jobs` processes decode in each, a file for `timeout_s` at most;
        memory is bounded by their number.

        Of several models, `windows` are those of the shortest length with the fused scores. There each other model
        says of a window the mean over its own windows, weighted by how much they share with it (where it scored
        nothing of that stretch, what it says of its nearest window).
        """
        for index, scores in self._scores(files, jobs, timeout_s):
            yield index, self._alone(scores[0]) if len(scores) == 1 else self._together(scores)

    def _scores(
        self, files: Sequence[Path], jobs: int | None, timeout_s: float
    ) -> Iterator[tuple[int, list[RecordingScores]]]:
        waiting: dict[int, dict[int, RecordingScores]] = {}
        with ExitStack() as stack:
            passes = [
                stack.enter_context(closing(score_together(group, files, jobs, timeout_s=timeout_s)))
                for group in self._scorers
            ]
            # One of each in turn: none gets ahead of the others by more than its threads have under way.
            for turn in zip(*passes, strict=True):
                for group, found in zip(self._groups, turn, strict=True):
                    index = found[0].index
                    ready = waiting.setdefault(index, {})
                    ready |= zip(group, found, strict=True)
                    if len(ready) == len(self._members):
                        del waiting[index]
                        yield index, [ready[i] for i in range(len(self._members))]

    def _alone(self, scores: RecordingScores) -> FileResult:
        result = _judged(scores, self._basis)
        if self._calibrated or result.status != SCORED:
            return result
        return replace(result, p_spoof=None, notes=(*result.notes, *self._uncalibrated))

    def _together(self, scores: list[RecordingScores]) -> FileResult:
        results = [_judged(one, member.basis) for one, member in zip(scores, self._members, strict=True)]
        opinions = tuple(
            Opinion(member.basis.model, result.llr, result.verdict if member.calibrated else None)
            for member, result in zip(self._members, results, strict=True)
        )
        counting = [results[i] for i in self._counting]
        grid = min(self._counting, key=lambda i: self._members[i].model.detector.window_s)
        for i in self._counting:
            if results[i].status != SCORED:
                shared = all(result.reason == results[i].reason for result in counting)
                reason = results[i].reason if shared else f"{opinions[i].model}: {results[i].reason}"
                return replace(results[i], reason=reason, opinions=opinions)
        windows = self._fused([results[i].windows for i in self._counting], self._counting.index(grid))
        judged = [window for window in windows if window.quality is Quality.SPEECH]
        thresholds = self._thresholds(counting)
        pooled = pool(judged, thresholds)
        lowest = min(judged, key=lambda window: window.llr)
        verdict, doubts = self._verdict(pooled.verdict, [opinions[i] for i in self._counting])
        distances = [result.distance for result in counting if result.distance is not None]
        notes = _merged([(opinions[i].model, results[i].notes) for i in self._counting])
        return replace(
            results[grid],
            verdict=verdict,
            llr=pooled.llr,
            p_spoof=probability_of_spoof(pooled.llr, self._basis.prior) if self._calibrated else None,
            suspicious=Stretch(lowest.start_s, lowest.end_s, lowest.llr),
            stretches=pooled.stretches,
            thresholds=thresholds,
            distance=max(distances, default=None),
            notes=(*notes, *doubts, *self._uncalibrated),
            opinions=opinions,
            windows=windows,
        )

    def _fused(self, timelines: Sequence[tuple[WindowScore, ...]], grid: int) -> tuple[WindowScore, ...]:
        """The windows of `timelines[grid]`, each with what the models together say of it."""
        windows = timelines[grid]
        scored = np.array([window.quality is Quality.SPEECH for window in windows])
        llrs = np.stack([_along(windows, timeline) for timeline in timelines], axis=1)
        fused = llrs @ np.array(self._rule.weights) + self._rule.offset
        return tuple(
            replace(window, llr=float(llr)) if heard else window
            for window, llr, heard in zip(windows, fused, scored, strict=True)
        )

    def _thresholds(self, counting: Sequence[FileResult]) -> Thresholds:
        """Those of this scan, moved by as much as the models' own are wider for this recording."""
        spoof, bonafide = self._basis.thresholds.spoof, self._basis.thresholds.bonafide
        for i, weight, result in zip(self._counting, self._rule.weights, counting, strict=True):
            own, applied = self._members[i].basis.thresholds, result.thresholds
            assert applied is not None
            if weight and applied == NO_VERDICT != own:
                return Thresholds(spoof, NO_VERDICT.bonafide) if self._by_hand else NO_VERDICT
            spoof += 0.0 if self._by_hand else weight * (applied.spoof - own.spoof)
            bonafide += weight * (applied.bonafide - own.bonafide)
        return Thresholds(spoof, max(spoof, bonafide))

    def _verdict(self, verdict: str, opinions: Sequence[Opinion]) -> tuple[str, list[Note]]:
        """The verdict that stands before the `opinions`, and what is to be said if it is another."""
        said = {opinion.verdict for opinion in opinions}
        each = ", ".join(f"{opinion.model} says {opinion.verdict}" for opinion in opinions)
        if {SPOOF, BONAFIDE} <= said:
            return INCONCLUSIVE, [Note("disagreement", f"The models contradict each other: {each}.")]
        if self._rule.unanimous and not self._by_hand and said != {verdict} and verdict != INCONCLUSIVE:
            why = f"Not every model comes to a verdict: {each}. How they err together was not measured."
            return INCONCLUSIVE, [Note("undecided", why)]
        return verdict, []


def _scorer(model: Model, device: str, precision: str, runtime: str) -> Scorer:
    return Scorer(
        model.detector,
        model.card.calibration,
        device=device,
        precision=precision,
        check=True,
        reference=reference_of(model.evidence),
        graph=graph_for(model.sha256, runtime),
    )


def _computed(basis: Basis, scorer: Scorer) -> Basis:
    """With what is unusual in how the scores are computed: it moves them, if only in their last digits."""
    told = []
    if scorer.dtype != torch.float32:
        told.append(("precision", "bf16"))
    if scorer.graph is not None:
        told.append(("runtime", runtime_name()))
    return replace(basis, settings=(*basis.settings, *told))


def _alike(scorers: list[Scorer]) -> list[Scorer]:
    """Those of models with windows of one length, all with batches of the size that suits each of them."""
    least = min(scorer.batch_size for scorer in scorers)
    for scorer in scorers:
        scorer.batch_size = least
    return scorers


def _judged(scores: RecordingScores, basis: Basis) -> FileResult:
    return judge(scores, basis.thresholds, basis.prior, bands=dict(basis.bands))


def _merged(said: Sequence[tuple[str, tuple[Note, ...]]]) -> list[Note]:
    """The notes of several models: each once, and where they do not say the same, with the name of the model."""
    found: dict[tuple[str, str], tuple[str, Note]] = {}
    for model, notes in said:
        for note in notes:
            known = found.get((note.name, note.text))
            if known is None or known[1].band is None:  # a band says more than none
                found[note.name, note.text] = (model, note)
    names = Counter(name for name, _ in found)
    return [
        replace(note, text=f"{model}: {note.text}") if names[note.name] > 1 else note for model, note in found.values()
    ]


def _why_uncalibrated(name: str, *, alone: bool, by_hand: bool) -> str:
    what = "is shown and does not count" if not alone else "says nothing of how likely either is"
    way_out = "" if by_hand else " deepcheck models calibrate gives it one."
    return f"{name} has no calibration: its score {what}.{way_out}"


def _require_different(models: Sequence[Model]) -> None:
    if not models:
        raise ConfigError("There is no model to judge with.", "Give at least one.")
    names = [model.card.name for model in models]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f'Two models are called "{twice}".', "Name each once; copies of a file need other names.")
    digests = [model.sha256 for model in models]
    if len(set(digests)) < len(digests):
        same = [name for name, digest in zip(names, digests, strict=True) if digests.count(digest) > 1]
        raise ConfigError(f"{' and '.join(same[:2])} are the same model.", "A second opinion takes another one.")


def _along(grid: Sequence[WindowScore], timeline: Sequence[WindowScore]) -> NDArray[np.float64]:
    """What `timeline` says of each window of `grid`, (windows,); both are in order of time, each of one length."""
    if [(w.start_s, w.end_s) for w in grid] == [(w.start_s, w.end_s) for w in timeline]:
        return np.array([window.llr for window in timeline])
    scored = [window for window in timeline if window.quality is Quality.SPEECH]
    starts, ends = (np.array([getattr(window, name) for window in scored]) for name in ("start_s", "end_s"))
    llrs = np.array([window.llr for window in scored])
    found = np.empty(len(grid))
    for i, window in enumerate(grid):
        first, last = np.searchsorted(ends, window.start_s, "right"), np.searchsorted(starts, window.end_s, "left")
        if first < last:
            shared = np.minimum(ends[first:last], window.end_s) - np.maximum(starts[first:last], window.start_s)
            found[i] = np.average(llrs[first:last], weights=shared)
        else:
            found[i] = llrs[np.abs(starts + ends - window.start_s - window.end_s).argmin()]
    return found
