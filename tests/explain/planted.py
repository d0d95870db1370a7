"""Clips of noise with a sound that all of them have and one that only spoofs have, and how to learn them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from deepcheck.audio.decode import SAMPLE_RATE, Waveform
from deepcheck.detectors.base import Detector, build
from deepcheck.explain.explanation import Explanation, explain

LENGTH_S = 0.2
SPOOF_HZ, COMMON_HZ = 5500.0, 500.0


@dataclass(frozen=True)
class Clip:
    """A spoof: the middles of the sound that tells it from a genuine clip, and of the one that all have."""

    samples: Waveform
    spoof_s: float
    common_s: float


def noise(rng: np.random.Generator, seconds: float, *sounds: tuple[float, float]) -> Waveform:
    """Noise with tones of (middle in seconds, Hz) that swell and fade."""
    samples = 0.05 * rng.standard_normal(round(seconds * SAMPLE_RATE))
    time_s = np.arange(round(LENGTH_S * SAMPLE_RATE)) / SAMPLE_RATE
    for middle_s, hz in sounds:
        start = round((middle_s - LENGTH_S / 2) * SAMPLE_RATE)
        samples[start:][: len(time_s)] += 0.3 * np.hanning(len(time_s)) * np.sin(2 * np.pi * hz * time_s)
    return samples.astype(np.float32)


def anywhere(rng: np.random.Generator, seconds: float) -> float:
    """The middle of a sound that lies within the clip."""
    return float(rng.uniform(LENGTH_S / 2, seconds - LENGTH_S / 2))


def spoofs(seconds: float, count: int = 12) -> list[Clip]:
    """Clips whose two sounds lie far from each other, and the one that matters far from the middle of the clip."""
    rng = np.random.default_rng(1000)
    found: list[Clip] = []
    while len(found) < count:
        spoof_s, common_s = anywhere(rng, seconds), anywhere(rng, seconds)
        if abs(spoof_s - common_s) > 0.4 * seconds and abs(spoof_s - seconds / 2) > 0.2 * seconds:
            found.append(Clip(noise(rng, seconds, (spoof_s, SPOOF_HZ), (common_s, COMMON_HZ)), spoof_s, common_s))
    return found


def genuine(seconds: float, count: int = 6) -> list[Waveform]:
    """Clips with the common sound alone."""
    rng = np.random.default_rng(2000)
    return [noise(rng, seconds, (anywhere(rng, seconds), COMMON_HZ)) for _ in range(count)]


def learn(detector: Detector, steps: int, rate: float = 3e-3, batch: int = 16) -> Detector:
    """Train `detector`, in place, to tell the two kinds of clips apart; in eval mode afterwards, gradients let go."""
    rng = np.random.default_rng(0)
    seconds = detector.window_s
    labels = torch.arange(batch).float() % 2  # 1 is bona fide
    parameters = [parameter for parameter in detector.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, rate)
    detector.train()
    for _ in range(steps):
        sounds = [[(anywhere(rng, seconds), hz) for hz in (COMMON_HZ, SPOOF_HZ)] for _ in labels]
        clips = [noise(rng, seconds, *both[: 1 if label else 2]) for both, label in zip(sounds, labels, strict=True)]
        scores = detector.score(torch.from_numpy(np.stack(clips)))
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(scores, labels).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    optimizer.zero_grad()
    return detector.eval()


def logits(detector: Detector, clips: list[Waveform]) -> np.ndarray:
    """(clips,)"""
    with torch.no_grad():
        return detector.score(torch.from_numpy(np.stack(clips))).numpy()


def heat_near(explanation: Explanation, middle_s: float, of: Callable[[np.ndarray], float] = np.mean) -> float:
    """The mean (or what `of` makes of it) of the heat in the frames that a sound around `middle_s` fills."""
    near = np.abs(explanation.times_s - explanation.start_s - middle_s) <= LENGTH_S / 2
    return float(of(explanation.heat[:, near]))


def contrasts(
    found: list[tuple[Clip, Explanation]], seconds: float, of: Callable[[np.ndarray], float] = np.mean
) -> tuple[float, float]:
    """How much hotter it is, on average, at the planted sound than at the common one, and than with time reversed."""
    near, common, mirrored = (
        np.mean([heat_near(explanation, place(clip), of) for clip, explanation in found])
        for place in (lambda clip: clip.spoof_s, lambda clip: clip.common_s, lambda clip: seconds - clip.spoof_s)
    )
    return float(near / max(common, 1e-6)), float(near / max(mirrored, 1e-6))


def hottest(explanation: Explanation) -> tuple[float, float]:
    """(seconds, Hz) of the hottest place; NaN for the frequency that a method does not know."""
    row, column = np.unravel_index(explanation.heat.argmax(), explanation.heat.shape)
    hz = float("nan") if explanation.frequencies_hz is None else float(explanation.frequencies_hz[row])
    return float(explanation.times_s[column] - explanation.start_s), hz


def likeness_to_strangers(detector: Detector, clips: list[Clip], strangers: int = 4) -> float:
    """The mean rank correlation of the maps with those of detectors of the same shape with random weights."""
    found = []
    for seed in range(1, strangers + 1):
        torch.manual_seed(seed)
        stranger = build(detector.spec).eval()
        found += [rank_correlation(*(explain(d, c.samples).heat for d in (detector, stranger))) for c in clips]
    return float(np.mean(found))


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's; 0 if one of the two is the same everywhere."""
    ranks = [_ranks(values.ravel()) for values in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1]) if all(values.std() > 0 for values in ranks) else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    """Equal values share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]
