"""From draws to batches: decode, crop, augment, fit to the detector's window."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from deepcheck.audio.augment.chain import Chain
from deepcheck.audio.decode import SAMPLE_RATE, Waveform, read
from deepcheck.audio.windows import tile
from deepcheck.data.sampling import BatchSampler, Draw
from deepcheck.data.utterance import Utterance
from deepcheck.errors import AudioError


@dataclass(frozen=True)
class Batch:
    """`waveforms` (batch, samples) float32, `labels` (batch,) float32 with 1 = bona fide, `skipped` (path, reason)."""

    waveforms: Tensor
    labels: Tensor
    skipped: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Sample:
    waveform: Waveform | None
    label: float
    path: str
    reason: str = ""


class TrainingSet(Dataset[_Sample]):
    """Utterances as training windows of `min_crop_s` to `window_s`; what a draw gives depends on the draw alone.

    All windows of a batch are of one length, so that a detector meets every length and no time goes into padding. A
    random stretch is taken and augmented; a shorter recording is repeated up to the length, with both labels alike. A
    recording that cannot be decoded is left out of its batch with the reason: one bad file must not end a night of
    training.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        window_s: float,
        min_crop_s: float,
        chain: Chain,
        cache_gb: float,
    ) -> None:
        self.utterances = utterances
        self.window = round(window_s * SAMPLE_RATE)
        self.min_crop = min(self.window, round(min_crop_s * SAMPLE_RATE))
        self.chain = chain
        self.cache_left = int(cache_gb * 1e9)
        self.cache: dict[int, Waveform] = {}

    def __getitem__(self, draw: Draw) -> _Sample:
        utterance = self.utterances[draw.item]
        label = float(utterance.label or 0)
        rng = np.random.default_rng(draw.seed)
        try:
            waveform = self._decoded(draw.item)
        except AudioError as error:
            return _Sample(None, label, str(utterance.path), error.message)
        length = self.min_crop + round(draw.length * (self.window - self.min_crop))
        augmented = self.chain(_crop(waveform, length, rng), rng)
        return _Sample(_fit(augmented, length, rng), label, str(utterance.path))

    def _decoded(self, index: int) -> Waveform:
        waveform = self.cache.get(index)
        if waveform is None:
            waveform = read(self.utterances[index].path)
            if waveform.nbytes <= self.cache_left:
                self.cache_left -= waveform.nbytes
                self.cache[index] = waveform
        return waveform


def _crop(waveform: Waveform, length: int, rng: np.random.Generator) -> Waveform:
    if len(waveform) <= length:
        return waveform
    start = int(rng.integers(len(waveform) - length + 1))
    return waveform[start : start + length]


def _fit(waveform: Waveform, size: int, rng: np.random.Generator) -> Waveform:
    return tile(waveform, size) if len(waveform) < size else _crop(waveform, size, rng)


def _collate(samples: list[_Sample]) -> Batch:
    usable = [(s.waveform, s.label) for s in samples if s.waveform is not None]
    waveforms = np.stack([w for w, _ in usable]) if usable else np.zeros((0, 0), np.float32)
    return Batch(
        torch.from_numpy(waveforms),
        torch.tensor([label for _, label in usable]),
        tuple((s.path, s.reason) for s in samples if s.waveform is None),
    )


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)


class Loader:
    """Batches of an epoch, prepared by `workers` processes (0: in this one)."""

    def __init__(self, dataset: TrainingSet, sampler: BatchSampler, workers: int, pin: bool = False) -> None:
        self.sampler = sampler
        self._batches: DataLoader[_Sample] = DataLoader(
            dataset,
            batch_sampler=sampler,
            num_workers=workers,
            collate_fn=_collate,
            pin_memory=pin,
            persistent_workers=workers > 0,
            worker_init_fn=_one_thread,
            prefetch_factor=4 if workers else None,
        )

    def epoch(self, number: int, first_step: int = 0) -> Iterator[Batch]:
        """The batches of epoch `number` from `first_step` on."""
        self.sampler.start(number, first_step)
        yield from self._batches
