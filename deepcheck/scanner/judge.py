"""From window scores to what is said of a recording."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from deepcheck.audio.quality import Quality
from deepcheck.engine.score import RecordingScores, WindowScore
from deepcheck.metrics.calibration import Thresholds, probability_of_spoof, widest
from deepcheck.scanner.notes import heard, notes_of
from deepcheck.scanner.pooling import pool
from deepcheck.scanner.result import SCORED, FileResult, Stretch

MIN_DURATION_S = 1.0
MIN_SPEECH_S = 1.0
TOO_SHORT, NO_SPEECH, UNREADABLE = "too short", "no speech", "unreadable"

# Why a recording none of whose windows can be judged is not judged, by what most of them are.
_QUALITY = {
    Quality.SILENT: "silent: the level stays below -60 dB of full scale",
    Quality.CLIPPED: "clipped: the recording is overdriven too heavily to be judged",
    Quality.NO_SPEECH: "no speech found",
    Quality.TOO_NOISY: "too noisy: noise or other sound is about as loud as the voice",
    Quality.MUSIC: "music or steady tones, and no speech that could be judged",
}


def judge(
    scores: RecordingScores,
    thresholds: Thresholds,
    prior: float,
    *,
    bands: Mapping[str, Thresholds] | None = None,
) -> FileResult:
    """The verdict on a recording, or the reason why there is none.

    The log-likelihood ratio of the file and its suspicious stretches come from `pooling.pool`, the verdict from the
    two thresholds, and `prior` (the probability of spoof before anything was heard) decides only `p_spoof`. Where the
    notes of the recording, which also go by its container, name one of the `bands` of the model, its thresholds hold
    as far as they are wider.
    """
    if scores.error is not None:
        return FileResult(scores.path, UNREADABLE, reason=scores.error)
    duration = scores.duration_s
    windows = tuple(sorted(scores.windows, key=lambda window: window.start_s))
    # Windows overlap evenly, so the mean share of speech in them is the share in the recording, nearly.
    speech_s = duration * sum(window.speech for window in windows) / max(1, len(windows))
    known = FileResult(scores.path, duration_s=duration, speech_s=speech_s, container=scores.container, windows=windows)
    judged = [window for window in windows if window.quality is Quality.SPEECH]
    why_not = _why_not(duration, speech_s, windows, judged)
    if why_not is not None:
        status, reason = why_not
        return replace(known, status=status, reason=reason)
    recording = heard(windows, judged, speech_s, scores.container)
    measured = bands or {}
    notes = tuple(note if note.band in measured else replace(note, band=None) for note in notes_of(recording))
    thresholds = widest(thresholds, [measured[note.band] for note in notes if note.band is not None])
    pooled = pool(judged, thresholds)
    if not math.isfinite(pooled.llr):
        return replace(known, reason="the detector gave no number")
    lowest = min(judged, key=lambda window: window.llr)
    return replace(
        known,
        status=SCORED,
        verdict=pooled.verdict,
        llr=pooled.llr,
        p_spoof=probability_of_spoof(pooled.llr, prior),
        suspicious=Stretch(lowest.start_s, lowest.end_s, lowest.llr),
        stretches=pooled.stretches,
        thresholds=thresholds,
        distance=None if math.isnan(recording.distance) else recording.distance,
        notes=notes,
    )


def _why_not(
    duration_s: float, speech_s: float, windows: Sequence[WindowScore], judged: Sequence[WindowScore]
) -> tuple[str, str] | None:
    """(status, reason)"""
    if duration_s < MIN_DURATION_S:
        return TOO_SHORT, f"too short: {_floored(duration_s)} s (at least {MIN_DURATION_S:.0f} s is needed)"
    if not judged:
        [(quality, _)] = Counter(window.quality for window in windows).most_common(1)
        return str(quality), _QUALITY[quality]
    if speech_s < MIN_SPEECH_S:
        return NO_SPEECH, f"too little speech: {_floored(speech_s)} s (at least {MIN_SPEECH_S:.0f} s is needed)"
    return None


def _floored(value_s: float) -> str:
    # Never rounded up to the limit that was missed.
    return f"{math.floor(100 * value_s) / 100:.2f}"
