"""A chain of augmentations, each applied with its own probability, built from a recipe."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deepcheck.audio.augment import AUGMENTATIONS
from deepcheck.audio.augment.settings import settle_number
from deepcheck.errors import ConfigError
from deepcheck.registry import did_you_mean

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Step:
    """One augmentation and the probability `p` that a clip goes through it."""

    augmentation: Any
    p: float = 0.5

    def __post_init__(self) -> None:
        settle_number(self, "p", 0.0, 1.0)


@dataclass(frozen=True)
class Chain:
    """Augmentations in the order in which they are applied; without any, what goes in comes out."""

    steps: tuple[Step, ...] = ()

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """`waveform`, float32 (samples,) at 16 kHz, through the waveform steps; the length may change.

        The input is never written to, but it is the result itself where no step was drawn.
        """
        for step in self.steps:
            if step.augmentation.stage == "waveform" and rng.random() < step.p:
                waveform = step.augmentation(waveform, rng)
        return waveform

    def features(self, features: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """`features` (batch, ..., bins, frames) through the feature steps, drawn for each item by itself."""
        import torch  # a chain of waveform augmentations runs in loader workers that need no torch

        for step in self.steps:
            if step.augmentation.stage == "features":
                drawn = torch.rand(len(features), generator=generator, device=generator.device) < step.p
                drawn = drawn.to(features.device).reshape(-1, *(1,) * (features.dim() - 1))
                features = torch.where(drawn, step.augmentation(features, generator), features)
        return features


def build_chain(specs: Sequence[Mapping[str, Any]]) -> Chain:
    """The chain that a recipe's list describes, e.g. `[{"name": "codec", "p": 0.5, "codecs": ["opus"]}]`.

    Each entry holds a `name` of `AUGMENTATIONS`, perhaps `p` (0.5), and the settings of that augmentation.
    `ConfigError` names the entry and the setting that cannot be had.
    """
    if not isinstance(specs, Sequence) or isinstance(specs, str):
        raise ConfigError(f"The augmentations are {specs!r}.", 'Give a list of entries such as {name: "noise"}.')
    return Chain(tuple(map(_build_step, specs)))


def _build_step(spec: Mapping[str, Any]) -> Step:
    if not isinstance(spec, Mapping) or not isinstance(spec.get("name"), str):
        raise ConfigError(f"The augmentation {spec!r} has no name.", f"Names are: {', '.join(AUGMENTATIONS)}.")
    name = spec["name"]
    make = AUGMENTATIONS.resolve(name)
    settings = {key: value for key, value in spec.items() if key not in ("name", "p")}
    known = list(inspect.signature(make).parameters)
    for key in settings:
        if key not in known:
            hint = did_you_mean(str(key), [*known, "p"])
            raise ConfigError(f'The augmentation "{name}" has no setting "{key}".', hint)
    try:
        return Step(make(**settings), spec.get("p", 0.5))
    except ConfigError as error:
        raise ConfigError(f'In the augmentation "{name}", {error.message}', error.hint) from None
