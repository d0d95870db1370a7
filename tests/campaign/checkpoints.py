"""Mutated checkpoints: each either loads to a model that scores, or is refused with a sentence."""

import json
import resource
import struct
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepcheck.card import Card, DetectorSpec, peek
from deepcheck.checkpoint import load_checkpoint, save_checkpoint, snapshot
from deepcheck.detectors.base import build
from deepcheck.engine.dev_scores import dev_scores_of
from deepcheck.engine.reference import Reference, reference_of
from deepcheck.engine.score import Scorer
from deepcheck.errors import DeepcheckError
from deepcheck.metrics.calibration import Calibration, Thresholds

from .tally import Tally

LONGEST_S = 20
SPECS = (
    DetectorSpec("resnet18", {"width": 2, "window_s": 0.5, "frontend": {"name": "mel", "bins": 16, "hop_ms": 20.0}}),
    DetectorSpec("gru", {"units": [3], "window_s": 0.5, "frontend": {"name": "mel", "bins": 16, "hop_ms": 20.0}}),
    DetectorSpec(
        "distilled", {"channels": [2] * 6, "width": 8, "heads": 2, "neurons": 4, "layers": 1, "window_s": 0.5}
    ),
)


@dataclass
class Document:
    """A safetensors file in parts that a mutation may change: the header as JSON, and the bytes after it."""

    header: dict[str, Any]
    data: bytearray

    @property
    def card(self) -> dict[str, Any]:
        """What stands under `deepcheck` in the metadata, to be given back with `tell`."""
        found: dict[str, Any] = json.loads(self.header["__metadata__"]["deepcheck"])
        return found

    def tell(self, card: Any) -> None:
        """Put a card in."""
        self.header["__metadata__"]["deepcheck"] = json.dumps(card)

    def names(self) -> list[str]:
        """Of the tensors."""
        return [name for name in self.header if name != "__metadata__"]

    def whole(self) -> bytes:
        """The file."""
        text = json.dumps(self.header).encode("utf-8", "surrogatepass")
        return struct.pack("<Q", len(text)) + text + bytes(self.data)


def originals(folder: Path) -> list[bytes]:
    """A whole, calibrated checkpoint of each of `SPECS`, with evidence."""
    found = []
    for spec in SPECS:
        torch.manual_seed(0)
        model = build(spec).eval()
        card = Card(
            "tiny",
            model.spec,
            widths={group.name: group.width for group in model.groups()[:2]},
            calibration=Calibration(1.5, -0.5),
            thresholds=Thresholds(-1.0, 1.0),
            rates={"false_alarm": 0.01, "miss": 0.05, "confidence": 0.95, "bonafide": 20, "spoof": 20},
            metrics={"dev_eer": 0.1},
            history=({"stage": "train", "epochs": [{"loss": 0.5}], "config": {"seed": 1}},),
            bands={"telephone": Thresholds(-2.0, 2.0)},
            parameters=1,
        )
        values = model.embedded(model.features(torch.zeros(1, 8000))).shape[1]
        reference = Reference(np.zeros(values), np.eye(values)[:1], np.ones(2))
        path = folder / "original.safetensors"
        save_checkpoint(snapshot(model, card, reference.as_evidence()), path)
        found.append(path.read_bytes())
    return found


def parsed(content: bytes) -> Document:
    """The parts of a whole file."""
    (length,) = struct.unpack("<Q", content[:8])
    return Document(json.loads(content[8 : 8 + length]), bytearray(content[8 + length :]))


def _deep(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


EVIL: tuple[Any, ...] = (
    None, True, -1, 0, 1, 7, 2**31, 2**63, 10**30, 10**300, -0.5, 1e308, -1e308, float("nan"), float("inf"), "", "x",
    "x" * 5000, "\x1b[2J", "\ud800", "../../etc/passwd", "resnet18", [], [1], [[]], {}, {"a": 1}, {"name": "cqt"},
    {"pretrained": "someone/else"}, [10**9] * 3, [1] * 5000, _deep(300),
)  # fmt: skip

Mutation = Callable[[Document, np.random.Generator], bytes | None]


def _pick(rng: np.random.Generator, choices: Any) -> Any:
    return choices[int(rng.integers(len(choices)))]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything in a JSON document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in inner for place in [(value, key), *_places(item)]]


