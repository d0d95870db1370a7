"""A detector under attack: what it says of a recording, and in which direction its score rises."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepcheck.audio.decode import Waveform
from deepcheck.audio.windows import Window, cut
from deepcheck.engine.model import Model
from deepcheck.engine.score import Scorer
from deepcheck.errors import ConfigError


class Victim:
    """The score is that of an evaluation, the mean over all windows, as a calibrated log-likelihood ratio."""

    def __init__(self, model: Model, device: str = "auto") -> None:
        self.scorer = Scorer(model.detector, model.card.calibration, device=device, batch_size=1)
        self.detector = model.detector.eval()

    def llr(self, waveform: Waveform) -> float:
        """Of (samples,) at 16 kHz."""
        return float(self.scorer.llrs(np.stack([window.samples for window in self._windows(waveform)])).mean())

    def gradient(self, waveform: Waveform) -> tuple[float, NDArray[np.float32]]:
        """The mean logit of (samples,), and how it changes with each sample, (samples,), through all of the detector.

        `ConfigError` for a detector whose features are not made in a way that a gradient could go back.
        """
        total, found = 0.0, np.zeros(len(waveform), np.float32)
        windows = self._windows(waveform)
        for window in windows:  # one at a time: what a gradient needs of a window is much
            sound = torch.from_numpy(window.samples).to(self.scorer.device).unsqueeze(0).requires_grad_()
            # Recurrences of cuDNN have no gradient outside training.
            with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
                logit: Tensor = self.detector.score(sound).sum()
                if not logit.requires_grad:
                    raise ConfigError(
                        f'The features of the detector "{self.detector.spec.name}" have no gradient.',
                        "Take the attacks codec and noise.",
                    )
                (slope,) = torch.autograd.grad(logit, sound, allow_unused=True)
            total += float(logit.detach())
            if slope is None:
                raise ConfigError(
                    f'The features of the detector "{self.detector.spec.name}" have no gradient.',
                    "Take the attacks codec and noise.",
                )
            _add(found, slope[0].float().cpu().numpy(), window)
        return total / len(windows), found / np.float32(len(windows))

    def _windows(self, waveform: Waveform) -> list[Window]:
        return list(cut([waveform], self.scorer.size, self.scorer.hop))


def _add(found: NDArray[np.float32], slope: NDArray[np.float32], window: Window) -> None:
    """Adds what a window says to its stretch; of one that was repeated to its length, each repetition."""
    length = window.end - window.start
    for start in range(0, len(slope), length):
        part = slope[start : start + length]
        found[window.start : window.start + len(part)] += part
