"""Gradients of the loss on labelled recordings, without a step: what pruning and data-driven growth look at."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F

from deepcheck.audio.augment.chain import Chain
from deepcheck.config import SamplingConfig
from deepcheck.data.loader import Batch, Loader, TrainingSet
from deepcheck.data.sampling import BatchSampler
from deepcheck.data.utterance import Protocol
from deepcheck.detectors.base import Detector


class Probe:
    """A fixed run of balanced batches of `protocol`, as training draws them but without augmentation.

    `recordings` is how many are drawn in all. The detector stays in eval mode throughout: neither its weights nor its
    running statistics change.
    """

    def __init__(
        self, detector: Detector, protocol: Protocol, *, recordings: int = 512, batch_size: int = 16, seed: int = 0
    ) -> None:
        protocol.require_both_labels()
        self.detector = detector
        self.seen = 0
        sampling = SamplingConfig(samples_per_epoch=recordings, paired=0.0, min_crop_s=detector.window_s)
        usable = protocol.where(lambda utterance: utterance.label is not None).utterances
        sampler = BatchSampler(usable, sampling, batch_size, seed)
        dataset = TrainingSet(usable, detector.window_s, detector.window_s, Chain(), cache_gb=1.0)
        self._loader = Loader(dataset, sampler, workers=0)

    def batches(self) -> Iterator[Batch]:
        """The same batches each time."""
        for batch in self._loader.epoch(0):
            if len(batch.labels):
                yield batch

    def backward(self, after_batch: Callable[[], None] | None = None) -> None:
        """Leave the sum of the gradients of all batches in the parameters; or, with `after_batch`, those of one
        batch at a time, cleared before the next. `seen` is then how many batches there were."""
        device = next(self.detector.parameters()).device
        self.detector.eval()
        self.seen = 0
        self.detector.zero_grad(set_to_none=True)
        # cuDNN's recurrent layers have no backward pass in eval mode.
        with torch.backends.cudnn.flags(enabled=False):
            for batch in self.batches():
                if after_batch is not None:
                    self.detector.zero_grad(set_to_none=True)
                logits = self.detector.score(batch.waveforms.to(device)).float()
                F.binary_cross_entropy_with_logits(logits, batch.labels.to(device)).backward()
                self.seen += 1
                if after_batch is not None:
                    after_batch()
