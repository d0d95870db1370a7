"""Bars of equal error rates: as long as the rates, in the order given, and legible however many there are."""

import math

import numpy as np
import pytest
from legible import apart, tick_labels_apart

from deepcheck.errors import ConfigError, DataError
from deepcheck.plots import FORMATS, save_figure
from deepcheck.plots.bars import LONGEST_NAME, Bar, Group, eer_bars, shortened


def bar(system="mine", eer=0.2, reach=0.05):
    return Bar(system, eer, max(0, eer - reach), min(1, eer + reach))


def groups(rows, systems=1, highest=0.4, name="attack {}"):
    rates = np.random.default_rng(0).uniform(0, highest, (rows, systems))
    return [
        Group(name.format(row), 100 + row, 2000 + row, [bar(f"model {n}", rate) for n, rate in enumerate(rates[row])])
        for row in range(rows)
    ]


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize(("rows", "systems"), [(1, 1), (13, 1), (13, 2), (3, 8)])
def test_bars_are_as_long_as_the_rates(rows, systems):
    given = groups(rows, systems)
    figure = eer_bars(given, "EER by attack")
    [ax] = figure.axes
    drawn = [container for container in ax.containers if hasattr(container, "patches")]
    assert len(drawn) == systems
    for number, container in enumerate(drawn):
        rates = [group.bars[number] for group in given]
        np.testing.assert_allclose([patch.get_width() for patch in container], [rate.eer for rate in rates])
        [reach] = container.errorbar[2]
        ends = np.array([segment[:, 0] for segment in reach.get_segments()])
        np.testing.assert_allclose(ends, [[rate.low, rate.high] for rate in rates])
    assert len({(patch.get_facecolor(), patch.get_hatch()) for [patch, *_] in drawn}) == systems
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [f"model {n}" for n in range(systems)]
    assert figure.get_suptitle() == "EER by attack"


def test_rows_come_as_given_from_the_top():
    given = [Group(name, 1, 1, [bar("a"), bar("b")]) for name in ("zebra", "ape", "mole")]
    [ax] = eer_bars(given, "").axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["zebra", "ape", "mole"]
    assert ax.get_ylim() == (2.5, -0.5)
    a, b = (container for container in ax.containers if hasattr(container, "patches"))
    for row, (first, second) in enumerate(zip(a, b, strict=True)):
        assert row - 0.4 == pytest.approx(first.get_y())
        assert first.get_y() + first.get_height() == pytest.approx(second.get_y()) == row
        assert second.get_y() + second.get_height() == pytest.approx(row + 0.4)


def test_values_and_counts():
    given = [Group("A07", 120, 4300, [bar(eer=0.257)]), Group("A08", 120, 9, [bar(eer=0.0049, reach=0.001)])]
    found = texts(eer_bars(given, ""))
    assert found == ["25.7 %", "0.49 %", "bona fide + spoof", "120 + 4300", "120 + 9"]


@pytest.mark.parametrize(("eer", "chance"), [(0.3, False), (0.41, True), (0.6, True), (1.0, True)])
def test_the_line_of_chance_is_there_if_in_range(eer, chance):
    figure = eer_bars([Group("", 1, 1, [bar(eer=eer)])], "")
    [ax] = figure.axes
    lines = [line for line in ax.lines if list(line.get_xdata()) == [0.5, 0.5]]
    assert len(lines) == chance == ("chance" in texts(figure))


def test_a_system_may_miss_groups():
    given = [
        Group("one", 1, 1, [bar("b", 0.1)]),
        Group("two", 1, 1, [bar("a", 0.2), bar("b", 0.3)]),
        Group("", 0, 0, []),
    ]
    figure = eer_bars(given, "")
    b, a = (container for container in figure.axes[0].containers if hasattr(container, "patches"))
    assert [patch.get_width() for patch in b] == [0.1, 0.3]
    assert [patch.get_width() for patch in a] == [0.2]
    assert a[0].get_y() == pytest.approx(b[1].get_y() + b[1].get_height())
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["b", "a"]


def test_long_names_lose_their_middle():
    assert shortened("x" * LONGEST_NAME) == "x" * LONGEST_NAME
    name = shortened("common-voice-corpus-21/scottish-gaelic/validated-clips")
    assert name == "common-voice-corpus-21/s…validated-clips"
    assert len(name) == LONGEST_NAME


@pytest.mark.parametrize(
    ("rows", "systems", "highest"), [(1, 1, 0.0), (1, 8, 0.5), (13, 2, 0.004), (19, 1, 1.0), (40, 1, 0.4), (40, 4, 0.5)]
)
def test_nothing_overlaps(rows, systems, highest):
    name = "common voice corpus of quite {} clips, mp3 at 64k"
    title = (
        "EER by source on a corpus with quite a long name, the part of it that is kept for testing, in all languages"
    )
    figure = eer_bars(groups(rows, systems, highest, name), title)
    figure.draw_without_rendering()
    [ax] = figure.axes
    whole = [figure._suptitle.get_window_extent(), ax.get_tightbbox(), figure.legends[0].get_window_extent()]
    apart(whole, figure)
    tick_labels_apart(ax)
    boxes = [text.get_window_extent() for text in ax.texts]
    apart(boxes, figure)
    for text, box in zip(ax.texts, boxes, strict=True):
        if text.get_text().endswith("%"):
            assert ax.bbox.x0 < box.x0 < box.x1 < ax.bbox.x1
    assert ax.bbox.width > figure.bbox.width / 3


@pytest.mark.parametrize(
    ("eer", "low", "high"),
    [(math.nan, 0, 1), (0.5, math.nan, 1), (0.5, 0, math.nan), (0.5, 0.6, 1), (25.7, 23.5, 28.1)],
)
def test_what_is_no_rate(eer, low, high):
    with pytest.raises(DataError, match="mine"):
        Bar("mine", eer, low, high)


@pytest.mark.parametrize("given", [[], [Group("empty", 0, 0, [])]])
def test_nothing_to_draw(given):
    with pytest.raises(ConfigError, match="no EER"):
        eer_bars(given, "")


def test_too_many_systems():
    with pytest.raises(ConfigError, match="9 systems"):
        eer_bars(groups(2, 9), "")


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_same_bars_make_the_same_file(tmp_path, suffix):
    for name in ("one", "two"):
        save_figure(eer_bars(groups(13, 2, name="$x^$ {}"), "mine"), tmp_path / f"{name}{suffix}")
    one, two = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("one", "two"))
    assert one == two
    assert len(one) > 5000
