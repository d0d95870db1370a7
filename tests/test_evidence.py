"""What was measured of a model lies in its file beside the weights, and can do the weights no harm."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from deepcheck.card import Card, peek, to_header
from deepcheck.checkpoint import EVIDENCE, Checkpoint, load_checkpoint, same_tensors, save_checkpoint, snapshot
from deepcheck.engine.model import load
from deepcheck.errors import ModelError
from deepcheck.metrics.calibration import Thresholds

EVIDENT = {
    "dev.ids": torch.tensor([5, -(2**63), 2**63 - 1]),
    "dev.labels": torch.tensor([0, 1, 1]),
    "dev.logits": torch.tensor([-1.5, 0.25, 1e-300], dtype=torch.float64),
    "reference.axes": torch.eye(3, 4),
}


def checkpoint_of(model, evidence=EVIDENT, **card):
    return snapshot(model, Card("mine", model.spec, **card), evidence)


def stored(path, tensors, card):
    save_file(tensors, path, metadata=to_header(card))
    return path


def test_evidence_survives_and_stays_apart_from_the_weights(tmp_path, tiny):
    path = tmp_path / "x.safetensors"
    save_checkpoint(checkpoint_of(tiny), path)
    loaded = load_checkpoint(path)
    assert same_tensors(loaded.evidence, EVIDENT)
    assert {name: part.dtype for name, part in loaded.evidence.items()} == {
        name: part.dtype for name, part in EVIDENT.items()
    }
    assert same_tensors(loaded.tensors, tiny.state_dict())
    assert same_tensors(loaded.build().state_dict(), tiny.state_dict())
    with safe_open(path, framework="pt") as file:
        assert {name for name in file.keys() if name.startswith(EVIDENCE)} == {EVIDENCE + name for name in EVIDENT}  # noqa: SIM118


def test_a_model_without_evidence_has_none(tmp_path, tiny):
    path = tmp_path / "x.safetensors"
    save_checkpoint(checkpoint_of(tiny, None), path)
    assert load_checkpoint(path).evidence == {}
    assert load(path).evidence == {}


def test_a_loaded_model_has_it(tmp_path, tiny):
    path = tmp_path / "x.safetensors"
    save_checkpoint(checkpoint_of(tiny), path)
    assert same_tensors(load(path).evidence, EVIDENT)
    assert same_tensors(load_checkpoint(path).named("other").evidence, EVIDENT)


def test_weights_that_would_pass_for_evidence_are_refused(tmp_path, tiny):
    checkpoint = checkpoint_of(tiny)
    with pytest.raises(ModelError, match=r'"evidence.x" of the model has a name'):
        save_checkpoint(
            replace(checkpoint, tensors={**checkpoint.tensors, "evidence.x": torch.zeros(1)}), tmp_path / "x"
        )
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "evidence",
    [
        {f"more.{number}": torch.zeros(1) for number in range(40)},
        {"dev.ids": torch.zeros(2, 2, 2)},
        {"dev.ids": torch.zeros(2, dtype=torch.bool)},
        {"dev.ids": torch.zeros(2, dtype=torch.float16)},
        {"dev.ids\n[red]": torch.zeros(2, dtype=torch.int8)},
    ],
    ids=["many", "of three dimensions", "of truth values", "of half precision", "with a strange name"],
)
def test_strange_evidence_is_refused(tmp_path, tiny, evidence):
    tensors = {**tiny.state_dict(), **{EVIDENCE + name: part for name, part in evidence.items()}}
    path = stored(tmp_path / "x", tensors, Card("mine", tiny.spec))
    with pytest.raises(ModelError, match="makes no sense") as caught:
        load_checkpoint(path)
    assert "\n" not in caught.value.message


def test_huge_evidence_is_refused_before_it_is_read(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr("deepcheck.checkpoint._MOST_NUMBERS", 1000)
    tensors = {**tiny.state_dict(), EVIDENCE + "dev.logits": torch.zeros(1001)}
    with pytest.raises(ModelError, match="makes no sense"):
        load_checkpoint(stored(tmp_path / "x", tensors, Card("mine", tiny.spec)))


def test_bands_are_in_the_header(tmp_path, tiny):
    bands = {"telephone": Thresholds(-2.5, 3.0), "opus:16k": Thresholds(-1.0, -1.0)}
    path = tmp_path / "x"
    save_checkpoint(checkpoint_of(tiny, bands=bands), path)
    assert peek(path).bands == bands


def test_a_card_of_before_there_were_bands(tmp_path, tiny):
    import json

    document = json.loads(to_header(Card("old", tiny.spec))["deepcheck"])
    del document["bands"]
    save_file(dict(tiny.state_dict()), tmp_path / "x", metadata={"deepcheck": json.dumps(document)})
    assert peek(tmp_path / "x").bands == {}
    assert load_checkpoint(tmp_path / "x").evidence == {}


@pytest.mark.parametrize(
    "bands",
    [
        {"telephone": {"spoof": 1.0, "bonafide": -1.0}},
        {"telephone": {"spoof": float("nan"), "bonafide": 0.0}},
        {"telephone": {"spoof": "low", "bonafide": 0.0}},
        {"telephone": {"spoof": 0.0}},
        {"telephone": [0.0, 1.0]},
        {"telephone": None},
        ["telephone"],
        "telephone",
        None,
        {"\x1b[31mtelephone": {"spoof": -1.0, "bonafide": 1.0}},
        {f"band {number}": {"spoof": -1.0, "bonafide": 1.0} for number in range(101)},
    ],
)
def test_bands_of_strangers_that_make_no_sense(tmp_path, tiny, bands):
    import json

    document = json.loads(to_header(Card("odd", tiny.spec))["deepcheck"]) | {"bands": bands}
    save_file(dict(tiny.state_dict()), tmp_path / "x", metadata={"deepcheck": json.dumps(document)})
    with pytest.raises(ModelError, match="makes no sense"):
        peek(tmp_path / "x")


def test_evidence_is_a_copy_of_its_own_in_the_file(tmp_path, tiny):
    # Views and transposed tensors are written as what they show.
    grid = torch.arange(12.0).view(3, 4).T
    path = tmp_path / "x"
    save_checkpoint(Checkpoint(Card("mine", tiny.spec), dict(tiny.state_dict()), {"grid": grid}), path)
    np.testing.assert_array_equal(load_checkpoint(path).evidence["grid"].numpy(), grid.numpy())
