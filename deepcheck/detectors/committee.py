"""Several detectors as one: a weighted sum of their logits, kept in one file."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from deepcheck.card import DetectorSpec
from deepcheck.detectors.base import Detector, build
from deepcheck.errors import ConfigError
from deepcheck.plasticity.groups import within
from deepcheck.plasticity.units import UnitGroup

COMMITTEE = "committee"
FEWEST, MOST = 2, 8
"""Members of one: people are sent files by strangers, so there is a bound."""
_KEYS = frozenset({"name", "arguments"})


class Committee(Detector):
    """Detectors that hear the same window; the logit is `bias` plus the sum of `gains` times theirs.

    `members` are mappings with the `name` and the `arguments` of a detector, from 2 to 8; none is a committee, and none
    names `pretrained` weights. The first one is the one that explanations look into. A new committee takes the mean of
    the logits; `engine.committee` fits the gains to models that were trained apart. `scales` bring the embeddings of
    the members to one scale, without which distances would know of the largest alone.
    """

    scales: Tensor

    def __init__(self, *, members: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        _check(members)
        self.members = nn.ModuleList(build(DetectorSpec(one["name"], one.get("arguments", {}))) for one in members)
        each = list(self._each())
        self.spec = DetectorSpec(
            COMMITTEE,
            {"members": [{"name": one.spec.name, "arguments": dict(one.spec.arguments)} for one in each]},
        )
        self.window_s = _agreed(each)
        # Of an architecture, which here is that of the members.
        self.cpu_batch = min(one.cpu_batch for one in each)  # type: ignore[misc]
        self.explainer = self.leader().explainer  # type: ignore[misc]
        self.gains = nn.Parameter(torch.full((len(each),), 1 / len(each)))
        self.bias = nn.Parameter(torch.zeros(1))
        self.register_buffer("scales", torch.ones(len(each)))

    def features(self, waveform: Tensor) -> Tensor:
        """(batch, samples) -> (batch, 1, samples), the waveform itself: each member has features of its own."""
        return waveform.unsqueeze(1)

    def embedded(self, features: Tensor) -> Tensor:
        """(batch, 1, samples) -> (batch, values): the embeddings of the members times `scales`, then their logits."""
        waveform = features.squeeze(1)
        embeddings = [one.embedded(one.features(waveform).to(waveform.dtype)) for one in self._each()]
        logits = [one.logit_of(embedding) for one, embedding in zip(self._each(), embeddings, strict=True)]
        scaled = [scale * embedding for scale, embedding in zip(self.scales, embeddings, strict=True)]
        return torch.cat([*scaled, torch.stack(logits, 1)], 1)

    def logit_of(self, embedding: Tensor) -> Tensor:
        """(batch, values) -> (batch,); the last values are the logits of the members, one each."""
        logits = embedding[:, -len(self.members) :]
        return (self.gains * logits).sum(1) + self.bias

    def groups(self) -> list[UnitGroup]:
        """Those of the members, one after another, with layers that count on."""
        found: list[UnitGroup] = []
        for number, member in enumerate(self._each()):
            before = max((group.layer for group in found), default=0)
            found += [within(f"members.{number}.", before, group) for group in member.groups()]
        return found

    def cam_target(self) -> nn.Module:
        """That of the first member."""
        return self.leader().cam_target()

    def leader(self) -> Detector:
        """The first member, with features and a map of its own."""
        return next(self._each())

    def _each(self) -> Iterator[Detector]:
        for member in self.members:
            assert isinstance(member, Detector)
            yield member


def _agreed(members: Sequence[Detector]) -> float:
    """The seconds that all members hear at a time."""
    if strange := [one for one in members if not one.has_embedding]:
        raise ConfigError(f'The detector "{strange[0].spec.name}" has no embedding, so it can be no member.')
    windows = sorted({one.window_s for one in members})
    if len(windows) > 1:
        raise ConfigError(
            f"The members hear windows of {' and '.join(f'{window:g}' for window in windows)} s.",
            "Those of a committee hear the same: train them with one window_s.",
        )
    return windows[0]


def _check(members: Any) -> None:
    """Before anything is built: a description may come from a stranger, and must not fetch weights from elsewhere."""
    if not isinstance(members, Sequence) or isinstance(members, str) or not FEWEST <= len(members) <= MOST:
        raise ConfigError("The members make no committee.", f"Give a list of {FEWEST} to {MOST} detectors.")
    for one in members:
        named = isinstance(one, Mapping) and "name" in one and set(one) <= _KEYS
        if not named or not isinstance(one.get("arguments", {}), Mapping):
            raise ConfigError("A member makes no detector.", "Give each a name, and arguments if it takes any.")
        if one["name"] == COMMITTEE:
            raise ConfigError("A committee cannot be a member of another.", "Name its members instead.")
        if "pretrained" in one.get("arguments", {}):
            raise ConfigError("A member cannot name pretrained weights.", "Fuse models that were trained from them.")
