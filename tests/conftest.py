"""Tiny detectors and synthetic sound: no test needs a download, a GPU, or anything but the repository."""

import shutil
import wave
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache, wraps
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from forked import serving

from deepcheck.audio.container import Container
from deepcheck.audio.decode import SAMPLE_RATE, Waveform, decode
from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import save_checkpoint, snapshot
from deepcheck.detectors.base import Detector, build
from deepcheck.errors import AudioError
from deepcheck.metrics.calibration import Calibration, Thresholds

TINY = DetectorSpec("resnet18", {"width": 4, "frontend": {"name": "mel", "bins": 20}, "window_s": 1.0})
TINY_ENCODER = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
}

TINY_DISTILLED = {"channels": [4, 3, 5, 4, 4, 6], "width": 32, "heads": 4, "neurons": 24, "layers": 2}

# Thread pools of two processes on the same cores cost more than they gain on models this small.
torch.set_num_threads(1)


# Files of few tests that take long: they begin first, or one of them would keep one of two processes busy at the end
# while the other has nothing left to do. Pytest-xdist by itself begins with the files of most tests.
LONGEST = (
    "test_processes.py",
    "test_reproduction_pack.py",
    "test_fold_training.py",
    "test_fusing.py",
    "test_scan_killed.py",
    "test_desk.py",
    "test_wheel.py",
    "test_shipped.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes a new empty folder at each call. Pytest's own look through all earlier ones for the next free number."""
    folder, numbers = tmp_path_factory.mktemp("homes"), count()

    def make() -> Path:
        place = folder / str(next(numbers))
        place.mkdir()
        return place

    return make


@pytest.fixture(autouse=True)
def home(homes: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of its own for every test, so that none meets the user's models."""
    place = homes()
    monkeypatch.setenv("DEEPCHECK_HOME", str(place))
    return place


def made_once(make: Callable[..., Waveform]) -> Callable[..., Waveform]:
    """The same sounds are asked for thousands of times: from the second time on a copy of the first."""
    first = lru_cache(maxsize=128)(make)

    @wraps(make)
    def copied(*arguments: float, **named: float) -> Waveform:
        return first(*arguments, **named).copy()

    return copied


@made_once
def speechlike(duration_s: float = 3.0, seed: int = 0, f0_hz: float = 120.0) -> Waveform:
    """Syllables of a buzzing source through moving formants: enough of a voice for a voice activity detector."""
    rng = np.random.default_rng(seed)
    n = round(duration_s * SAMPLE_RATE)
    t = np.arange(n) / SAMPLE_RATE
    f0 = f0_hz * (
        1 + 0.15 * np.sin(2 * np.pi * 0.7 * t + rng.uniform(0, 6)) + 0.01 * rng.standard_normal(n).cumsum() / 60
    )
    phase = 2 * np.pi * np.cumsum(f0) / SAMPLE_RATE
    first = 550 + 250 * np.sin(2 * np.pi * 1.9 * t + rng.uniform(0, 6))
    second = 1500 + 600 * np.sin(2 * np.pi * 1.3 * t + rng.uniform(0, 6))
    sound = np.zeros(n)
    for k in range(1, 30):
        gain = sum(np.exp(-(((k * f0 - f) / 180) ** 2)) for f in (first, second, 2600.0)) + 0.02
        sound += gain / k**0.5 * np.sin(k * phase)
    sound *= 0.55 + 0.45 * np.sin(2 * np.pi * 3.5 * t + rng.uniform(0, 6))
    sound = 0.3 * sound / np.abs(sound).max() + 1e-4 * rng.standard_normal(n)
    return sound.astype(np.float32)


@made_once
def make_speech(seconds: float = 3.0, seed: int = 0) -> np.ndarray:
    """What codecs take for speech: a gliding buzz through a moving formant, in syllables, between pauses."""
    rng = np.random.default_rng(seed)
    samples = int(seconds * SAMPLE_RATE)
    time_s = np.arange(samples) / SAMPLE_RATE
    pitch_hz = 130.0 + 25.0 * np.sin(2 * np.pi * 0.9 * time_s) + 10.0 * np.sin(2 * np.pi * 2.3 * time_s)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE
    formant_hz = 1200.0 + 500.0 * np.sin(2 * np.pi * 1.7 * time_s)
    voiced = np.zeros(samples)
    for order in range(1, 50):
        harmonic_hz = order * pitch_hz
        strength = (1.0 / order) * (1.0 + 4.0 / (1.0 + ((harmonic_hz - formant_hz) / 200.0) ** 2))
        voiced += strength * np.sin(order * phase + order**2) * (harmonic_hz < 7800.0)
    breath = np.diff(rng.standard_normal(samples + 1)) * 0.15
    talking = (time_s > 0.4) & (time_s < seconds - 0.4)
    syllables = np.clip(np.sin(2 * np.pi * 2.1 * time_s), 0.0, None) * talking
    waveform = syllables * (voiced + breath) + 1e-3 * rng.standard_normal(samples)
    return (0.5 * waveform / np.abs(waveform).max()).astype(np.float32)


def described(path: str | Path) -> Container | None:
    """What a file says of itself, before its first block is decoded."""
    told: list[Container] = []
    with suppress(AudioError):
        next(decode(path, told=told.append))
    assert len(told) <= 1
    return told[0] if told else None


def write_wav(path: Path, samples: Waveform, rate: int = SAMPLE_RATE) -> Path:
    """16-bit PCM, mono."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture
def tiny() -> Detector:
    """A ResNet18 four channels wide, random weights, 1 s windows."""
    torch.manual_seed(0)
    return build(TINY).eval()


@pytest.fixture
def stored_model(tiny: Detector, home: Path) -> Callable[..., str]:
    """Stores a tiny calibrated model under a name and makes nothing current."""

    def store_it(
        name: str = "tiny", spoof: float = -1.0, bonafide: float = 1.0, offset: float = 0.0, scale: float = 1.0
    ) -> str:
        card = Card(
            name,
            tiny.spec,
            calibration=Calibration(scale, offset),
            thresholds=Thresholds(spoof, bonafide),
            rates={"false_alarm": 0.01, "miss": 0.05, "confidence": 0.95, "bonafide": 500, "spoof": 400},
            metrics={"dev_eer": 0.125},
            parameters=sum(p.numel() for p in tiny.parameters()),
        )
        save_checkpoint(snapshot(tiny, card), home / "models" / f"{name}.safetensors")
        return name

    return store_it


def write_corpus(place: Path) -> Path:
    """Two folders of labelled recordings that even a tiny detector tells apart: voices, and buzzing tones."""
    for i in range(12):
        write_wav(place / "bonafide" / f"site{i % 3}" / f"b{i}.wav", speechlike(1.5, seed=i, f0_hz=100 + 9 * i))
        t = np.arange(round(1.5 * SAMPLE_RATE)) / SAMPLE_RATE
        tone = 0.2 * np.sign(np.sin(2 * np.pi * (180 + 23 * i) * t)).astype(np.float32)
        write_wav(place / "spoof" / f"system{i % 3}" / f"s{i}.wav", tone)
    return place


@pytest.fixture
def inbox(tmp_path, stored_model) -> Path:
    """Six voices, and a model to scan them with."""
    stored_model()
    for i in range(6):
        write_wav(tmp_path / "in" / f"{i}.wav", speechlike(1.2, seed=i))
    return tmp_path / "in"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A corpus that a test may spoil."""
    return write_corpus(tmp_path / "corpus")


@pytest.fixture(scope="session")
def lasting_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same recordings, for what many tests share; nobody writes into it."""
    return write_corpus(tmp_path_factory.mktemp("lasting") / "corpus")


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The path of a `deepcheck` for scripts that call it many times."""
    with serving(tmp_path_factory.mktemp("program")) as path:
        yield path


def altered_copy(folder: Path, place: Path) -> Path:
    """The recordings of `folder` once more at `place`, each with another last sample: others, by their content."""
    shutil.copytree(folder, place)
    for path in place.rglob("*.wav"):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    return place


@pytest.fixture
def speech() -> np.ndarray:
    waveform = make_speech()
    waveform.flags.writeable = False  # an augmentation that wrote into its input would fail
    return waveform


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
