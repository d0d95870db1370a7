"""Recordings in a few shaken versions each, made once and kept on disk, as far as nothing that learns is reached."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from deepcheck.audio.augment.chain import Chain
from deepcheck.audio.decode import SAMPLE_RATE, Waveform, read
from deepcheck.audio.windows import tile
from deepcheck.data.utterance import Utterance
from deepcheck.seeding import seed_of

_SHORTEST = SAMPLE_RATE // 2  # samples: what augmentation leaves of a recording is repeated up to this
_NAME = "kept"  # of the tensor in a file


@dataclass(frozen=True)
class Carrier:
    """What is done to a waveform before it is kept: (batch, samples) -> (batch, ..., frames) of `step` samples each.

    A `step` of 0 says that no frames are left, of which a stretch could be taken later; then `carry` may be what
    `halfway`, another carrier, does first, and `onwards` does from there. `key` stands for all that the result depends
    on, `parts` for how many parts of a detector have been passed. By default a waveform stays as it is.
    """

    carry: Callable[[Tensor], Tensor] | None = None
    parts: int = 0
    step: int = 1
    key: str = ""
    halfway: "Carrier | None" = None
    onwards: Callable[[Tensor], Tensor] | None = None


class Variants:
    """The recordings of a training as tensors (..., frames), in `count` versions each and one that nothing was done to.

    Version 0 is the first window of a recording as a scan hears it, repeated up to `window` samples where it is
    shorter. Versions 1 to `count` are a random stretch of at most a window, through the waveform steps of `chain`; what
    is drawn depends on the recording and the version alone. Each is kept in `folder` in a file of its own, so trainings
    of several folds, seeds or settings can share them, also at the same time, and one that was stopped loses none.
    Another chain, window or carrier has other files. Where the carrier leaves no frames, the stretch is of a random
    length from `shortest` samples on, and where another training has kept its recordings halfway, it begins there.
    """

    def __init__(
        self, folder: Path, count: int, chain: Chain, window: int, carrier: Carrier, shortest: int | None = None
    ) -> None:
        waveform_steps = [step for step in chain.steps if step.augmentation.stage == "waveform"]
        self.shortest = window if carrier.step or shortest is None else min(window, shortest)
        self.unshaken = folder / _digest(window, carrier.key)[:16]
        self.folder = folder / _digest(waveform_steps, window, self.shortest, carrier.key)[:16]
        self.count = count
        half = carrier.halfway
        self.halfway: Variants | None = None if half is None else Variants(folder, count, chain, window, half)
        self.chain = chain
        self.window = window
        self.carrier = carrier

    def get(self, utterance: Utterance, version: int) -> Tensor:
        """One version, from its file or made now; `AudioError` for a recording that cannot be decoded."""
        place = self._place(utterance, version)
        kept = _load(place)
        if kept is None:
            kept = self._made(utterance, version)
            _save(kept, place)
        return kept

    def has(self, utterance: Utterance, version: int) -> bool:
        """Whether `get` would find a file."""
        return self._place(utterance, version).is_file()

    def _made(self, utterance: Utterance, version: int) -> Tensor:
        with torch.inference_mode():
            if self.halfway is not None and self.carrier.onwards is not None and self.halfway.has(utterance, version):
                kept = self.halfway.get(utterance, version)
                return self.carrier.onwards(self._stretch(kept, utterance, version)[None])[0]
            waveform = torch.from_numpy(self._heard(utterance, version))
            return waveform if self.carrier.carry is None else self.carrier.carry(waveform[None])[0]

    def _stretch(self, kept: Tensor, utterance: Utterance, version: int) -> Tensor:
        """Of the frames of a version."""
        assert self.halfway is not None
        if version == 0:
            return kept
        rng = np.random.default_rng(seed_of("stretch", utterance.id, version))
        length = int(rng.integers(self.shortest, self.window + 1)) // self.halfway.carrier.step
        start = int(rng.integers(max(1, kept.shape[-1] - length + 1)))
        return kept[..., start : start + length]

    def _heard(self, utterance: Utterance, version: int) -> Waveform:
        waveform = read(utterance.path)
        if version == 0:
            first = waveform[: self.window]
            return tile(first, self.window) if len(first) < self.window else first
        rng = np.random.default_rng(seed_of("variant", utterance.id, version))
        length = int(rng.integers(self.shortest, self.window + 1))
        start = int(rng.integers(max(1, len(waveform) - length + 1)))
        shaken = self.chain(waveform[start : start + length], rng)[:length]
        # A copy: a stretch would keep the whole recording in memory, and may be read-only.
        return np.array(shaken if len(shaken) >= _SHORTEST else tile(shaken, _SHORTEST), np.float32)

    def _place(self, utterance: Utterance, version: int) -> Path:
        found = utterance.path.stat() if utterance.path.is_file() else None
        state = found and (found.st_size, found.st_mtime_ns)
        name = _digest(utterance.id, str(utterance.path.absolute()), state)
        folder = self.folder if version else self.unshaken
        return folder / name[:2] / f"{name[2:26]}-{version}.safetensors"


def _digest(*parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _load(place: Path) -> Tensor | None:
    try:
        return load_file(place)[_NAME]
    except (OSError, SafetensorError, KeyError):  # not there, or cut short by a crash of the machine: made anew
        return None


def _save(kept: Tensor, place: Path) -> None:
    """Not through `files.replacing`, which waits for the disk: what a crash takes from here can be made again."""
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=".")
    os.close(handle)
    try:
        save_file({_NAME: kept.contiguous()}, name)
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
