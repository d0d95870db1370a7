"""What is to be known of a recording beside its verdict: a table of rules, and the sentence of each."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from deepcheck.audio.container import Container
from deepcheck.audio.quality import Quality
from deepcheck.engine.reference import UNFAMILIAR
from deepcheck.engine.score import WindowScore
from deepcheck.scanner.result import Note

# `python -m tests.benchmarks.quality` prints of how many recordings each is true, with and without its cause.
TELEPHONE_HZ = 4_000.0  # half the rate of the telephone network; its codecs leave up to 3.94 kHz
NARROW_HZ = 6_000.0  # recordings at 11 or 12 kHz and below, and the least bit rates; full speech keeps above 7 kHz
NOISY_DB = 13.0  # at 10 dB of white, pink or brown noise, windows have 9 to 13; of clean recordings one in twenty has
QUIET_DB = -45.0  # below full scale; one clean recording in two hundred
SHORT_S = 3.0  # of speech
UNJUDGED_SHARE = 0.5  # of the windows
CLIPPED_SHARE = 0.02
FAR = 1.0  # `WindowScore.distance`: beyond lies one development recording in a hundred

# The bit rates of a channel below which an encoder has thrown away what can be heard, by what ffmpeg calls the codec,
# and the condition that comes nearest.
_LOW_KBPS: Mapping[str, tuple[float, str]] = {
    "opus": (32, "opus:16k"),  # with what the container adds to short recordings
    "vorbis": (48, "opus:16k"),
    "speex": (28, "opus:16k"),
    "mp3": (48, "mp3:32k"),
    "mp2": (64, "mp3:32k"),
    "aac": (48, "aac:32k"),
    "ac3": (64, "aac:32k"),
    "eac3": (64, "aac:32k"),
    "wmav1": (48, "aac:32k"),
    "wmav2": (48, "aac:32k"),
    "amr_nb": (13, "telephone"),
    "amr_wb": (24, "opus:16k"),
    "gsm": (14, "telephone"),
    "gsm_ms": (14, "telephone"),
}


@dataclass(frozen=True)
class Heard:
    """What the rules go by; medians over the windows that were judged, NaN where nothing was measured."""

    windows: int
    judged: int
    by_quality: Mapping[Quality, int] = field(default_factory=dict)
    speech_s: float = math.nan
    bandwidth_hz: float = math.nan
    snr_db: float = math.nan
    level_db: float = math.nan
    distance: float = math.nan
    container: Container | None = None

    def share(self, *qualities: Quality) -> float:
        """Of all windows those of these qualities, 0 to 1."""
        return sum(self.by_quality.get(quality, 0) for quality in qualities) / max(1, self.windows)


def heard(
    windows: Sequence[WindowScore], judged: Sequence[WindowScore], speech_s: float, container: Container | None
) -> Heard:
    """Of all windows of a recording, and those among them that have a score."""
    counts = {quality: sum(window.quality is quality for window in windows) for quality in Quality}
    return Heard(
        len(windows),
        len(judged),
        counts,
        speech_s,
        _median(window.bandwidth_hz for window in judged),
        _median(window.snr_db for window in judged),
        _median(window.level_db for window in judged),
        _median(window.distance for window in judged),
        container,
    )


def notes_of(recording: Heard) -> tuple[Note, ...]:
    """The notes of a recording that has a score, in the order of the table."""
    return tuple(note for rule in NOTES.values() if (note := rule(recording)) is not None)


def _telephone(of: Heard) -> Note | None:
    if not of.bandwidth_hz <= TELEPHONE_HZ:
        return None
    text = f"telephone band: nothing above {_khz(of.bandwidth_hz)}{_although(of)}; much that tells voices apart is lost"
    return Note("telephone", text, "telephone")


def _narrow(of: Heard) -> Note | None:
    if not TELEPHONE_HZ < of.bandwidth_hz <= NARROW_HZ:
        return None
    text = f"narrow band: nothing above {_khz(of.bandwidth_hz)}{_although(of)}"
    return Note("narrow-band", text, "resample:8k")


def _low_bit_rate(of: Heard) -> Note | None:
    track = of.container
    if track is None or track.codec not in _LOW_KBPS or track.bit_rate_bps is None:
        return None
    most, band = _LOW_KBPS[track.codec]
    kbps = track.bit_rate_bps / track.channels / 1000
    if kbps > most:
        return None
    text = f"low bit rate: {track.codec} at {kbps:.0f} kbit/s a channel, which changes the sound that can be examined"
    return Note("low-bit-rate", text, band)


def _clipped(of: Heard) -> Note | None:
    share = of.share(Quality.CLIPPED)
    if share < CLIPPED_SHARE:
        return None
    return Note("clipped", f"clipped: {share:.0%} of the recording is overdriven and was left out")


def _noisy(of: Heard) -> Note | None:
    if not of.snr_db < NOISY_DB:
        return None
    text = f"noise or echo: the voice stands only {of.snr_db:.0f} dB above what is heard between the words"
    return Note("noisy", text, "noise:10dB")


def _quiet(of: Heard) -> Note | None:
    if not of.level_db < QUIET_DB:
        return None
    return Note("quiet", f"very quiet: {of.level_db:.0f} dB of full scale, where steps of the recorder may be heard")


_WORDS = {
    Quality.NO_SPEECH: "nobody speaks",
    Quality.SILENT: "silence",
    Quality.TOO_NOISY: "noise drowns the voice",
    Quality.CLIPPED: "overdriven",
    Quality.MUSIC: "music or steady tones",
}


def _unjudged(of: Heard) -> Note | None:
    share = 1 - of.judged / max(1, of.windows)
    if share < UNJUDGED_SHARE:
        return None
    why = sorted((q for q in _WORDS if of.by_quality.get(q)), key=lambda q: -of.by_quality[q])
    parts = ", ".join(f"{_WORDS[quality]} {of.share(quality):.0%}" for quality in why)
    return Note("mostly-unjudged", f"only {1 - share:.0%} of the recording could be judged ({parts})")


def _short(of: Heard) -> Note | None:
    if not of.speech_s < SHORT_S:
        return None
    return Note("short", f"little speech: {math.floor(10 * of.speech_s) / 10:.1f} s, so that chance weighs more")


def _unfamiliar(of: Heard) -> Note | None:
    if not of.distance > FAR:
        return None
    text = (
        f"unlike what the model was trained and tested on (distance {of.distance:.1f}; 99 of 100 test recordings stay "
        "below 1), so that its score means less"
    )
    return Note("unfamiliar", text, UNFAMILIAR)


NOTES: Mapping[str, Callable[[Heard], Note | None]] = {
    "telephone": _telephone,
    "narrow-band": _narrow,
    "low-bit-rate": _low_bit_rate,
    "clipped": _clipped,
    "noisy": _noisy,
    "quiet": _quiet,
    "mostly-unjudged": _unjudged,
    "short": _short,
    "unfamiliar": _unfamiliar,
}
"""By name what makes a note of what was heard of a recording, or None."""


def _although(of: Heard) -> str:
    """Somebody has had less than the file could hold: it was made anew from another."""
    rate = of.container.sample_rate_hz if of.container else 0
    codec = of.container.codec if of.container else ""
    if rate < 3 * of.bandwidth_hz or codec == "opus":  # which always claims 48 kHz
        return ""
    return f" although the file has {rate / 1000:g} kHz (re-encoded or filtered)"


def _khz(hz: float) -> str:
    return f"{hz / 1000:.1f} kHz"


def _median(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.median(known)) if known else math.nan
