"""A report of a small desk, for the tests of every format."""

import math
import os
from dataclasses import replace
from pathlib import Path

from deepcheck.audio.container import Container
from deepcheck.audio.quality import Quality
from deepcheck.engine.score import WindowScore
from deepcheck.metrics.calibration import Thresholds
from deepcheck.scanner.result import Basis, FileResult, Note, Opinion, Report, Stretch

NAN = math.nan

BASIS = Basis(
    "tiny",
    "0123456789abcdef" * 4,
    "0.1.0",
    Thresholds(-1.0, 1.0),
    0.5,
    0.01,
    0.05,
    0.95,
    500,
    400,
    bands=(("telephone", Thresholds(-3.0, 2.0)), ("noise", Thresholds(-2.0, 1.5))),
    settings=(("prior", "0.5"), ("jobs", "2")),
    created="2026-03-14T09:30:00+00:00",
)
SEVERAL = replace(
    BASIS,
    model="one + two",
    models=(replace(BASIS, model="one", model_sha256="1" * 64), replace(BASIS, model="two", model_sha256="2" * 64)),
)


def window(
    start_s: float, llr: float, quality: Quality = Quality.SPEECH, end_s: float | None = None, **measures: float
):
    return WindowScore(start_s, start_s + 4 if end_s is None else end_s, llr, quality, 0.9, **measures)


# Twelve seconds, the middle of which is synthetic; the end is silent.
SPLICED = FileResult(
    Path("in/spliced.mp3"),
    "scored",
    "spoof",
    llr=-1.25,
    p_spoof=0.777299,
    duration_s=12.0,
    speech_s=8.5,
    suspicious=Stretch(2.0, 6.0, -4.5),
    stretches=(Stretch(2.0, 6.0, -4.5),),
    thresholds=Thresholds(-1.0, 1.0),
    distance=0.5,
    notes=(Note("re-encoded", "It was encoded more than once."), Note("quiet", "The level is low.")),
    container=Container("mp3", "mp3float", 44_100, 2, 128_000),
    windows=(
        window(0.0, 2.0, snr_db=20.0, bandwidth_hz=7000.0, level_db=-30.0, distance=0.5),
        window(2.0, -4.5, snr_db=10.0, bandwidth_hz=7500.0, level_db=-32.0, distance=0.75),
        window(4.0, -0.5, snr_db=15.0, bandwidth_hz=7600.0, level_db=-34.0, distance=0.25),
        window(6.0, 0.5, Quality.SPEECH, snr_db=16.0, bandwidth_hz=7100.0, level_db=-33.0),
        window(8.0, NAN, Quality.SILENT, level_db=-90.0),
    ),
    sha256="cd" * 32,
)
# Over the telephone.
GENUINE = FileResult(
    Path("in/call.wav"),
    "scored",
    "bona fide",
    llr=2.5,
    p_spoof=0.075858,
    duration_s=6.0,
    speech_s=5.0,
    suspicious=Stretch(2.0, 6.0, 2.25),
    thresholds=Thresholds(-3.0, 2.0),
    notes=(Note("telephone", "It has the bandwidth of a telephone.", "telephone"),),
    container=Container("wav", "pcm_s16le", 8000, 1),
    windows=(window(0.0, 2.75), window(2.0, 2.25)),
)
MUTE = FileResult(
    Path("mute.wav"),
    "no speech",
    duration_s=3.0,
    speech_s=0.0,
    windows=(window(0.0, NAN, Quality.NO_SPEECH, end_s=3.0),),
    reason="no speech found",
)
BAD = FileResult(Path("bad.wav"), "unreadable", reason="the file is empty")
REPORT = Report((SPLICED, GENUINE, MUTE, BAD), BASIS)
TWO_MODELS = Report(
    (
        replace(SPLICED, opinions=(Opinion("one", -3.0, "spoof"), Opinion("two", 0.25, "inconclusive"))),
        replace(GENUINE, opinions=(Opinion("one", 2.0, "bona fide"), Opinion("two", 3.0, "bona fide"))),
        BAD,
    ),
    SEVERAL,
)
INTERRUPTED = replace(REPORT, complete=False)
EMPTY = Report((), BASIS)

HOSTILE = [
    "<script>alert(1)<img src=x>&amp;.wav",
    "comma,semicolon;pipe|.wav",
    'it\'s "quoted" `ticks` \\ back.wav',
    "[red]markup[/red] [a](http:x) _b_ **c** $d$ #1.wav",
    "new\nline\r\n# heading.wav",
    "tab\tinside.wav",
    "\x1b[31mred\x1b[0m\x07.wav",
    "\x9b31mred\x7f.wav",
    "gnp\u202evaw.exe",
    "line\u2028separator\x85.wav",
    "=cmd()|'C calc'!A0.wav",
    "+1.wav",
    "-rf.wav",
    "@SUM(1) www.example.com.wav",
    "＝1.wav",
    "%2e <NA> %.wav",
    " spaces ",
    "naïve 音声 🎙 हिन्दी.wav",
    os.fsdecode(b"caf\xe9 \xff.wav"),
]


def hostile(name: str, **changes) -> Report:
    """A report in which everything that comes from outside is `name`."""
    result = replace(
        SPLICED,
        path=Path("in") / name,
        notes=(Note(name, name, name),),
        container=Container(name, name, 44_100, 2),
        opinions=(Opinion(name, -3.0, "spoof"), Opinion("two", None, None)),
        **changes,
    )
    bad = FileResult(Path(name), "unreadable", reason=name)
    models = (replace(BASIS, model=name), replace(BASIS, model="two"))
    basis = replace(BASIS, model=name, settings=((name, name),), bands=((name, BASIS.thresholds),), models=models)
    return Report((result, bad), basis)
