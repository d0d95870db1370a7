"""A detector in a file: safetensors with the description of the model as JSON in its header.

No pickle anywhere: people are sent checkpoints by strangers. The spec and the widths rebuild the shape, a strict
load fills it in, so a grown or pruned model reads like any other.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from deepcheck.card import Card, peek, to_header
from deepcheck.detectors.allowance import Allowance
from deepcheck.detectors.base import Detector, build_unfilled
from deepcheck.errors import DeepcheckError, ModelError
from deepcheck.files import replacing
from deepcheck.plasticity.units import set_widths, widths_of

EVIDENCE = "evidence."
"""What the names of tensors begin with that are not the model's own."""
_MOST_EVIDENCE = 32  # tensors
_MOST_NUMBERS = 1 << 24  # in one of them
_EVIDENCE_TYPES = frozenset({"F32", "F64", "I64"})
_FLOATS = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})
_VARIANCE = "running_var"  # of a BatchNorm: its square root is taken
_MOST_LOST = 2**-11  # of the norm of a row: the most that rounding to the 11 digits of float16 can take


@dataclass(frozen=True)
class Checkpoint:
    """A card, the tensors of the model, and `evidence`: what was measured on recordings, no part of the network.

    Evidence are the scores of the development set (`dev.*`, see `engine.dev_scores`) and the statistics of what the
    detector was trained on (`reference.*`, see `engine.reference`), by name without the prefix that it has in the file.
    """

    card: Card
    tensors: Mapping[str, Tensor]
    evidence: Mapping[str, Tensor] = field(default_factory=dict)

    def named(self, name: str) -> "Checkpoint":
        """The same under the name by which its user calls it."""
        return replace(self, card=replace(self.card, name=name))

    def build(self) -> Detector:
        """The detector with these weights, on the CPU, in eval mode; `ModelError` if they do not fit.

        It computes in float32, however they are stored. What the description asks for is held against what the file
        holds before it is allocated (see `Allowance`), and a weight that is no finite number is refused.
        """
        try:
            if _names_weights(self.card.spec.arguments):
                # A file from a stranger must not make this machine fetch another.
                raise ModelError(f'The model "{self.card.name}" names weights outside its file.', "Do not use it.")
            with Allowance.beside(self.tensors):
                detector = build_unfilled(self.card.spec)
                set_widths(detector, self.card.widths)
            _refuse_strange_numbers(detector.state_dict(), self.tensors)
            detector.load_state_dict(dict(self.tensors))
        except DeepcheckError:
            raise
        except Exception as error:  # a stranger's numbers fail in the libraries in every way there is
            reason = " ".join(str(error).split())[:300]
            raise ModelError(f'The weights of "{self.card.name}" do not fit its description: {reason}') from None
        return detector.eval()


def _refuse_strange_numbers(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """`ValueError` for a tensor of another kind of number than the model's, or with numbers that none computes with.

    Names and shapes are left to the strict load.
    """
    for name in wanted.keys() & given.keys():
        tensor, floating = given[name], wanted[name].is_floating_point()
        if not (tensor.dtype in _FLOATS if floating else tensor.dtype == wanted[name].dtype):
            raise ValueError(f"{name} holds numbers of the type {str(tensor.dtype).removeprefix('torch.')}.")
        if floating and not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds a number that is not finite.")
        if name.endswith(_VARIANCE) and bool((tensor < 0).any()):
            raise ValueError(f"{name} holds a variance below 0.")


def snapshot(detector: Detector, card: Card, evidence: Mapping[str, Tensor] | None = None) -> Checkpoint:
    """A checkpoint of the detector as it is now: a real copy, which later training does not touch."""
    layout = torch.contiguous_format
    tensors = {k: v.detach().to("cpu", copy=True, memory_format=layout) for k, v in detector.state_dict().items()}
    return Checkpoint(card, tensors, dict(evidence or {}))


def _names_weights(argument: Any) -> bool:
    """Whether `pretrained` is in an argument of a detector, at any depth: there may be detectors inside."""
    if isinstance(argument, Mapping):
        return "pretrained" in argument or any(map(_names_weights, argument.values()))
    return isinstance(argument, list | tuple) and any(map(_names_weights, argument))


def compact(checkpoint: Checkpoint) -> Checkpoint:
    """The same in about half the space: matrices of weights are rounded to float16, which moves a logit by thousandths.

    What float16 would change by more than rounding stays as it is: tensors with a number beyond its range, and such as
    lie so near to zero that it has no digits left for them. So do vectors (norms, biases, running statistics), which
    take no space, and of which each number counts for itself. The evidence is not touched.
    """
    return replace(checkpoint, tensors={name: _halved(tensor) for name, tensor in checkpoint.tensors.items()})


def _halved(tensor: Tensor) -> Tensor:
    if tensor.dtype != torch.float32 or tensor.dim() < 2:
        return tensor
    half = tensor.half()
    # Row by row: behind a normalisation a small unit says as much as a large one.
    lost, whole = ((tensor - half.float()).flatten(1).norm(dim=1), tensor.flatten(1).norm(dim=1))
    return half if bool((lost <= _MOST_LOST * whole).all()) else tensor  # which no comparison with a NaN allows


def describe_widths(detector: Detector) -> dict[str, int]:
    """The widths to put into a card, in the order in which they are to be restored: those that differ from the spec's
    own, and all of what the spec does not have, such as the heads of an added block."""
    plain = widths_of(build_unfilled(detector.spec).groups())
    return {name: width for name, width in widths_of(detector.groups()).items() if width != plain.get(name)}


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write to `path`, which holds either the old or the whole new file at any moment; `ModelError` if it cannot be."""
    tensors = {name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()}
    if mistakable := [name for name in tensors if name.startswith(EVIDENCE)]:
        raise ModelError(f'The tensor "{mistakable[0]}" of the model has a name that is kept for what was measured.')
    tensors |= {EVIDENCE + name: tensor.contiguous() for name, tensor in checkpoint.evidence.items()}
    with replacing(path) as place:
        try:
            # Straight from the tensors: as bytes, the file would be in memory twice more.
            save_file(tensors, place, metadata=to_header(checkpoint.card))
        except SafetensorError as error:
            raise ModelError(f"The model cannot be written to {path}: {error}.") from None


def load_checkpoint(path: Path) -> Checkpoint:
    """The whole of a file; `ModelError` with the reason if it is not a whole checkpoint of deepcheck."""
    card = peek(path)
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            beside = [name for name in names if name.startswith(EVIDENCE)]
            _refuse_strange_evidence(file, beside, path)
            return Checkpoint(
                card,
                {name: file.get_tensor(name) for name in names if not name.startswith(EVIDENCE)},
                {name.removeprefix(EVIDENCE): file.get_tensor(name) for name in beside},
            )
    except SafetensorError as error:
        raise ModelError(f"The model {path} is damaged: {error}.") from None


def _refuse_strange_evidence(file: Any, names: list[str], path: Path) -> None:
    """By the header alone, before a number is read: people are sent checkpoints by strangers."""
    if len(names) > _MOST_EVIDENCE:
        raise ModelError(f"The model {path} holds {len(names)} tensors beside its weights, which makes no sense.")
    for name in names:
        part = file.get_slice(name)
        shape, kind = part.get_shape(), part.get_dtype()
        if len(shape) > 2 or kind not in _EVIDENCE_TYPES or math.prod(shape) > _MOST_NUMBERS:
            raise ModelError(f"The model {path} holds a tensor beside its weights that makes no sense ({name[:80]!r}).")


def same_tensors(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    """Whether two sets of tensors have the same names and bit-identical values."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
