"""From draws to batches: decode, crop, augment, fit to the detector's window; or take what was kept, and crop."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from deepcheck.audio.augment.chain import Chain
from deepcheck.audio.decode import SAMPLE_RATE, read
from deepcheck.data.sampling import BatchSampler, Draw
from deepcheck.data.utterance import Utterance
from deepcheck.data.variants import Variants
from deepcheck.errors import AudioError


@dataclass(frozen=True)
class Batch:
    """`waveforms` (batch, samples) float32, or what is kept in their place, (batch, ..., frames); `labels` (batch,)
    float32 with 1 = bona fide, `sources` (batch,) int64 as of `source_numbers`, `skipped` (path, reason)."""

    waveforms: Tensor
    labels: Tensor
    sources: Tensor
    skipped: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Sample:
    waveform: Tensor | None
    label: float
    source: int
    path: str
    reason: str = ""


class TrainingSet(Dataset[_Sample]):
    """Utterances as training windows of `min_crop_s` to `window_s`; what a draw gives depends on the draw alone.

    All windows of a batch are of one length, so that a detector meets every length and no time goes into padding. A
    random stretch is taken and augmented; a shorter recording is repeated up to the length, with both labels alike. A
    recording that cannot be decoded is left out of its batch with the reason: one bad file must not end a night of
    training. With `variants` each draw is a stretch of one of those, which are augmented already.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        window_s: float,
        min_crop_s: float,
        chain: Chain,
        cache_gb: float,
        variants: Variants | None = None,
    ) -> None:
        self.utterances = utterances
        self.sources = source_numbers(utterances)
        self.window = round(window_s * SAMPLE_RATE)
        self.min_crop = min(self.window, round(min_crop_s * SAMPLE_RATE))
        self.chain = chain
        self.cache_left = int(cache_gb * 1e9)
        self.cache: dict[int, Tensor] = {}
        self.variants = variants

    def __getitem__(self, draw: Draw) -> _Sample:
        utterance = self.utterances[draw.item]
        label, source = float(utterance.label or 0), self.sources[draw.item]
        rng = np.random.default_rng(draw.seed)
        length = self.min_crop + round(draw.length * (self.window - self.min_crop))
        try:
            if self.variants is None:
                stretch = _crop(self._decoded(draw.item), length, rng)
                augmented = torch.from_numpy(self.chain(stretch.numpy(), rng))
            else:
                augmented = self.variants.get(utterance, int(rng.integers(1, self.variants.count + 1)))
                step = self.variants.carrier.step
                if not step:
                    return _Sample(augmented, label, source, str(utterance.path))
                length //= step
        except AudioError as error:
            return _Sample(None, label, source, str(utterance.path), error.message)
        return _Sample(_fit(augmented, length, rng), label, source, str(utterance.path))

    def _decoded(self, index: int) -> Tensor:
        waveform = self.cache.get(index)
        if waveform is None:
            waveform = torch.from_numpy(read(self.utterances[index].path))
            if waveform.nbytes <= self.cache_left:
                self.cache_left -= waveform.nbytes
                self.cache[index] = waveform
        return waveform


def source_numbers(utterances: Sequence[Utterance]) -> list[int]:
    """Of each utterance a number from 0 that stands for its source; where that is not known, one of its own, since
    nothing says that two such recordings come from one place."""
    numbers: dict[tuple[str | None, int], int] = {}
    keys = ((u.source, -1 if u.source else index) for index, u in enumerate(utterances))
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def _crop(sound: Tensor, length: int, rng: np.random.Generator) -> Tensor:
    if sound.shape[-1] <= length:
        return sound
    start = int(rng.integers(sound.shape[-1] - length + 1))
    return sound[..., start : start + length]


def _fit(sound: Tensor, size: int, rng: np.random.Generator) -> Tensor:
    """A stretch of `size` frames or samples, the last axis; what is shorter is repeated."""
    times = -(-size // sound.shape[-1])
    return _crop(sound, size, rng) if times <= 1 else torch.cat([sound] * times, -1)[..., :size]


def _collate(samples: list[_Sample]) -> Batch:
    usable = [(s.waveform, s.label, s.source) for s in samples if s.waveform is not None]
    return Batch(
        torch.stack([waveform for waveform, _, _ in usable]) if usable else torch.zeros(0, 0),
        torch.tensor([label for _, label, _ in usable]),
        torch.tensor([source for _, _, source in usable], dtype=torch.int64),
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
