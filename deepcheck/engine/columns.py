"""A model with room for columns beside it, and back: the same weights under other names."""

from dataclasses import replace

from deepcheck.card import DetectorSpec
from deepcheck.checkpoint import Checkpoint
from deepcheck.detectors.progressive import BASE, COLUMNS, PROGRESSIVE

COLUMN = "column"
"""The word for the part of a model that is a column."""


def with_room(checkpoint: Checkpoint, part: str | None) -> Checkpoint:
    """The model as the base of a `progressive` one without columns, if a column is what `part` asks for."""
    card = checkpoint.card
    if part != COLUMN or card.spec.name == PROGRESSIVE:
        return checkpoint
    spec = DetectorSpec(PROGRESSIVE, {"base": {"name": card.spec.name, "arguments": dict(card.spec.arguments)}})
    return replace(
        checkpoint,
        card=replace(
            card,
            spec=spec,
            widths={BASE + name: width for name, width in card.widths.items()},
            grown_from={BASE + name: width for name, width in card.grown_from.items()},
        ),
        tensors={BASE + name: tensor for name, tensor in checkpoint.tensors.items()},
    )


def without_room(checkpoint: Checkpoint) -> Checkpoint:
    """The base of a `progressive` model that has no columns any more, as it was before; any other as it is."""
    card = checkpoint.card
    if card.spec.name != PROGRESSIVE or card.widths.get(COLUMNS):
        return checkpoint
    base = card.spec.arguments["base"]
    return replace(
        checkpoint,
        card=replace(
            card,
            spec=DetectorSpec(base["name"], base["arguments"]),
            widths={name.removeprefix(BASE): width for name, width in card.widths.items()},
            grown_from={name.removeprefix(BASE): width for name, width in card.grown_from.items()},
        ),
        tensors={name.removeprefix(BASE): tensor for name, tensor in checkpoint.tensors.items()},
    )
