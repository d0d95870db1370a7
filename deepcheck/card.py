"""What is known of a model beside its weights: read from a file's header without loading anything else."""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deepcheck.errors import ModelError
from deepcheck.metrics.calibration import Calibration, Thresholds

FORMAT = 1
_KEY = "deepcheck"
_MOST_HEADER = 4 << 20  # bytes; that of the shipped default has 18 thousand
_DEEPEST = 24  # objects within objects of the arguments or the history
_LARGEST = 1e9  # of what scores are made with: beyond, they would overflow


@dataclass(frozen=True)
class DetectorSpec:
    """A name in the table of detectors and the arguments of its constructor: the unmodified model."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Card:
    """What is known of a model beside its weights; all of it fits into a file's header.

    `calibration` and `thresholds` turn logits into verdicts; `rates` are what the thresholds were fitted for
    (`false_alarm` and `miss`, as far as the data could show them, with `confidence`) and on how many development
    recordings (`bonafide`, `spoof`); `bands` are the thresholds that were fitted under a condition, by its name, and
    hold beside the model's own for recordings that came that way; `history`
    has one row for each stage of the model's life; `parent` is the model that it was grown or pruned from, and
    `grown_from` the widths before its last growth, by name of group: units beyond are the newest.
    """

    name: str
    spec: DetectorSpec
    widths: Mapping[str, int] = field(default_factory=dict)
    calibration: Calibration | None = None
    thresholds: Thresholds | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    history: tuple[Mapping[str, Any], ...] = ()
    parent: str | None = None
    grown_from: Mapping[str, int] = field(default_factory=dict)
    created: str = ""
    version: str = ""
    parameters: int = 0
    bands: Mapping[str, Thresholds] = field(default_factory=dict)


def to_header(card: Card) -> dict[str, str]:
    """The card as the metadata of a safetensors file."""
    return {_KEY: json.dumps({"format": FORMAT, **asdict(card)})}


def peek(path: Path) -> Card:
    """The card alone: reads some kilobytes and builds nothing."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _MOST_HEADER:  # before it is read: objects in memory take up to 100 times the room
                raise ValueError("the header is too long")
            header = json.loads(file.read(length))
        metadata = header.get("__metadata__") or {} if isinstance(header, dict) else None
        if not isinstance(metadata, dict):
            raise ValueError("the header is no object")
    except OSError as error:
        raise ModelError(f"The model {path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError, struct.error):
        raise ModelError(
            f"{path} is not a safetensors file.", "deepcheck loads no pickled checkpoints (.pt, .pth, .ckpt)."
        ) from None
    return _card(metadata.get(_KEY), path)


def _card(text: str | None, path: Path) -> Card:
    if text is None:
        raise ModelError(f"{path} holds tensors but no deepcheck model.", "Was it saved by another program?")
    try:
        document = json.loads(text)
        format_ = document.pop("format")
        if type(format_) is not int or format_ < 1:
            raise ValueError("it is of no format that there ever was")
        if format_ > FORMAT:
            raise ModelError(
                f"{path} was made by a newer deepcheck ({str(document.get('version'))[:50]!r}).", "Update deepcheck."
            )
        document["spec"] = DetectorSpec(**document["spec"])
        document["history"] = tuple(document["history"])
        for key, kind in (("calibration", Calibration), ("thresholds", Thresholds)):
            if document[key] is not None:
                document[key] = kind(**document[key])
        document["bands"] = {name: Thresholds(**band) for name, band in document.get("bands", {}).items()}
        card = Card(**document)
        _check(card)
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        reason = " ".join(repr(error).split())[:200]
        raise ModelError(f"The description of the model in {path} makes no sense ({reason}).") from None
    return card


def _check(card: Card) -> None:
    """`ValueError` for a card that no deepcheck has written: people are sent these by strangers."""
    names = [card.name, card.parent or "", card.created, card.version, card.spec.name, *card.bands]
    if not all(isinstance(name, str) and name.isprintable() and len(name) <= 200 for name in names):
        raise ValueError("a name holds control characters")
    if not all(isinstance(part, Mapping) for part in (card.spec.arguments, *card.history)):
        raise ValueError("the arguments or a stage are no object")
    if not all(isinstance(stage.get("stage"), str) for stage in card.history):
        raise ValueError("a stage has no name")
    if type(card.parameters) is not int or card.parameters < 0:
        raise ValueError("the number of parameters is none")
    if _depth([card.spec.arguments, *card.history]) > _DEEPEST:
        raise ValueError("the arguments or a stage are objects within objects without end")
    if not all(map(math.isfinite, _floats(card.spec.arguments))):
        raise ValueError("an argument is no finite number")
    numbers = [*card.metrics.values(), *card.rates.values()]
    thresholds = [*([card.thresholds] if card.thresholds is not None else []), *card.bands.values()]
    for part in (card.calibration, *thresholds):
        numbers += list(vars(part).values()) if part is not None else []
    if not all(type(number) in (int, float) and math.isfinite(number) for number in numbers):
        raise ValueError("a figure is no finite number")
    widths = [*card.widths.values(), *card.grown_from.values()]
    if not all(type(width) is int and 0 <= width <= 1 << 20 for width in widths):
        raise ValueError("a width is no whole number from 0 up")
    if any(
        abs(number) > _LARGEST for part in (card.calibration, *thresholds) if part for number in vars(part).values()
    ):
        raise ValueError("the calibration or a threshold lies beyond all scores")
    if card.calibration is not None and card.calibration.scale <= 0:
        raise ValueError("the calibration is upside down")
    if len(card.bands) > 100:
        raise ValueError("there are too many bands")
    if any(one.spoof > one.bonafide for one in thresholds):
        raise ValueError("the thresholds are upside down")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []


def _depth(value: Any) -> int:
    """How many containers lie within each other; counted level by level, for recursion has an end of its own."""
    depth, level = 0, [value]
    while level and depth <= _DEEPEST:
        level = [item for one in level for item in _inside(one)]
        depth += 1
    return depth


def _floats(value: Any) -> list[float]:
    """All floating-point numbers in nested mappings and lists."""
    return [value] if isinstance(value, float) else [number for item in _inside(value) for number in _floats(item)]
