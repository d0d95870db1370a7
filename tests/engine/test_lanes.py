"""Batches side by side: the same scores in the same order, and PyTorch left as it was."""

import threading

import pytest
import torch
from conftest import TINY, speechlike, write_wav

from deepcheck.detectors.base import build
from deepcheck.engine.lanes import Lanes
from deepcheck.engine.score import Scorer


@pytest.fixture
def two_threads():
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def test_results_come_in_the_order_of_the_work(two_threads):
    second = threading.Event()
    works = {"slow": lambda: second.wait(10), "quick": lambda: second.set() or "quick", "last": lambda: "last"}
    with Lanes(2) as lanes:
        assert torch.get_num_threads() == 1
        found = [pair for tag, work in works.items() for pair in lanes.give(tag, work)]
        found += lanes.rest()
    assert found == [("slow", True), ("quick", "quick"), ("last", "last")]
    assert torch.get_num_threads() == 2


def test_no_more_than_one_beyond_the_lanes_is_under_way(two_threads):
    gate, begun = threading.Event(), []
    with Lanes(2) as lanes:
        for number in range(3):
            assert list(lanes.give(number, lambda number=number: begun.append(number) or gate.wait(10))) == []
        assert set(begun) <= {0, 1}
        threading.Timer(0.05, gate.set).start()
        assert next(lanes.give(3, lambda: True)) == (0, True)  # waited for
        assert {tag for tag, _ in lanes.rest()} == {1, 2, 3}


def test_an_error_is_raised_in_its_place_and_the_threads_are_given_back(two_threads):
    def work():
        with Lanes(2) as lanes:
            return [*lanes.give("a", lambda: 1 / 0), *lanes.rest()]

    with pytest.raises(ZeroDivisionError):
        work()
    assert torch.get_num_threads() == 2


def test_the_scores_are_those_of_one_lane(tmp_path, two_threads):
    torch.manual_seed(1)
    scorer = Scorer(build(TINY).eval(), device="cpu", batch_size=3, check=True)
    paths = [write_wav(tmp_path / f"{i}.wav", speechlike(1.0 + 1.3 * i, seed=i)) for i in range(4)]
    many = sorted(scorer.recordings(paths), key=lambda one: one.index)
    torch.set_num_threads(1)
    one = sorted(scorer.recordings(paths), key=lambda one: one.index)
    assert repr(many) == repr(one)  # what was not measured is NaN, which equals nothing
    assert sum(len(scores.windows) for scores in many) > 9


def test_a_pass_that_is_left_gives_the_threads_back(tmp_path, two_threads):
    scorer = Scorer(build(TINY).eval(), device="cpu", batch_size=1)
    paths = [write_wav(tmp_path / f"{i}.wav", speechlike(2.0, seed=i)) for i in range(3)]
    recordings = scorer.recordings(paths)
    next(recordings)
    recordings.close()
    assert torch.get_num_threads() == 2
