from dataclasses import replace

import pytest
import torch
from conftest import TINY

from deepcheck.card import Card
from deepcheck.checkpoint import Checkpoint, snapshot
from deepcheck.detectors.base import build
from deepcheck.engine.soup import mean_of
from deepcheck.errors import ModelError


def model(**tensors):
    return Checkpoint(Card("x", TINY), {name: torch.tensor(values) for name, values in tensors.items()})


def test_by_hand():
    found = mean_of([model(w=[1.0, 2.0], n=[3]), model(w=[2.0, 4.0], n=[5]), model(w=[6.0, 0.0], n=[7])])
    assert found["w"].tolist() == [3.0, 2.0]
    assert found["w"].dtype == torch.float32
    assert found["n"].tolist() == [3]  # how many batches were seen is no weight


def test_the_mean_of_one_and_of_the_same_is_itself_and_can_be_built():
    made = snapshot(build(TINY), Card("x", TINY))
    for count in (1, 3):
        mean = replace(made, tensors=mean_of([made] * count))
        assert all(torch.equal(mean.tensors[name], tensor) for name, tensor in made.tensors.items())
        assert mean.build().score(torch.zeros(1, 16_000)).shape == (1,)


@pytest.mark.parametrize("other", [model(w=[1.0]), model(v=[1.0, 2.0])])
def test_models_of_different_shapes(other):
    with pytest.raises(ModelError, match="no mean"):
        mean_of([model(w=[1.0, 2.0]), other])
