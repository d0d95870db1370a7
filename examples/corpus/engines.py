"""Speech engines by a table: a further one is a row. What is not installed is passed over with a sentence."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import soundfile

from deepcheck.errors import AudioError

TIMEOUT_S = 120


class Voice(NamedTuple):
    """A voice by the name that the engine has for it, and the language of the sentences that it gets."""

    name: str
    language: str


class Manner(NamedTuple):
    """How a sentence is spoken: faster than usual by `speed`, higher by `pitch`; engines without either ignore it."""

    speed: float
    pitch: float


Speak = Callable[[str, Voice, Manner, Path], None]  # text, voice, manner, the wav to write


@dataclass(frozen=True)
class Engine:
    """A row of the table."""

    name: str
    licence: str
    to_get: str  # how, in a sentence
    present: Callable[[], bool]
    voices: Callable[[], list[Voice]]
    speak: Speak


@dataclass(frozen=True)
class Files:
    """Model files that the user has: voices of piper, the model of kokoro and its voices."""

    piper: tuple[Path, ...] = ()
    kokoro: tuple[Path, Path] | None = None


def engines(files: Files) -> tuple[Engine, ...]:
    """The table."""
    return (
        Engine(
            "espeak-ng",
            "GPL-3.0+",
            "apt-get install espeak-ng",
            partial(_on_path, "espeak-ng"),
            lambda: list(_ESPEAK_VOICES),
            _espeak,
        ),
        Engine("flite", "BSD-like", "apt-get install flite", partial(_on_path, "flite"), _flite_voices, _flite),
        Engine(
            "festival",
            "X11-like; each voice has its own",
            "apt-get install festival festvox-kallpc16k festvox-us-slt-hts",
            partial(_on_path, "text2wave"),
            _festival_voices,
            _festival,
        ),
        Engine(
            "pico",
            "Apache-2.0",
            "apt-get install libttspico-utils (Debian: non-free)",
            partial(_on_path, "pico2wave"),
            lambda: list(_PICO_VOICES),
            _pico,
        ),
        Engine(
            "piper",
            "GPL-3.0 (the package); each voice has its own",
            "pip install piper-tts, then name voices that you have, each with its .onnx.json: --voice FILE.onnx",
            lambda: bool(files.piper) and find_spec("piper") is not None,
            lambda: [Voice(str(path), path.name[:2]) for path in files.piper],
            _piper,
        ),
        Engine(
            "kokoro",
            "Apache-2.0",
            "pip install kokoro-onnx, then name the files that you have: --kokoro MODEL.onnx VOICES.bin",
            lambda: files.kokoro is not None and find_spec("kokoro_onnx") is not None,
            lambda: list(_KOKORO_VOICES),
            lambda text, voice, manner, place: _kokoro(files, text, voice, manner, place),
        ),
    )


def _on_path(program: str) -> bool:
    return shutil.which(program) is not None


def _call(command: list[str], text: str | None = None) -> str:
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, check=True, timeout=TIMEOUT_S, errors="replace"
        )
    except subprocess.TimeoutExpired:
        raise AudioError(f"{command[0]} said nothing for {TIMEOUT_S} s") from None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines()
        raise AudioError(f"{command[0]} failed ({lines[-1] if lines else f'exit code {error.returncode}'})") from None
    return done.stdout


_ESPEAK_VARIANTS = ("", "+m3", "+m7", "+f2", "+f4", "+croak", "+whisper")
_ESPEAK_VOICES = (
    *(Voice(f"{accent}{variant}", "en") for accent in ("en-us", "en-gb") for variant in _ESPEAK_VARIANTS),
    *(Voice(f"{tongue}{variant}", tongue) for tongue in ("de", "fr", "es", "it", "pl") for variant in ("", "+f3")),
)
_PICO_VOICES = tuple(Voice(name, name[:2]) for name in ("en-US", "en-GB", "de-DE", "fr-FR", "es-ES", "it-IT"))
_KOKORO_VOICES = (
    *(Voice(name, "en") for name in ("af_heart", "af_bella", "am_adam", "am_michael", "bf_emma", "bm_george")),
    Voice("ff_siwis", "fr"),
    Voice("ef_dora", "es"),
    Voice("if_sara", "it"),
)
_KOKORO_TONGUES = {"b": "en-gb", "f": "fr-fr", "e": "es", "i": "it"}


def _espeak(text: str, voice: Voice, manner: Manner, place: Path) -> None:
    speed, pitch = round(165 * manner.speed), round(min(99, 50 * manner.pitch))
    _call(["espeak-ng", "-v", voice.name, "-s", str(speed), "-p", str(pitch), "-w", str(place), text])


def _flite_voices() -> list[Voice]:
    listed = _call(["flite", "-lv"]).partition(":")[2].split()
    # These two stand for an 8 kHz and a limited voice: one of each family will do.
    return [Voice(name, "en") for name in listed if name not in {"kal", "awb_time"}]


def _flite(text: str, voice: Voice, manner: Manner, place: Path) -> None:
    stretch = f"duration_stretch={1 / manner.speed:.3f}"
    _call(["flite", "-voice", voice.name, "--setf", stretch, "-o", str(place), "-t", text])


def _festival_voices() -> list[Voice]:
    """The English voices that are installed, wherever the packages or the sources put them."""
    found = _call(["festival", "--pipe"], "(print (voice.list))")
    return [Voice(name, "en") for name in found.replace("(", " ").replace(")", " ").split()]


def _festival(text: str, voice: Voice, manner: Manner, place: Path) -> None:
    stretch = f"(Parameter.set 'Duration_Stretch {1 / manner.speed:.3f})"
    _call(["text2wave", "-eval", f"(voice_{voice.name})", "-eval", stretch, "-o", str(place)], text)


def _pico(text: str, voice: Voice, manner: Manner, place: Path) -> None:
    marked = f'<speed level="{100 * manner.speed:.0f}"><pitch level="{100 * manner.pitch:.0f}">{text}</pitch></speed>'
    _call(["pico2wave", "-l", voice.name, "-w", str(place), marked])


def _piper(text: str, voice: Voice, manner: Manner, place: Path) -> None:
    scale = f"{1 / manner.speed:.3f}"
    _call([sys.executable, "-m", "piper", "-m", voice.name, "--length-scale", scale, "-f", str(place)], text)


@cache
def _kokoro_model(model: Path, voices: Path) -> Any:
    from kokoro_onnx import Kokoro

    return Kokoro(str(model), str(voices))


def _kokoro(files: Files, text: str, voice: Voice, manner: Manner, place: Path) -> None:
    assert files.kokoro is not None
    tongue = _KOKORO_TONGUES.get(voice.name[0], "en-us")
    sound, rate = _kokoro_model(*files.kokoro).create(text, voice=voice.name, speed=manner.speed, lang=tongue)
    soundfile.write(place, sound, rate)