def _flip_header(document: Document, rng: np.random.Generator) -> bytes:
    content = bytearray(document.whole())
    end = len(content) - len(document.data)
    for place in rng.integers(end, size=rng.integers(1, 9)):
        content[place] ^= 1 << int(rng.integers(8))
    return bytes(content)


def _flip_data(document: Document, rng: np.random.Generator) -> None:
    for place in rng.integers(len(document.data), size=rng.integers(1, 60)):
        document.data[place] ^= 1 << int(rng.integers(8))


def _cut(document: Document, rng: np.random.Generator) -> bytes:
    content = document.whole()
    return content[: int(rng.integers(len(content)))]


def _append(document: Document, rng: np.random.Generator) -> None:
    document.data += rng.bytes(int(rng.integers(1, 1000)))


def _lying_length(document: Document, rng: np.random.Generator) -> bytes:
    length = _pick(rng, [0, 1, 8, 2**20, 2**31, 2**63, 2**64 - 1, int(rng.integers(10_000))])
    return struct.pack("<Q", length) + document.whole()[8:]


def _noise(document: Document, rng: np.random.Generator) -> bytes:
    return rng.bytes(int(rng.integers(0, 3000)))


def _nested_header(document: Document, rng: np.random.Generator) -> bytes:
    text = _pick(
        rng, [b"[" * 100_000, b'{"a":' * 100_000, b"[{}," * 300_000, b'{"__metadata__":{"deepcheck":"' + b"[" * 9]
    )
    return struct.pack("<Q", len(text)) + text


def _card_value(document: Document, rng: np.random.Generator) -> None:
    card = document.card
    for _ in range(int(rng.integers(1, 3))):
        container, key = _pick(rng, _places(card))
        container[key] = deepcopy(_pick(rng, EVIL))
    document.tell(card)


def _argument(document: Document, rng: np.random.Generator) -> None:
    card = document.card
    container, key = _pick(rng, _places(card["spec"]["arguments"]))
    container[key] = deepcopy(_pick(rng, EVIL))
    document.tell(card)


def _other_number(document: Document, rng: np.random.Generator) -> None:
    card = document.card
    places = [(c, k) for c, k in _places(card["spec"]["arguments"]) if isinstance(c[k], int | float)]
    container, key = _pick(rng, places)
    container[key] = type(container[key])(container[key] * 10.0 ** rng.uniform(-9, 9))
    document.tell(card)


def _missing_or_more_in_card(document: Document, rng: np.random.Generator) -> None:
    card = document.card
    container, key = _pick(rng, [(c, k) for c, k in _places(card) if isinstance(c, dict)])
    value = container.pop(key)
    if rng.random() < 0.5:
        container[_pick(rng, ["format", "more", "", "__class__", "tensors"])] = value
    document.tell(card)


def _other_detector(document: Document, rng: np.random.Generator) -> None:
    card = document.card
    card["spec"]["name"] = _pick(rng, ["resnet18", "gru", "lstm", "distilled", "committee", "nothing", "os:system"])
    if rng.random() < 0.5:
        card["spec"]["arguments"] = {}
    document.tell(card)


def _other_version(document: Document, rng: np.random.Generator) -> None:
    document.tell({**document.card, "format": _pick(rng, [0, -1, 2, 99, True, 1.0, "1", None, 10**30])})


def _widths(document: Document, rng: np.random.Generator) -> None:
    card = document.card
    names = [*card["widths"], "blocks.7.conv1", "nothing", "__class__"]
    card["widths"] = {_pick(rng, names): _pick(rng, [0, 1, 2, 3, 500, 1 << 20, 1 << 21, -3, 2.0, "4", None])}
    document.tell(card)


def _tensor_row(document: Document, rng: np.random.Generator) -> None:
    row = document.header[_pick(rng, document.names())]
    row[_pick(rng, ["dtype", "shape", "data_offsets"])] = _pick(
        rng,
        ["F64", "F16", "BF16", "I64", "I8", "BOOL", "F8_E5M2", "F4", "C64", "U64", "X", [0], [], [1] * 20, [2**40],
         [2**32, 2**32], [0, 2**62], [-1], [0, 4], [4, 0], [0, 2**63], *EVIL],
    )  # fmt: skip


def _reshaped(document: Document, rng: np.random.Generator) -> None:
    row = document.header[_pick(rng, document.names())]
    numbers = int(np.prod(row["shape"]))
    row["shape"] = _pick(rng, [[numbers], [1, numbers], [numbers, 1], row["shape"][::-1]])


