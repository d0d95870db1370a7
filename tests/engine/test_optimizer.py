import math

import pytest
import torch
from torch import nn

from deepcheck.config import OptimizerConfig
from deepcheck.engine.optimizer import RunningMean, make_optimizer, schedule, set_learning_rate
from deepcheck.errors import ConfigError
from deepcheck.plasticity.freeze import Freeze, new_entries
from deepcheck.plasticity.units import resize


def names_by_group(model, optimizer):
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [{names[id(p)] for p in group["params"]} for group in optimizer.param_groups]


def test_matrices_are_decayed_and_vectors_not(tiny):
    optimizer = make_optimizer(tiny, OptimizerConfig(weight_decay=0.3))
    plain = {"decayed": set(), "free": set()}
    for group, names in zip(optimizer.param_groups, names_by_group(tiny, optimizer), strict=True):
        plain["decayed" if group["weight_decay"] else "free"] |= names
        assert group["weight_decay"] in (0.0, 0.3)
        assert group["rate"] == 1
    assert plain["decayed"] == {name for name, p in tiny.named_parameters() if p.dim() > 1}
    assert plain["free"] == {name for name, p in tiny.named_parameters() if p.dim() <= 1}


def test_what_growth_touched_learns_at_a_rate_of_its_own(tiny):
    resize(tiny, tiny.groups()[0], add=2)
    new = new_entries(tiny, tiny.groups(), {"blocks.0.conv1": 4})
    config = OptimizerConfig(lr=1e-2, new_rate=5.0, warmup_steps=0, schedule="constant")
    optimizer = make_optimizer(tiny, config, new)
    set_learning_rate(optimizer, config, 3, 10)
    fast = set()
    for group, names in zip(optimizer.param_groups, names_by_group(tiny, optimizer), strict=True):
        assert group["lr"] == pytest.approx(1e-2 * group["rate"])
        if group["rate"] == 5:
            fast |= names
    assert fast == set(new) & dict(tiny.named_parameters()).keys()


def test_the_head_learns_at_a_rate_of_its_own(tiny):
    optimizer = make_optimizer(tiny, OptimizerConfig(head_rate=3.0))
    heads = set()
    for group, names in zip(optimizer.param_groups, names_by_group(tiny, optimizer), strict=True):
        assert group["rate"] in (1.0, 3.0)
        heads |= names if group["rate"] == 3.0 else set()
    assert heads == {name for name, _ in tiny.named_parameters() if name.startswith("head.")} != set()


def test_what_is_frozen_is_not_given_to_the_optimizer(tiny):
    resize(tiny, tiny.groups()[0], add=2)
    new = new_entries(tiny, tiny.groups(), {"blocks.0.conv1": 4})
    freeze = Freeze(tiny, new)
    optimizer = make_optimizer(tiny, OptimizerConfig(), new)
    given = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert given == {id(p) for p in freeze.parameters()}


def test_the_schedule():
    config = OptimizerConfig(warmup_steps=4)
    assert [schedule(config, step, 24) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert schedule(config, 4, 24) == 1
    assert schedule(config, 14, 24) == pytest.approx(0.5)
    assert schedule(config, 9, 24) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))
    assert schedule(config, 24, 24) == pytest.approx(0)
    assert schedule(config, 99, 24) == pytest.approx(0)
    assert schedule(OptimizerConfig(warmup_steps=0, schedule="constant"), 99, 10) == 1
    with pytest.raises(ConfigError, match='schedule "step"') as caught:
        schedule(OptimizerConfig(schedule="step"), 0, 1)
    assert "cosine" in caught.value.hint


def test_without_averaging_there_is_no_copy(tiny):
    mean = RunningMean(tiny, 0.0)
    assert mean.model is tiny
    mean.update(0)


def test_the_running_mean_by_hand():
    model = nn.BatchNorm1d(1)
    mean = RunningMean(model, 0.5)
    expected = 1.0
    for step in range(12):
        with torch.no_grad():
            model.weight.fill_(float(step))
            model.running_mean.fill_(-float(step))
            model.num_batches_tracked.fill_(step)
        mean.update(step)
        keep = min(0.5, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * step
        assert float(mean.model.weight.detach()) == pytest.approx(expected, rel=1e-5)
        assert int(mean.model.num_batches_tracked) == step
    assert mean.model is not model
    assert float(model.weight.detach()) == 11
