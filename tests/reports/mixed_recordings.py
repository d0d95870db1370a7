"""Thirty recordings of all kinds, as files with hostile names, and what a scan might say of them."""

import math
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile

from deepcheck.audio.container import Container
from deepcheck.audio.decode import SAMPLE_RATE
from deepcheck.audio.quality import Quality
from deepcheck.engine.score import WindowScore
from deepcheck.files import sha256
from deepcheck.metrics.calibration import Thresholds, probability_of_spoof
from deepcheck.scanner.result import Basis, FileResult, Note, Opinion, Report, Stretch

THRESHOLDS = Thresholds(-1.5, 1.5)
WIDER = Thresholds(-2.5, 2.5)
BASIS = Basis(
    "tiny",
    "0123456789abcdef" * 4,
    "0.1.0",
    THRESHOLDS,
    0.5,
    0.01,
    0.05,
    0.95,
    500,
    400,
    bands=(("telephone", WIDER),),
    settings=(("command", "deepcheck scan 'in box' --output report.html"), ("hop", "2 s")),
    created="2026-03-14T09:30:00+00:00",
)
TELEPHONE = Note("telephone", "Nothing above 3.4 kHz.", "telephone")
HOSTILE = (
    "<script>window.pwned = 1</script>.wav",
    '"onmouseover="window.pwned=1" x=".wav',
    "'><img src=x onerror=window.pwned=1>.wav",
    "[red]markup[/red].wav",
    "two\nlines.wav",
    "\x1b[31mansi\x1b[0m.wav",
    "=cmd()|'/C calc'!A0.wav",
    "gnp.\u202evaw.wav",
    "&lt;b&gt;{{ 7 * 7 }} ${7*7} javascript:alert(1).wav",
    os.fsdecode(b"caf\xe9.wav"),
)
LONG = "night.flac"
LONG_S = 660.0


def tone(duration_s: float, rate: int = SAMPLE_RATE, channels: int = 1) -> np.ndarray:
    """(samples, channels): a buzz in syllables; what it is does not matter here."""
    t = np.arange(round(duration_s * rate)) / rate
    sound = 0.3 * np.sin(2 * np.pi * 180 * t) * (0.5 + 0.5 * np.sin(2 * np.pi * 1.3 * t))
    return np.repeat(sound.astype(np.float32)[:, None], channels, axis=1)