def _renamed(document: Document, rng: np.random.Generator) -> None:
    name = _pick(rng, document.names())
    row = document.header.pop(name)
    new = _pick(rng, ["x", "", f"evidence.{name}", f"{name}.", "__class__", _pick(rng, document.names()), "\x00"])
    document.header[new] = row


def _dropped(document: Document, rng: np.random.Generator) -> None:
    del document.header[_pick(rng, document.names())]


def _added(document: Document, rng: np.random.Generator) -> None:
    end, count = len(document.data), int(rng.integers(0, 50))
    name = _pick(rng, ["more", "evidence.more", "evidence.dev.ids", "evidence.reference.more", "head.bias.more"])
    document.header[name] = {"dtype": "F32", "shape": [count], "data_offsets": [end, end + 4 * count]}
    document.data += bytes(4 * count)


def _no_numbers(document: Document, rng: np.random.Generator) -> None:
    start, stop = document.header[_pick(rng, document.names())]["data_offsets"]
    value = _pick(rng, [float("nan"), float("inf"), -float("inf"), -1.0, 3e38, -3e38, 1e-45])
    document.data[start : start + 4 * ((stop - start) // 4)] = struct.pack("<f", value) * ((stop - start) // 4)


def _metadata(document: Document, rng: np.random.Generator) -> None:
    if rng.random() < 0.5:
        document.header["__metadata__"] = _pick(rng, EVIL)
    else:
        document.header["__metadata__"]["deepcheck"] = _pick(rng, [*EVIL, "null", "[]", "{", '{"format": 1}', "1e999"])


def _unchanged(document: Document, rng: np.random.Generator) -> None:
    pass


MUTATIONS: Mapping[str, Mutation] = {
    function.__name__.strip("_"): function
    for function in (
        _flip_header, _flip_data, _cut, _append, _lying_length, _noise, _nested_header, _card_value, _argument,
        _other_number, _missing_or_more_in_card, _other_detector, _other_version, _widths, _tensor_row, _reshaped,
        _renamed, _dropped, _added, _no_numbers, _metadata, _unchanged,
    )
}  # fmt: skip


def mutated(sources: list[bytes], case: int, seed: int) -> tuple[str, bytes]:
    """(name of the mutation, file) of the case, which depends on both numbers alone."""
    rng = np.random.default_rng([seed, case])
    name = list(MUTATIONS)[case % len(MUTATIONS)]
    document = parsed(sources[case // len(MUTATIONS) % len(sources)])
    return name, MUTATIONS[name](document, rng) or document.whole()


def used(path: Path) -> None:
    """All that is done with a model's file that somebody was sent: look at its card, load, build, score."""
    peek(path)
    checkpoint = load_checkpoint(path)
    detector = checkpoint.build()
    reference = reference_of(checkpoint.evidence)
    dev_scores_of(checkpoint.evidence)
    scorer = Scorer(detector, checkpoint.card.calibration, device="cpu", batch_size=1, reference=reference)
    if scorer.size <= 16_000:  # it may well be made for windows of a minute now
        llrs, _ = scorer.measured(np.zeros((1, scorer.size), np.float32) + 0.1)
        assert llrs.shape == (1,)


def run(folder: Path, cases: int, seed: int) -> Tally:
    """Tries so many files, one after another; `broken` tells how each was made that did neither, and the error."""
    tally, _ = counted(folder, cases, seed)
    return tally


def counted(folder: Path, cases: int, seed: int) -> tuple[Tally, int]:
    """As `run`, and how many of the files were loaded."""
    sources, path = originals(folder), folder / "mutated.safetensors"
    tally, loaded = Tally("checkpoints", cases), 0
    for case in range(cases):
        name, content = mutated(sources, case, seed)
        path.write_bytes(content)
        began = time.process_time()
        try:
            used(path)
            loaded += 1
        except DeepcheckError:
            pass
        except Exception as error:
            tally.crashes += 1
            tally.broken.append(f"{name}, case {case} of seed {seed}: {error!r}")
        if time.process_time() - began > LONGEST_S:
            tally.hangs += 1
            tally.broken.append(f"{name}, case {case} of seed {seed}: took more than {LONGEST_S} s")
    tally.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return tally, loaded
