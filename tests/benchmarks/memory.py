"""How much memory a scan needs for long recordings and for many (Linux).

A recording of 10 minutes and one of 6 hours are made of the examples, as MP3, and scanned, each by a process of its own
with its decoders; then a folder of recordings of a second, and one of a tenth as many. Of many files the processor time
for each beside decoding and scoring is told as well: that of a whole scan, less that of a program which decodes and
scores the same.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import soundfile

from deepcheck.audio.decode import EXTENSIONS, SAMPLE_RATE, Waveform, read
from tests.benchmarks.figure import Figure

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "audio"
MODEL = "fast"
_HOURS = 6
_LOOK_S = 0.1
_PART_S = 600
_BARE = """
import sys
from pathlib import Path
from deepcheck.engine.model import load
from deepcheck.engine.score import score_together
from deepcheck.scanner.panel import Panel
files = sorted(Path(sys.argv[1]).rglob("*.wav"))
for _ in score_together(Panel([load(sys.argv[2])])._scorers[0], files, timeout_s=600.0):
    pass
"""


def figures(large: bool) -> Iterator[Figure]:
    """Of the long recording its memory in all and beside that of the short one; of the files, 10,000 or with `large`
    100,000, their memory beside that of a tenth of them, and what each costs."""
    with tempfile.TemporaryDirectory(prefix="memory-") as temporary:
        yield from _long(Path(temporary))
        yield from _many(Path(temporary), 100_000 if large else 10_000)


def _long(folder: Path) -> Iterator[Figure]:
    peaks, told = [], []
    for name, parts in (("10 min", 1), (f"{_HOURS} h", _HOURS * 3600 // _PART_S)):
        path = folder / "long.mp3"
        _write_mp3(path, parts)
        peak, cpu_s, _ = measured(_scan(path), folder / "home")
        peaks.append(peak)
        told.append(f"{name}: {peak:.0f} MB, {cpu_s:.1f} s of CPU")
        path.unlink()
    beside = "; ".join(told)
    yield Figure(f"memory for {_HOURS} hours in that for 10 minutes", peaks[1] / peaks[0], 1.2, "x", True, beside)
    yield Figure(f"memory for {_HOURS} hours, decoders included", peaks[1], 900, "MB", True)


def _many(folder: Path, files: int) -> Iterator[Figure]:
    speech, peaks, told = _speech(), [], []
    for count in (files // 10, files):
        inbox = folder / f"{count}"
        for number in range(count):
            path = inbox / f"{number // 1000}" / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            start = number * 1_009 % (len(speech) - SAMPLE_RATE)
            soundfile.write(path, speech[start : start + SAMPLE_RATE], SAMPLE_RATE, subtype="PCM_16")
        peak, cpu_s, _ = measured(_scan(inbox), folder / "home")
        _, bare_s, _ = measured([sys.executable, "-c", _BARE, str(inbox), MODEL], folder / "home")
        peaks.append(peak)
        told.append(f"{count:,}: {peak:.0f} MB, {cpu_s:.1f} s of CPU, {bare_s:.1f} s of it to start, decode and score")
    yield Figure("memory for all files in that for a tenth", peaks[1] / peaks[0], 1.1, "x", True, "; ".join(told))
    yield Figure("a file beside decoding and scoring", 1000 * (cpu_s - bare_s) / files, 1, "ms", True)


def measured(command: Sequence[str], home: Path) -> tuple[float, float, float]:
    """(MB at the height of a process and its children together, seconds of processor time, of wall time).

    What processes share counts once (the proportional set size of the system).
    """
    environment = {**os.environ, "DEEPCHECK_HOME": str(home)}
    began, peak, ended = time.monotonic(), [0.0], threading.Event()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as process:

        def look() -> None:
            while not ended.wait(_LOOK_S):
                peak[0] = max(peak[0], sum(map(_mb, _family(process.pid))))

        watcher = threading.Thread(target=look)
        watcher.start()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        ended.set()
        watcher.join()
    if process.returncode not in (0, 3):  # a second of sound may hold too little speech
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}.")
    return peak[0], used.ru_utime + used.ru_stime, time.monotonic() - began


def _scan(what: Path) -> list[str]:
    command = [sys.executable, "-m", "deepcheck", "scan", str(what), "--model", MODEL, "--quiet", "--no-resume"]
    return [*command, "--format", "csv"]


def _family(pid: int) -> Iterator[int]:
    """The process and those that it started."""
    yield pid
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = path.read_text().split()
        except OSError:  # a thread that has ended meanwhile
            continue
        for child in children:
            yield from _family(int(child))


def _mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def _speech() -> Waveform:
    paths = sorted(path for path in EXAMPLES.rglob("*") if path.suffix[1:] in EXTENSIONS)
    return np.concatenate([read(path) for path in paths])


def _write_mp3(path: Path, parts: int) -> None:
    """So many times ten minutes: frames of MP3 stand for themselves, so that ten minutes are encoded once."""
    speech = np.resize(_speech(), _PART_S * SAMPLE_RATE)
    whole = np.round(32767 * np.clip(speech, -1, 1)).astype(np.int16)[None]
    with av.open(str(path), "w", options={"write_xing": "0", "id3v2_version": "0"}) as file:
        track = file.add_stream("libmp3lame", rate=SAMPLE_RATE, layout="mono")
        fit = av.AudioResampler(track.format, "mono", SAMPLE_RATE, frame_size=576)
        block = av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
        block.sample_rate = SAMPLE_RATE
        for frame in [*fit.resample(block), *fit.resample(None), None]:
            file.mux(track.encode(frame))
    data = path.read_bytes()
    with path.open("ab") as more:
        for _ in range(parts - 1):
            more.write(data)
