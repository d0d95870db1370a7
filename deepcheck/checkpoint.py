"""A detector in a file: safetensors with the description of the model as JSON in its header.

No pickle anywhere: people are sent checkpoints by strangers. The spec and the widths rebuild the shape, a strict
load fills it in, so a grown or pruned model reads like any other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from deepcheck.card import Card, peek, to_header
from deepcheck.detectors.base import Detector, build_unfilled
from deepcheck.errors import ModelError
from deepcheck.files import replacing
from deepcheck.plasticity.units import set_widths, widths_of


@dataclass(frozen=True)
class Checkpoint:
    """A card and the tensors of the model."""

    card: Card
    tensors: Mapping[str, Tensor]

    def named(self, name: str) -> "Checkpoint":
        """The same under the name by which its user calls it."""
        return replace(self, card=replace(self.card, name=name))

    def build(self) -> Detector:
        """The detector with these weights, on the CPU, in eval mode; `ModelError` if they do not fit."""
        if "pretrained" in self.card.spec.arguments:
            # A file from a stranger must not make this machine fetch another.
            raise ModelError(f'The model "{self.card.name}" names weights outside its file.', "Do not use it.")
        try:
            detector = build_unfilled(self.card.spec)
            set_widths(detector, self.card.widths)
            detector.load_state_dict(dict(self.tensors))
        except (RuntimeError, TypeError, ValueError, AttributeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ModelError(f'The weights of "{self.card.name}" do not fit its description: {reason}') from None
        return detector.eval()


def snapshot(detector: Detector, card: Card) -> Checkpoint:
    """A checkpoint of the detector as it is now: a real copy, which later training does not touch."""
    layout = torch.contiguous_format
    tensors = {k: v.detach().to("cpu", copy=True, memory_format=layout) for k, v in detector.state_dict().items()}
    return Checkpoint(card, tensors)


def describe_widths(detector: Detector) -> dict[str, int]:
    """The widths to put into a card: those that differ from the spec's own."""
    plain = widths_of(build_unfilled(detector.spec).groups())
    return {name: width for name, width in widths_of(detector.groups()).items() if width != plain[name]}


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write to `path`, which holds either the old or the whole new file at any moment; `ModelError` if it cannot be."""
    tensors = {name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()}
    with replacing(path) as place:
        try:
            # Straight from the tensors: as bytes, the file would be in memory twice more.
            save_file(tensors, place, metadata=to_header(checkpoint.card))
        except SafetensorError as error:
            raise ModelError(f"The model cannot be written to {path}: {error}.") from None


def load_checkpoint(path: Path) -> Checkpoint:
    """Card and tensors; `ModelError` with the reason if the file is not a whole checkpoint of deepcheck."""
    card = peek(path)
    try:
        with safe_open(path, framework="pt") as file:
            return Checkpoint(card, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except SafetensorError as error:
        raise ModelError(f"The model {path} is damaged: {error}.") from None


def same_tensors(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    """Whether two sets of tensors have the same names and bit-identical values."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
