"""How fast training is, beside what the same machine does without deepcheck: `python -m tests.benchmarks.training`.

Steps are timed in turns, the best of each; whole trainings and what they are compared with one after the other. With
CUDA the detectors have their full size and train on the GPU; without, the same is measured small, on one thread, in
seconds of CPU time where that tells more on a busy machine. The recordings are made up and lie in a temporary folder.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import torch.nn.functional as F
from torch import Tensor

from deepcheck.audio.torchaudio_import import import_torchaudio
from deepcheck.card import DetectorSpec
from deepcheck.config import DataConfig, SamplingConfig, SourceConfig, TrainConfig
from deepcheck.detectors.base import Detector, build
from deepcheck.engine.events import EpochDone
from deepcheck.engine.train import train
from deepcheck.runtime import autocast, has_fast_bf16, move, pick_dtype
from tests.benchmarks.figure import Figure
from tests.benchmarks.surgery import measure_steps

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
SMALL_ENCODER = {
    "hidden_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "conv_dim": [64] * 7,
}
ROUNDS = 4


def clock() -> float:
    """Seconds: of the wall on a GPU, of this thread's work on a CPU, which others may keep busy."""
    if CUDA:
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.thread_time()


def best(works: dict[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """The shortest time of each, taken in turns after a first round that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            began = clock()
            work()
            if number:
                taken[name].append(clock() - began)
    return {name: min(times) for name, times in taken.items()}


def labels(count: int) -> Tensor:
    """As many of each label."""
    return (torch.arange(count) % 2).float().to(DEVICE)


def stepper(detector: Detector, sounds: Tensor, dtype: torch.dtype) -> Callable[[], None]:
    """Forward and backward on a batch that lies on the device."""
    targets = labels(len(sounds))
    detector.train()

    def step() -> None:
        detector.zero_grad(set_to_none=True)
        with autocast(DEVICE, dtype):
            logits = detector.score(sounds)
        F.binary_cross_entropy_with_logits(logits.float(), targets).backward()

    return step


def precision_and_layout() -> Iterator[Figure]:
    """What bfloat16 and channels last are worth, by detector: they are the defaults (`runtime.pick_dtype`, `move`)."""
    clips = 64 if CUDA else 4
    sounds = 0.1 * torch.randn(clips, 32_000, device=DEVICE)
    for name in ("resnet18", "gru", "wav2vec2"):
        works = {}
        for dtype in (torch.float32, torch.bfloat16) if has_fast_bf16(DEVICE) else (torch.float32,):
            for layout in (torch.contiguous_format, torch.channels_last):
                detector = build(DetectorSpec(name, {}))
                detector.to(device=DEVICE, memory_format=layout)  # type: ignore[call-overload]
                works[f"{str(dtype)[6:]}, {str(layout)[6:]}"] = stepper(detector, sounds, dtype)
        found = best(works)
        plain = found.pop("float32, contiguous_format")
        for what, seconds in found.items():
            yield Figure(f"{name}, a step in {what}, in one in float32, contiguous", seconds / plain, 1.1, at_most=True)


def corpus(place: Path, clips: int) -> Path:
    """Noises of both labels, as flac: what they sound like takes no more or less time."""
    draw = np.random.default_rng(0)
    for i in range(clips):
        file = place / ("bonafide", "spoof")[i % 2] / f"site{i % 8 // 2}" / f"{i}.flac"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, 0.1 * draw.standard_normal(80_000), 16_000)
    return place


def recipe(folder: Path, detector: dict[str, Any], clips: int, batch: int, window_s: float) -> TrainConfig:
    """Two epochs, the second of which is measured."""
    return TrainConfig(
        epochs=2,
        batch_size=batch,
        patience=None,
        device=DEVICE.type,
        detector={**detector, "window_s": window_s},
        data=DataConfig(SourceConfig(str(folder)), holdout=0.25),
        sampling=SamplingConfig(samples_per_epoch=clips, min_crop_s=window_s),
    )


def last_epoch(config: TrainConfig, run_dir: Path) -> EpochDone:
    """The last epoch of a training; what comes after it is left out."""
    for event in train(config, run_dir):
        if isinstance(event, EpochDone) and event.epoch == config.epochs:
            return event
    raise AssertionError


def bare_speed(step: Callable[[], None], clips: int) -> float:
    """Clips a second of the wall that the step alone takes in."""
    for _ in range(2):
        step()
    began, steps = time.perf_counter(), 0
    while time.perf_counter() - began < 5:
        step()
        steps += 1
        if CUDA:
            torch.cuda.synchronize()
    return clips * steps / (time.perf_counter() - began)


def resnet18() -> Iterator[Figure]:
    """A whole training, decoding and all, beside bare steps on a batch that is there."""
    spec = {"name": "resnet18", **({} if CUDA else {"width": 32})}
    clips, batch, window_s = (4096, 64, 4.0) if CUDA else (128, 16, 2.0)
    with tempfile.TemporaryDirectory() as name:
        folder = corpus(Path(name) / "corpus", 512 if CUDA else 64)
        epoch = last_epoch(recipe(folder, spec, clips, batch, window_s), Path(name) / "run")
    arguments = {key: value for key, value in spec.items() if key != "name"}
    detector = build(DetectorSpec("resnet18", {**arguments, "window_s": window_s}))
    move(detector, DEVICE)
    sounds = 0.1 * torch.randn(batch, round(16_000 * window_s), device=DEVICE)
    bare = bare_speed(stepper(detector, sounds, pick_dtype("auto", DEVICE)), batch)
    share = epoch.clips_per_s / bare
    yield Figure("resnet18, clips a second in training, in bare forward and backward", share, 0.4)
    yield Figure("resnet18, an epoch spent waiting for data", 100 * epoch.waiting, 10, "%", at_most=True)


class _Sounds(torch.utils.data.Dataset[dict[str, Any]]):
    def __init__(self, sounds: Tensor) -> None:
        self.sounds = sounds

    def __len__(self) -> int:
        return len(self.sounds)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_values": self.sounds[index], "labels": index % 2}


def trainer_speed(encoder: dict[str, Any], batch: int, window_s: float, clips: int) -> float:
    """Clips a second of the plain `transformers.Trainer` on sounds in memory, after a first run that warms up."""
    import_torchaudio()  # before transformers, which asks for it
    from transformers import (
        PrinterCallback,
        Trainer,
        TrainingArguments,
        Wav2Vec2Config,
        Wav2Vec2ForSequenceClassification,
    )

    still = {"mask_time_prob": 0.0, "layerdrop": 0.0, "num_labels": 2}
    model = Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**encoder, **still))
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            per_device_train_batch_size=batch,
            num_train_epochs=1,
            bf16=has_fast_bf16(DEVICE),
            use_cpu=not CUDA,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
        )
        data = _Sounds(0.1 * torch.randn(clips, round(16_000 * window_s)))
        for _ in range(2):
            trainer = Trainer(model, arguments, train_dataset=data)
            trainer.remove_callback(PrinterCallback)
            done = trainer.train()
    return float(done.metrics["train_samples_per_second"])


def wav2vec2() -> Iterator[Figure]:
    """Fine-tuning, decoding and all, beside the loop that transformers brings, on sounds in memory."""
    encoder = {} if CUDA else SMALL_ENCODER
    clips, batch, window_s = (1024, 16, 4.0) if CUDA else (32, 4, 2.0)
    theirs = trainer_speed(encoder, batch, window_s, clips)
    spec = {"name": "wav2vec2", **({"size": "base"} if CUDA else {"config": encoder})}
    with tempfile.TemporaryDirectory() as name:
        folder = corpus(Path(name) / "corpus", 256 if CUDA else 64)
        epoch = last_epoch(recipe(folder, spec, clips, batch, window_s), Path(name) / "run")
    ratio = epoch.clips_per_s / theirs
    size = "base" if CUDA else "of four small layers"
    yield Figure(f"wav2vec2 {size}, clips a second in training, in transformers.Trainer", ratio, 1)
    yield Figure(f"wav2vec2 {size}, an epoch spent waiting for data", 100 * epoch.waiting, 10, "%", at_most=True)


def surgery() -> Iterator[Figure]:
    """Growing every part of all layers of wav2vec2-large, pruning that again, and saving it: 1.3 GB, once."""
    with tempfile.TemporaryDirectory() as home:
        for what, seconds in measure_steps("large", Path(home), quiet=True).items():
            if what.startswith(("grow", "prune", "save")):
                yield Figure(f"wav2vec2-large, to {what}", seconds, 10, "s", at_most=True)


def figures(large: bool) -> Iterator[Figure]:
    """What training takes beside plain loops; `large` changes nothing, a GPU all."""
    if not CUDA:
        torch.set_num_threads(1)
    for part in (precision_and_layout, resnet18, wav2vec2, surgery):
        yield from part()


def main() -> None:
    """Prints figure, target, met or missed."""
    for figure in figures(large=False):
        print(figure.line(), flush=True)


if __name__ == "__main__":
    main()
