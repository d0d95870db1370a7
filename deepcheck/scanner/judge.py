"""From window scores to what is said of a recording."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from deepcheck.audio.quality import Quality
from deepcheck.engine.score import RecordingScores, WindowScore
from deepcheck.metrics.calibration import Thresholds, probability_of_spoof
from deepcheck.scanner.result import FileResult, Stretch

MIN_DURATION_S = 1.0
MIN_SPEECH_S = 1.0

_QUALITY = {
    Quality.SILENT: "silent: the level stays below -60 dB of full scale",
    Quality.CLIPPED: "clipped: the recording is overdriven too heavily to be judged",
    Quality.NO_SPEECH: "no speech found",
}


def judge(scores: RecordingScores, thresholds: Thresholds, prior: float) -> FileResult:
    """The verdict on a recording, or the reason why there is none.

    The log-likelihood ratio of a file is the mean over its windows with speech, the verdict follows from the
    two thresholds, and `prior` (the probability of spoof before anything was heard) decides only `p_spoof`.
    """
    if scores.error is not None:
        return FileResult(scores.path, reason=scores.error)
    duration = scores.duration_s
    windows = tuple(sorted(scores.windows, key=lambda window: window.start_s))
    # Windows overlap evenly, so the mean share of speech in them is the share in the recording, nearly.
    speech_s = duration * sum(window.speech for window in windows) / max(1, len(windows))
    heard = FileResult(scores.path, duration_s=duration, speech_s=speech_s, windows=windows)
    judged = [window for window in windows if window.quality is Quality.SPEECH]
    reason = _why_not(duration, speech_s, windows, judged)
    if reason is not None:
        return replace(heard, reason=reason)
    llr = scores.mean_llr()
    if not math.isfinite(llr):
        return replace(heard, reason="the detector gave no number")
    lowest = min(judged, key=lambda window: window.llr)
    return replace(
        heard,
        verdict=thresholds.verdict(llr),
        llr=llr,
        p_spoof=probability_of_spoof(llr, prior),
        suspicious=Stretch(lowest.start_s, lowest.end_s, lowest.llr),
    )


def _why_not(
    duration_s: float, speech_s: float, windows: Sequence[WindowScore], judged: Sequence[WindowScore]
) -> str | None:
    if duration_s < MIN_DURATION_S:
        return f"too short: {_floored(duration_s)} s (at least {MIN_DURATION_S:.0f} s is needed)"
    if not judged:
        [(quality, _)] = Counter(window.quality for window in windows).most_common(1)
        return _QUALITY[quality]
    if speech_s < MIN_SPEECH_S:
        return f"too little speech: {_floored(speech_s)} s (at least {MIN_SPEECH_S:.0f} s is needed)"
    return None


def _floored(value_s: float) -> str:
    # Never rounded up to the limit that was missed.
    return f"{math.floor(100 * value_s) / 100:.2f}"
