"""Pruning for speed: the least share that reaches the target, what is measured, and what cannot be had."""

import pytest
import torch

from deepcheck import prune
from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import describe_widths, snapshot
from deepcheck.detectors.base import build, parameter_count
from deepcheck.engine import target_speed
from deepcheck.engine.surgery import statistics_of
from deepcheck.engine.target_speed import FRACTIONS, reach_speed, speed_of
from deepcheck.errors import ConfigError
from deepcheck.plasticity.selection import Ask, pools_of, select


@pytest.fixture
def parent():
    spec = DetectorSpec("gru", {"units": [20, 20], "frontend": {"name": "mel", "bins": 20}, "window_s": 1.0})
    detector = build(spec)
    return snapshot(detector, Card("parent", spec, describe_widths(detector), parameters=parameter_count(detector)))


@pytest.fixture
def counted(monkeypatch):
    """A clock that goes by the size of the detector, and a list of the detectors that it was read for."""
    read = []

    def seconds(detector, noise):
        read.append(parameter_count(detector))
        return float(parameter_count(detector))

    monkeypatch.setattr(target_speed, "_seconds", seconds)
    return read


@pytest.mark.parametrize("target", [1.1, 1.5, 2.0, 2.9])
def test_the_least_share_that_is_enough_goes(parent, counted, target):
    sizes = {share: prune(parent, fraction=share, criterion="magnitude").child.card.parameters for share in FRACTIONS}
    enough = [share for share in FRACTIONS if parent.card.parameters / sizes[share] >= target]
    reached = reach_speed(parent, target, Ask([1, 2]), criterion="magnitude")
    assert reached.fraction == min(enough)
    assert {pace.fraction: pace.speed for pace in reached.measured} == {
        pace.fraction: pytest.approx(parent.card.parameters / sizes[pace.fraction]) for pace in reached.measured
    }
    assert len(reached.measured) <= 6  # of 19
    child = prune(parent, target_speed=target, criterion="magnitude").child
    assert child.card.parameters == sizes[min(enough)]
    assert child.card.widths == prune(parent, fraction=min(enough), criterion="magnitude").child.card.widths


def test_units_of_all_layers_may_compete(parent, counted):
    reached = reach_speed(parent, 1.5, Ask([1, 2]), scope="all", criterion="magnitude")
    gone = sum(len(one.removed) for one in reached.selections)
    assert gone == round(reached.fraction * 40)
    child = prune(parent, target_speed=1.5, scope="all", criterion="magnitude").child
    assert parent.card.parameters / child.card.parameters >= 1.5


def test_what_cannot_be_reached_is_said_with_what_can(parent, counted):
    with pytest.raises(ConfigError) as caught:
        reach_speed(parent, 1000.0, Ask([1]), criterion="magnitude")
    least = prune(parent, layer="1", fraction=0.95, criterion="magnitude").child
    fastest = parent.card.parameters / least.card.parameters
    assert f"Without 95% of these units the model is {fastest:.2f} times as fast, not 1000." in caught.value.message
    assert len(set(counted)) == 2  # nothing beside the most that can go was tried
    with pytest.raises(ConfigError, match="said twice"):
        prune(parent, target_speed=1.5, neurons=3, criterion="magnitude")
    for wrong in (1.0, 0.5, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="target speed"):
            reach_speed(parent, wrong, Ask([1]), criterion="magnitude")


def test_a_clock_is_read_for_both_in_turn_after_a_pass_that_does_not_count(parent, monkeypatch):
    calls = []

    def score(self, sound):
        assert sound.shape == (self.cpu_batch, 16000)
        calls.append(parameter_count(self))
        return torch.zeros(len(sound))

    monkeypatch.setattr(type(parent.build()), "score", score)
    monkeypatch.setattr(target_speed.time, "perf_counter", iter(range(1000)).__next__)
    pools = pools_of(parent.build().groups(), Ask([1], fraction=0.5))
    selections = select(statistics_of(parent, pools, "magnitude"), pools, "magnitude")
    assert speed_of(parent, selections) == 1.0  # each pass took one tick
    lighter = prune(parent, layer="1", fraction=0.5, criterion="magnitude").child.card.parameters
    assert calls == [parent.card.parameters, lighter] * (1 + target_speed.ROUNDS)
