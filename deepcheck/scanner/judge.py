"""From window scores to what is said of a recording."""

from collections import Counter

from deepcheck.audio.quality import Quality
from deepcheck.engine.score import RecordingScores
from deepcheck.metrics.calibration import Thresholds, probability_of_spoof
from deepcheck.scanner.result import FileResult, Stretch

MIN_DURATION_S = 1.0
MIN_SPEECH_S = 1.0

_WHY_NOT = {
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
    heard = {"duration_s": duration, "speech_s": speech_s, "windows": windows}
    if duration < MIN_DURATION_S:
        reason = f"too short: {duration:.2f} s (at least {MIN_DURATION_S:.0f} s is needed)"
        return FileResult(scores.path, reason=reason, **heard)
    judged = [window for window in windows if window.quality is Quality.SPEECH]
    if not judged:
        [(quality, _)] = Counter(window.quality for window in windows).most_common(1)
        return FileResult(scores.path, reason=_WHY_NOT[quality], **heard)
    if speech_s < MIN_SPEECH_S:
        reason = f"too little speech: {speech_s:.1f} s (at least {MIN_SPEECH_S:.0f} s is needed)"
        return FileResult(scores.path, reason=reason, **heard)
    llr = scores.mean_llr()
    lowest = min(judged, key=lambda window: window.llr)
    return FileResult(
        scores.path,
        verdict=thresholds.verdict(llr),
        llr=llr,
        p_spoof=probability_of_spoof(llr, prior),
        suspicious=Stretch(lowest.start_s, lowest.end_s, lowest.llr),
        **heard,
    )
