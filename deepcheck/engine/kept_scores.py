"""Scores of recordings from what a training keeps of them: the first window alone, at a fraction of a scan's time."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from deepcheck.config import TrainConfig
from deepcheck.data.utterance import Utterance
from deepcheck.detectors.base import Detector
from deepcheck.engine.carrier import variants_of
from deepcheck.errors import AudioError
from deepcheck.runtime import autocast, move, pick_device, pick_dtype

_BATCH = 16


def kept_scores(
    detector: Detector, config: TrainConfig, folder: Path, utterances: Iterable[Utterance]
) -> tuple[tuple[Utterance, ...], NDArray[np.float64]]:
    """(those of the recordings that can be decoded, their logits), of the first window each, nothing done to it.

    In the precision and on the device of the training `config`, from what it keeps in its folder or in `data.keep`:
    enough to compare trainings. What a model says of whole recordings is the work of `engine.score`.
    """
    move(detector, device := pick_device(config.device))
    detector.eval()
    variants = variants_of(detector, replace(config, data=replace(config.data, variants=1)), folder)
    assert variants is not None
    done, known = variants.carrier.parts, tuple(utterances)
    heard, logits = [], []
    for start in range(0, len(known), _BATCH):
        batch = []
        for utterance in known[start : start + _BATCH]:
            with suppress(AudioError):
                batch.append((utterance, variants.get(utterance, 0)))
        if not batch:
            continue
        with torch.inference_mode(), autocast(device, pick_dtype(config.precision, device)):
            sounds = torch.stack([sound for _, sound in batch]).to(device)
            found = detector.logit_of(detector.resumed(sounds, done)) if done else detector.score(sounds)
        heard += [utterance for utterance, _ in batch]
        logits += found.double().tolist()
    return tuple(heard), np.array(logits)
