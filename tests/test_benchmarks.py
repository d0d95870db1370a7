"""The table of benchmarks leads somewhere, and a figure knows whether it meets its target."""

import inspect
from importlib import import_module

import pytest

from tests.benchmarks import timing
from tests.benchmarks.__main__ import PARTS
from tests.benchmarks.figure import Figure


@pytest.mark.parametrize("name", PARTS)
def test_every_part_has_figures(name):
    figures = import_module(f"tests.benchmarks.{name}").figures
    assert inspect.isgeneratorfunction(figures)
    assert list(inspect.signature(figures).parameters) == ["large"]


@pytest.mark.parametrize(
    ("value", "at_most", "met"), [(1.5, True, True), (1.6, True, False), (1.5, False, True), (1.4, False, False)]
)
def test_a_figure_beside_its_target(value, at_most, met):
    figure = Figure("start", value, 1.5, at_most=at_most, beside="2 s to 1 s")
    assert figure.met is met
    assert figure.line().split()[:2] == ["met" if met else "MISSED", f"{value:.2f}"]
    assert figure.line().endswith("1.50 x   start (2 s to 1 s)")


def test_pieces_of_work_take_turns_and_the_first_round_does_not_count(monkeypatch):
    done = []
    clock = iter([0, 9, 0, 9, 0, 1, 0, 2, 0, 3, 0, 2, 0, 2, 0, 8])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: float(next(clock)))
    spent = timing.in_turn({"a": lambda: done.append("a"), "b": lambda: done.append("b")}, rounds=3)
    assert done == ["a", "b"] * 4
    assert (spent["a"].wall_s, spent["b"].wall_s) == (2, 2)
