import hashlib

import numpy as np
import pytest
import torch

from deepcheck.data.utterance import Label
from deepcheck.engine.dev_scores import DevScores, dev_scores_of, id_of
from deepcheck.errors import ModelError

SCORES = DevScores.of(["a", "b", "ü/c"], [Label.SPOOF, Label.BONAFIDE, Label.BONAFIDE], np.array([-1.0, 2.0, 0.5]))


def test_an_id_is_the_same_on_every_machine():
    # printf a | sha256sum: ca978112ca1bbdca...
    assert id_of("a") == 0xCA978112CA1BBDCA - 2**64
    digest = hashlib.sha256("ü/c".encode()).digest()
    assert id_of("ü/c") == int.from_bytes(digest[:8], "big", signed=True)
    assert len({id_of(str(number)) for number in range(1000)}) == 1000


def test_there_and_back():
    found = dev_scores_of(SCORES.as_evidence())
    for name in ("ids", "labels", "logits"):
        np.testing.assert_array_equal(getattr(found, name), getattr(SCORES, name))
    assert (found.ids.dtype, found.labels.dtype, found.logits.dtype) == (np.int64, np.int64, np.float64)


def test_by_label():
    bonafide, spoof = SCORES.by_label()
    assert bonafide.tolist() == [2.0, 0.5]
    assert spoof.tolist() == [-1.0]


def test_none_where_there_are_none():
    assert dev_scores_of({}) is None
    assert dev_scores_of({"reference.mean": torch.zeros(2)}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"dev.ids": None},
        {"dev.logits": torch.zeros(2, dtype=torch.float64)},
        {"dev.logits": torch.zeros(3)},
        {"dev.logits": torch.tensor([0.0, 1.0, float("nan")], dtype=torch.float64)},
        {"dev.logits": torch.tensor([0.0, 1.0, float("inf")], dtype=torch.float64)},
        {"dev.labels": torch.tensor([0, 1, 2])},
        {"dev.labels": torch.tensor([0, 1, -1])},
        {"dev.ids": torch.zeros(3, 1, dtype=torch.int64)},
        {"dev.ids": torch.zeros(3, dtype=torch.float64)},
    ],
)
def test_columns_of_strangers_that_make_no_sense(change):
    evidence = {name: part for name, part in {**SCORES.as_evidence(), **change}.items() if part is not None}
    with pytest.raises(ModelError, match="development scores of the model make no sense"):
        dev_scores_of(evidence)
