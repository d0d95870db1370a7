"""Which sentences the engines say, and what keeps their clips from being told by anything but the voice."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
from clips import format_of, settle
from engines import Engine, Manner, Voice
from jobs import Job, Made
from rows import Row, clip_path
from texts import TEXTS

from deepcheck.audio.augment.levels import amplitude, at_rms, frame_rms, rms
from deepcheck.audio.decode import SAMPLE_RATE, Waveform, read
from deepcheck.errors import AudioError, DeepcheckError
from deepcheck.seeding import seed_of

_FRAME = SAMPLE_RATE // 100


def spoken_jobs(
    engines: Sequence[Engine],
    genuine: Sequence[Row],
    folder: Path,
    *,
    per_voice: int,
    ending: str,
    seed: int,
    say: Callable[[str], None],
) -> Iterator[Job]:
    """`per_voice` sentences of each voice, each as loud and as short as a genuine clip that is drawn for it."""
    for engine in engines:
        try:
            voices = engine.voices()
        except (DeepcheckError, OSError) as error:
            say(f"Left out: {engine.name}, which does not tell its voices: {error}")
            continue
        for voice in voices:
            texts = TEXTS.get(voice.language, TEXTS["en"])
            order = np.random.default_rng(seed_of("texts", seed, engine.name, voice.name)).permutation(len(texts))
            for index in order[:per_voice]:
                yield _job(engine, voice, int(index), texts[index], genuine, folder, ending, seed)


def _job(
    engine: Engine,
    voice: Voice,
    index: int,
    text: str,
    genuine: Sequence[Row],
    folder: Path,
    ending: str,
    seed: int,
) -> Job:
    key = ("engine", engine.name, Path(voice.name).stem, voice.language, index, seed)
    like = genuine[int(np.random.default_rng(seed_of("like", *key)).integers(len(genuine)))]
    path = clip_path(folder, like)
    row = {
        "label": "spoof",
        "subset": like["subset"],
        "source": f"engine:{engine.name}",
        "system": engine.name,
        "family": "tts",
        "speaker": f"{engine.name}/{Path(voice.name).stem}",
        "language": voice.language,
        "utterance": f"{engine.name}_{voice.language}_{index}",
        "pair_of": "",
        "licence": engine.licence,
    }

    def sound(attempt: int) -> Made:
        rng = np.random.default_rng(seed_of(*key, attempt))
        manner = Manner(speed=float(rng.uniform(0.85, 1.2)), pitch=float(rng.uniform(0.75, 1.35)))
        with TemporaryDirectory() as scratch:
            place = Path(scratch) / "spoken.wav"
            engine.speak(text, voice, manner, place)
            rate = soundfile.info(place).samplerate
            said = read(place)
        return recorded(said, read(path), rng), {"original_sample_rate": str(rate)}

    return Job(key, row, format_of(path, ending), sound, tries=2)


def recorded(said: Waveform, like: Waveform, rng: np.random.Generator) -> Waveform:
    """`said` as a recording has it: as loud as `like` and at most as long, no more silence around it, over a noise.

    The noise is as loud as the softest of `like`, with a spectrum that is drawn: engines pause in digital zeros.
    """
    levels = frame_rms(said, _FRAME)
    heard = np.flatnonzero(levels > 0.02 * levels.max(initial=0.0)) * _FRAME
    if not heard.size:
        raise AudioError("the engine said nothing")
    before, after = (int(rng.uniform(0.05, 0.4) * SAMPLE_RATE) for _ in range(2))
    said = np.pad(said, (before, after))[heard[0] : heard[-1] + before + after]
    said = said[: max(like.size, SAMPLE_RATE)]
    floor = float(np.percentile(frame_rms(like, _FRAME), 5)) / max(rms(like), 1e-9)
    floor = float(np.clip(floor, amplitude(-65.0), amplitude(-25.0)))
    white = np.fft.rfft(rng.standard_normal(said.size))
    hz = np.fft.rfftfreq(said.size, 1 / SAMPLE_RATE)
    noise = np.fft.irfft(white / (100.0 + hz) ** rng.uniform(0.0, 0.8), said.size)
    loud = at_rms(said, 1.0) + at_rms(noise, floor)
    return settle(loud, at_rms(loud, max(rms(like), amplitude(-45.0))))
