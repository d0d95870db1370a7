import json
import struct
from dataclasses import replace

import pytest
import torch
from conftest import TINY
from safetensors.torch import save_file

from deepcheck.card import FORMAT, Card, DetectorSpec, peek, to_header
from deepcheck.checkpoint import save_checkpoint, snapshot
from deepcheck.errors import ModelError
from deepcheck.metrics.calibration import Calibration, Thresholds

FULL = Card(
    "mine",
    TINY,
    widths={"blocks.0.conv1": 7},
    calibration=Calibration(1.25, -0.1),
    thresholds=Thresholds(-1.0000000000000002, 0.3),
    rates={"false_alarm": 0.01, "miss": 0.05, "confidence": 0.95, "bonafide": 500, "spoof": 400},
    metrics={"dev_eer": 1 / 3},
    history=({"stage": "train", "epochs": [{"epoch": 1, "loss": 0.5}]}, {"stage": "grow"}),
    parent="default",
    created="2026-01-02T03:04:05+00:00",
    version="0.1.0",
    parameters=123,
)


def with_header(path, card_text, tensors=None):
    save_file(tensors or {"x": torch.zeros(2)}, path, metadata={"deepcheck": card_text})
    return path


@pytest.mark.parametrize("card", [FULL, Card("bare", DetectorSpec("resnet18"))])
def test_round_trip(tmp_path, card):
    path = with_header(tmp_path / "x.safetensors", to_header(card)["deepcheck"])
    assert peek(path) == card


def test_only_the_header_is_read(tmp_path, tiny):
    path = tmp_path / "x.safetensors"
    save_checkpoint(snapshot(tiny, FULL), path)
    whole = path.read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    path.write_bytes(whole[: 8 + length])
    assert peek(path) == FULL
    path.write_bytes(whole[: 8 + length // 2])
    with pytest.raises(ModelError, match="is not a safetensors file"):
        peek(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", 200_000_000),
        struct.pack("<Q", 3) + b"\xff\xfe\xfd",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 4) + b"null",
    ],
)
def test_what_is_no_safetensors_file(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"x\.safetensors is not a safetensors file") as caught:
        peek(path)
    assert "no pickled checkpoints" in caught.value.hint


def test_pickles_are_refused_unopened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    path = tmp_path / "model.pt"
    torch.save({"model": Trap()}, path)
    with pytest.raises(ModelError, match="is not a safetensors file"):
        peek(path)
    assert not (tmp_path / "sprung").exists()


def test_a_missing_file(tmp_path):
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        peek(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_tensors_of_another_program(tmp_path, metadata):
    path = tmp_path / "x.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata=metadata)
    with pytest.raises(ModelError, match="holds tensors but no deepcheck model"):
        peek(path)


def test_metadata_that_is_null(tmp_path):
    header = json.dumps({"__metadata__": None}).encode()
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ModelError, match="holds tensors but no deepcheck model"):
        peek(tmp_path / "x")


def test_a_newer_format_asks_for_an_update(tmp_path):
    document = json.loads(to_header(replace(FULL, version="7.0"))["deepcheck"]) | {"format": FORMAT + 1, "new": 1}
    with pytest.raises(ModelError, match=r"made by a newer deepcheck \('7\.0'\)") as caught:
        peek(with_header(tmp_path / "x", json.dumps(document)))
    assert caught.value.hint == "Update deepcheck."


BROKEN = {
    "no JSON": lambda d: "{",
    "a list": lambda d: "[]",
    "empty": lambda d: "{}",
    "no format": lambda d: json.dumps({k: v for k, v in d.items() if k != "format"}),
    "format in words": lambda d: json.dumps(d | {"format": "one"}),
    "no spec": lambda d: json.dumps({k: v for k, v in d.items() if k != "spec"}),
    "spec of another shape": lambda d: json.dumps(d | {"spec": {"architecture": "x"}}),
    "spec in words": lambda d: json.dumps(d | {"spec": "resnet18"}),
    "no calibration": lambda d: json.dumps({k: v for k, v in d.items() if k != "calibration"}),
    "calibration of another shape": lambda d: json.dumps(d | {"calibration": [1, 2]}),
    "history null": lambda d: json.dumps(d | {"history": None}),
    "an unknown key": lambda d: json.dumps(d | {"surprise": 1}),
}


@pytest.mark.parametrize("break_it", BROKEN.values(), ids=BROKEN.keys())
def test_a_description_that_makes_no_sense_is_an_error_in_words(tmp_path, break_it):
    # Strangers send checkpoints: whatever the header holds, it must not end in a traceback.
    document = json.loads(to_header(FULL)["deepcheck"])
    with pytest.raises(ModelError, match=r"x\.safetensors"):
        peek(with_header(tmp_path / "x.safetensors", break_it(document)))