def write(path: Path, duration_s: float, rate: int = SAMPLE_RATE, channels: int = 1) -> Path:
    """A recording in the format that the ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = tone(duration_s, rate, channels)
    if path.suffix in (".m4a", ".webm"):
        _write_with_av(path, samples, rate)
        return path
    subtype = {".ogg": "VORBIS", ".opus": "OPUS"}.get(path.suffix)
    kind = "OGG" if path.suffix in (".ogg", ".opus") else None
    with path.open("wb") as file:  # soundfile would take the name as text
        soundfile.write(file, samples, rate, format=kind or path.suffix[1:].upper(), subtype=subtype)
    return path


def mixed(folder: Path) -> Report:
    """30 results in wav, flac, mp3, ogg, opus, m4a and webm; 6 of them not scored, one of 11 minutes."""
    results = [scored(write(folder / name, 3.0), llr=-4.0 + 0.5 * i) for i, name in enumerate(HOSTILE)]
    kinds = [("flac", 44_100, 2), ("mp3", 16_000, 1), ("ogg", 22_050, 1), ("opus", 48_000, 1), ("m4a", 44_100, 2)]
    kinds += [("webm", 48_000, 1), ("wav", 8_000, 1)]
    for i, (ending, rate, channels) in enumerate(2 * kinds[:6] + kinds[6:]):
        name = f"speaker {i + 1}.{ending}"
        notes = (TELEPHONE,) if ending == "wav" else ()
        path = write(folder / "voices" / name, 6.0 + i, rate, channels)
        results.append(scored(path, 2.75 - 0.4 * i, duration_s=6.0 + i, notes=notes))
    results += list(unscored(folder))
    results.append(scored(write(folder / LONG, LONG_S), -2.2, duration_s=LONG_S, spoofed=(400.0, 412.0)))
    assert len(results) == 30
    return Report(tuple(results), BASIS)


def scored(
    path: Path,
    llr: float,
    *,
    duration_s: float = 3.0,
    notes: tuple[Note, ...] = (),
    spoofed: tuple[float, float] | None = None,
) -> FileResult:
    """A result whose windows lie around `llr`, but for a stretch `spoofed` that is suspicious."""
    starts = np.arange(0.0, max(duration_s - 4.0, 0.0) + 0.01, 2.0)
    windows = []
    for i, start in enumerate(starts.tolist()):
        level = llr + 0.3 * math.sin(i)
        if spoofed:
            level = -4.0 if spoofed[0] <= start and start + 4.0 <= spoofed[1] else 2.0
        windows.append(WindowScore(start, min(start + 4.0, duration_s), level, Quality.SPEECH, 0.9))
    if len(windows) > 4:
        windows[2] = WindowScore(windows[2].start_s, windows[2].end_s, math.nan, Quality.NO_SPEECH, 0.05)
    lowest = min((w for w in windows if math.isfinite(w.llr)), key=lambda w: w.llr)
    limits = WIDER if notes else THRESHOLDS
    low = [Stretch(w.start_s, w.end_s, w.llr) for w in windows if w.llr <= limits.spoof][:1]
    return FileResult(
        path,
        "scored",
        limits.verdict(llr),
        llr,
        probability_of_spoof(llr, 0.5),
        duration_s,
        0.9 * duration_s,
        Stretch(lowest.start_s, lowest.end_s, lowest.llr),
        (Stretch(*spoofed, -4.0),) if spoofed else tuple(low),
        limits,
        0.4,
        notes,
        (Opinion("tiny", llr, limits.verdict(llr)), Opinion("other", None, None)) if llr < -3.6 else (),
        Container(path.suffix[1:], "pcm_s16le", 16_000, 1, 256_000),
        tuple(windows),
        sha256=sha256(path),
    )


def unscored(folder: Path) -> tuple[FileResult, ...]:
    """What a scan could not judge: silent, short, empty, no audio, cut short, and gone since."""
    silent = write(folder / "silent.flac", 5.0)
    short = write(folder / "short.wav", 0.5)
    empty, text, cut = folder / "empty.wav", folder / "letter.mp3", folder / "cut.wav"
    empty.touch()
    text.write_text("Dear Sir or Madam")
    whole = write(folder / "whole.wav", 4.0)
    cut.write_bytes(whole.read_bytes()[:40_000])
    whole.unlink()
    windows = (
        WindowScore(0.0, 4.0, math.nan, Quality.SILENT, 0.0),
        WindowScore(1.0, 5.0, math.nan, Quality.SILENT, 0.0),
    )
    return (
        FileResult(
            silent, "silent", duration_s=5.0, speech_s=0.0, windows=windows, reason="silent", sha256=sha256(silent)
        ),
        FileResult(short, "too short", duration_s=0.5, reason="too short: 0.50 s", sha256=sha256(short)),
        FileResult(empty, "unreadable", reason="the file is empty"),
        FileResult(text, "unreadable", reason="not audio or video in a known format"),
        FileResult(cut, "unreadable", reason="the file is truncated", sha256=sha256(cut)),
        FileResult(folder / "gone.wav", "unreadable", reason="the file does not exist"),
    )


def _write_with_av(path: Path, samples: np.ndarray, rate: int) -> None:
    codec = {".m4a": "aac", ".webm": "libopus"}[path.suffix]
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout=layout)
    frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
    with path.open("wb") as file, av.open(file, "w", format={".m4a": "mp4"}.get(path.suffix, "webm")) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
