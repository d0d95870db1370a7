"""DET curves: where their points lie, what is marked, and what becomes of detectors that are perfect or worse."""

import math

import numpy as np
import pytest
from legible import apart, tick_labels_apart

from deepcheck.errors import ConfigError, DataError
from deepcheck.metrics.curve import visible_points
from deepcheck.metrics.detection import det_curve, eer
from deepcheck.plots import FORMATS, save_figure
from deepcheck.plots.det import TICKS, WIDE_TICKS, Curve, det_curves, probit


def curve(name="mine", distance=1.5, trials=300, seed=0):
    rng = np.random.default_rng(seed)
    return of(name, rng.normal(distance, 1, trials), rng.normal(0, 1, trials))


def of(name, bonafide, spoof):
    frr, far, _ = det_curve(bonafide, spoof)
    return Curve(name, frr, far, eer(bonafide, spoof)[0])


def parts(figure):
    """The diagonal, the curves, and the marks."""
    [ax] = figure.axes
    diagonal, *others = ax.lines
    return diagonal, others[::2], others[1::2]


def percents(labels):
    return [float(label.get_text()) for label in labels]


def test_probit():
    np.testing.assert_allclose(probit([0.5, 0.975, 0.025]), [0, 1.959964, -1.959964], atol=1e-6)
    low, high = probit([0.0, 1.0])
    assert -math.inf < low == pytest.approx(-high)
    assert low < probit(0.0001)[0]


@pytest.mark.parametrize("systems", [1, 2, 8])
def test_one_curve_and_one_mark_a_system(systems):
    curves = [curve(f"model {seed}", 1 + seed / 3, seed=seed) for seed in range(systems)]
    figure = det_curves(curves, "corpus: 300 + 300")
    _, lines, marks = parts(figure)
    assert len(lines) == len(marks) == systems
    for given, line, mark in zip(curves, lines, marks, strict=True):
        np.testing.assert_allclose(line.get_xdata(), probit(given.false_alarm))
        np.testing.assert_allclose(line.get_ydata(), probit(given.miss))
        assert mark.get_xdata() == mark.get_ydata() == probit(given.eer)
        assert mark.get_color() == line.get_color()
    assert len({(line.get_color()) for line in lines}) == len({repr(line._dash_pattern) for line in lines}) == systems
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        f"{given.name}: EER {100 * given.eer:.1f} %" for given in curves
    ]
    assert figure.get_suptitle() == "corpus: 300 + 300"


def test_false_alarms_are_genuine_and_misses_are_spoof():
    # All spoofs are caught before the first genuine recording is called spoof, so that it misses none at 50 % alarms.
    [ax] = det_curves([Curve("", np.array([0, 0, 0.5, 1]), np.array([1, 0, 0, 0]), 0)], "").axes
    assert "bona fide called spoof" in ax.get_xlabel()
    assert "spoof called bona fide" in ax.get_ylabel()
    np.testing.assert_allclose(ax.lines[1].get_xdata()[2], probit(0.5))


@pytest.mark.parametrize(
    ("eers", "ends", "ticks"),
    [
        ([0.25, 0.05], (0.001, 0.6), TICKS),
        ([0.5], (0.001, 0.6), TICKS),
        ([0.0], (0.001, 0.6), TICKS),
        ([0.002, 0.3], (0.0001, 0.6), [tick for tick in WIDE_TICKS if tick <= 60]),
        ([0.002, 0.7], (0.0001, 0.999), WIDE_TICKS),
        ([1.0], (0.001, 0.999), [tick for tick in WIDE_TICKS if tick >= 0.1]),
    ],
)
def test_axes_hold_what_matters(eers, ends, ticks):
    rates = np.array([0.1, 0.9])
    figure = det_curves([Curve(str(eer), rates, rates[::-1], eer) for eer in eers], "")
    [ax] = figure.axes
    for limits, axis in ((ax.get_xlim(), ax.xaxis), (ax.get_ylim(), ax.yaxis)):
        np.testing.assert_allclose(limits, probit(ends))
        assert percents(axis.get_ticklabels()) == list(ticks)
        np.testing.assert_allclose(axis.get_ticklocs(), probit(np.array(ticks) / 100))
    diagonal, _, marks = parts(figure)
    np.testing.assert_allclose(diagonal.get_xdata(), diagonal.get_ydata())
    for mark in marks:
        assert ax.get_xlim()[0] <= mark.get_xdata()[0] <= ax.get_xlim()[1]
        assert not mark.get_clip_on()  # whole, even in a corner


@pytest.mark.parametrize("systems", [1, 8])
@pytest.mark.parametrize("distance", [-1, 1, 6])
def test_nothing_overlaps(systems, distance):
    names = [f"a-model-with-quite-a-long-name-grown-{n}+3x128-pruned" for n in range(systems)]
    title = "a corpus with quite a long name, and the part of it that is kept for testing: 1000 bona fide, 1000 spoof"
    figure = det_curves([curve(name, distance) for name in names], title)
    figure.draw_without_rendering()
    [ax] = figure.axes
    boxes = [figure._suptitle.get_window_extent(), ax.get_tightbbox(), figure.legends[0].get_window_extent()]
    apart(boxes, figure)
    tick_labels_apart(ax)


@pytest.mark.parametrize(
    ("bonafide", "spoof", "text"),
    [
        ([2.0, 3.0], [0.0, 1.0], "EER 0.00 %"),
        ([1.0], [0.0], "EER 0.00 %"),
        ([0.0], [1.0], "EER 100.0 %"),
        ([0.0, 0.0], [0.0, 0.0], "EER 50.0 %"),
    ],
)
def test_detectors_that_are_perfect_inverted_or_deaf(bonafide, spoof, text, tmp_path):
    figure = det_curves([of("it", np.array(bonafide), np.array(spoof))], "")
    assert text in figure.legends[0].get_texts()[0].get_text()
    save_figure(figure, tmp_path / "it.png")


def test_a_thinned_curve_will_do():
    rng = np.random.default_rng(0)
    bonafide, spoof = rng.normal(1, 1, 20000), rng.normal(-1, 1, 20000)
    frr, far = visible_points(bonafide, spoof)
    _, [line], [mark] = parts(det_curves([Curve("it", frr, far, eer(bonafide, spoof)[0])], ""))
    crossing = np.argmin(np.abs(line.get_xdata() - line.get_ydata()))
    assert line.get_xdata()[crossing] == pytest.approx(mark.get_xdata()[0], abs=0.03)
    assert mark.get_xdata()[0] == pytest.approx(-1, abs=0.05)  # EER of two normals two deviations apart


@pytest.mark.parametrize(
    ("false_alarm", "miss", "rate"),
    [
        ([0, 1], [1, math.nan], 0.5),
        ([0, 1], [1, 0], math.nan),
        ([0, 100], [100, 0], 0.5),
        ([0, 1], [1], 0.5),
        ([], [], 0.5),
    ],
)
def test_what_is_no_curve(false_alarm, miss, rate):
    with pytest.raises(DataError, match="mine"):
        Curve("mine", np.array(false_alarm), np.array(miss), rate)


@pytest.mark.parametrize("systems", [0, 9])
def test_too_few_and_too_many_systems(systems):
    with pytest.raises(ConfigError):
        det_curves([curve()] * systems, "")


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_same_curves_make_the_same_file(tmp_path, suffix):
    for name in ("one", "two"):
        save_figure(det_curves([curve(), curve("$x^$", 3)], "mine"), tmp_path / f"{name}{suffix}")
    one, two = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("one", "two"))
    assert one == two
    assert len(one) > 5000
