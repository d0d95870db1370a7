"""What figures of several systems share: looks that differ, rates that are rates, and names that are no formulas."""

import math

import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from deepcheck.errors import ConfigError, DataError
from deepcheck.plots.systems import (
    LOOKS,
    add_legend,
    looks,
    percent,
    require_fractions,
    require_interval,
    set_title,
)


def test_every_look_differs_in_each_of_its_parts():
    for part in ("color", "linestyle", "marker", "hatch"):
        assert len({getattr(look, part) for look in LOOKS}) == len(LOOKS) == 8


def test_a_system_keeps_its_look_when_others_follow():
    assert looks(1) == looks(8)[:1]


@pytest.mark.parametrize("systems", [0, 9])
def test_too_few_and_too_many(systems):
    with pytest.raises(ConfigError) as caught:
        looks(systems)
    assert str(systems) in caught.value.message
    assert "at most 8" in caught.value.hint


@pytest.mark.parametrize("value", [math.nan, -0.01, 1.01, math.inf])
def test_what_is_no_fraction(value):
    require_fractions("It", 0, 0.5, 1)
    with pytest.raises(DataError, match="It holds"):
        require_fractions("It", 0.5, value)


@pytest.mark.parametrize("interval", [(0.2, 0.1, 0.3), (0.2, 0.4, 0.3), (math.nan, 0.1, 0.3), (0.0, 0.1, math.nan)])
def test_what_is_no_interval(interval):
    require_interval("It", 0.1, 0.1, 0.1)
    with pytest.raises(DataError):
        require_interval("It", *interval)


@pytest.mark.parametrize(
    ("rate", "text"), [(0.2571, "25.7 %"), (1, "100.0 %"), (0.01, "1.0 %"), (0.0082, "0.82 %"), (0, "0.00 %")]
)
def test_percent(rate, text):
    assert percent(rate) == text


def test_names_are_no_formulas():
    figure = Figure(layout="constrained")
    set_title(figure, "$x^$")
    add_legend(figure, [Line2D([], []), Line2D([], [])], ["$y^$", "{a_b}$"])
    figure.draw_without_rendering()  # which would fail if they were


@pytest.mark.parametrize(("length", "columns"), [(5, 4), (30, 2), (60, 1), (300, 1)])
def test_the_legend_is_as_wide_as_the_figure_allows(length, columns):
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    figure.subplots()
    add_legend(figure, [Line2D([], [])] * 4, ["n" * length] * 4)
    assert figure.legends[0]._ncols == columns
    figure.draw_without_rendering()
    if length < 300:
        box = figure.legends[0].get_window_extent()
        assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
