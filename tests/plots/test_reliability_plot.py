"""The reliability of probabilities in a picture: its points, their intervals, and the counts below."""

import math
from dataclasses import replace

import numpy as np
import pytest
from legible import apart, tick_labels_apart

from deepcheck.errors import ConfigError, DataError
from deepcheck.metrics.reliability import reliability
from deepcheck.plots import FORMATS, save_figure
from deepcheck.plots.reliability import Bin, Reliability, reliability_plot


def table(name="mine", trials=500, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for row in reliability(rng.normal(1, 1.4, trials), rng.normal(-1, 1.4, trials)):
        ends = row.interval()
        rows.append(Bin(row.low, row.high, row.predicted, row.observed, ends.low, ends.high, row.total))
    return Reliability(name, rows)


@pytest.mark.parametrize("systems", [1, 2, 8])
def test_points_with_intervals_and_counts(systems):
    tables = [table(f"model {seed}", seed=seed) for seed in range(systems)]
    figure = reliability_plot(tables, "corpus")
    upper, lower = figure.axes
    assert len(upper.containers) == len(lower.containers) == systems
    for given, drawn, bars in zip(tables, upper.containers, lower.containers, strict=True):
        line, _, [reach] = drawn
        np.testing.assert_allclose(line.get_xdata(orig=False), [row.predicted for row in given.bins])
        np.testing.assert_allclose(line.get_ydata(orig=False), [row.observed for row in given.bins])
        ends = np.array([segment[:, 1] for segment in reach.get_segments()])
        np.testing.assert_allclose(ends, [[row.low, row.high] for row in given.bins])
        assert [bar.get_height() for bar in bars] == [row.trials for row in given.bins]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [given.name for given in tables]
    assert figure.get_suptitle() == "corpus"
    diagonal = upper.lines[0]
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [0, 1]


@pytest.mark.parametrize("systems", [1, 3, 8])
def test_bars_stand_side_by_side_in_their_bin(systems):
    given = table()
    _, lower = reliability_plot([given] * systems, "").axes
    for number, row in enumerate(given.bins):
        ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in (bars[number] for bars in lower.containers)]
        flat = [end for pair in ends for end in pair]
        assert flat == pytest.approx(sorted(flat))
        assert row.start < flat[0] < flat[-1] < row.end


def test_bins_may_be_missing():
    bins = (Bin(0, 0.1, 0.05, 0.1, 0, 0.2, 10), Bin(0.9, 1, 0.95, 1, 0.8, 1, 20))
    upper, lower = reliability_plot([Reliability("it", bins), Reliability("none", ())], "").axes
    assert [bar.get_height() for bars in lower.containers for bar in bars] == [10, 20]
    assert upper.get_xlim() == lower.get_xlim()


@pytest.mark.parametrize("systems", [1, 8])
def test_nothing_overlaps(systems):
    names = [f"a-model-with-quite-a-long-name-grown-{n}+3x128-pruned-allx0.1" for n in range(systems)]
    title = "a corpus with quite a long name, and the part of it that is kept for testing: 1000 bona fide, 1000 spoof"
    figure = reliability_plot([table(name, 40000) for name in names], title)
    figure.draw_without_rendering()
    boxes = [ax.get_tightbbox() for ax in figure.axes]
    boxes += [figure._suptitle.get_window_extent(), figure.legends[0].get_window_extent()]
    apart(boxes, figure)
    for ax in figure.axes:
        tick_labels_apart(ax)


def test_one_trial_a_class(tmp_path):
    save_figure(reliability_plot([table(trials=1)], "it"), tmp_path / "it.png")


@pytest.mark.parametrize("field", ["start", "end", "predicted", "observed", "low", "high"])
@pytest.mark.parametrize("value", [math.nan, -0.1, 1.1])
def test_what_is_no_bin(field, value):
    with pytest.raises(DataError):
        replace(Bin(0, 1, 0.5, 0.5, 0.4, 0.6, 9), **{field: value})


def test_an_interval_holds_what_was_observed():
    with pytest.raises(DataError, match="observed share"):
        Bin(0, 1, 0.5, 0.3, 0.4, 0.6, 9)


@pytest.mark.parametrize("systems", [0, 9])
def test_too_few_and_too_many_systems(systems):
    with pytest.raises(ConfigError):
        reliability_plot([table()] * systems, "")


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_same_tables_make_the_same_file(tmp_path, suffix):
    for name in ("one", "two"):
        save_figure(reliability_plot([table(), table("$x^$", seed=1)], "mine"), tmp_path / f"{name}{suffix}")
    one, two = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("one", "two"))
    assert one == two
    assert len(one) > 5000
