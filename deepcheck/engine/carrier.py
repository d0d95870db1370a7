"""What of a recording need not be computed twice in a training: all in front of what learns."""

import hashlib
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor

from deepcheck import __version__
from deepcheck.audio.augment.chain import build_chain
from deepcheck.audio.decode import SAMPLE_RATE
from deepcheck.config import TrainConfig
from deepcheck.data.variants import Carrier, Variants
from deepcheck.detectors.base import Detector
from deepcheck.runtime import autocast, pick_dtype

KEPT = "kept"
"""In the folder of a run: where the versions of recordings lie that `data.variants` keeps."""
_CPU = torch.device("cpu")


def variants_of(detector: Detector, config: TrainConfig, run_dir: Path) -> Variants | None:
    """What a training of the detector keeps of its recordings, and where; None if it hears each anew each time."""
    data = config.data
    if not data.variants:
        return None
    return Variants(
        Path(data.keep).expanduser() if data.keep else run_dir / KEPT,
        data.variants,
        build_chain(config.augment),
        round(detector.window_s * SAMPLE_RATE),
        carrier_of(detector, pick_dtype(config.precision, _CPU)),
        round(config.sampling.min_crop_s * SAMPLE_RATE),
    )


def still_parts(detector: Detector) -> int:
    """How many of the first parts of the detector do not learn."""
    learns = [any(parameter.requires_grad for parameter in part.parameters) for part in detector.parts()]
    return learns.index(True) if True in learns else len(learns)


def carrier_of(detector: Detector, dtype: torch.dtype) -> Carrier:
    """Carries waveforms through the parts of the detector that do not learn; without one it leaves them.

    It computes on the CPU, where the loading processes are, in autocast to `dtype`, and keeps frames in that.
    """
    carrier, still = Carrier(), still_parts(detector)
    if not still:
        return carrier
    copy = deepcopy(detector).to(_CPU).eval()
    seen = hashlib.blake2b(f"{__version__} {detector.spec.name} {dtype}".encode(), digest_size=16)
    for number, part in enumerate(copy.parts()[:still]):
        seen.update(part.name.encode())
        for values in _bytes(part.parameters):
            seen.update(values)
        carrier = Carrier(
            _Carry(copy, dtype, 0, number + 1),
            number + 1,
            part.step,
            f"{number} {seen.hexdigest()}",
            halfway=carrier if number else None,
            onwards=_Carry(copy, dtype, number, number + 1),
        )
    return carrier


class _Carry:
    """Through the parts from `first` to before `last`. A class, not a closure: it travels into loading processes."""

    def __init__(self, detector: Detector, dtype: torch.dtype, first: int, last: int) -> None:
        self.detector, self.dtype, self.first, self.last = detector, dtype, first, last

    def __call__(self, sound: Tensor) -> Tensor:
        with autocast(_CPU, self.dtype):
            if not self.first:
                sound = self.detector.features(sound)
            parts = self.detector.parts()[self.first : self.last]
            for part in parts:
                sound = part.forward(sound)
            return sound.to(self.dtype) if parts[-1].step else sound


def _bytes(parameters: Iterable[Tensor]) -> Iterable[bytes]:
    for parameter in parameters:
        yield parameter.detach().to(torch.float32).contiguous().numpy().tobytes()
