"""Scores of the two classes as histograms: what is in the bars, where they are cut, and what is left out."""

import math

import numpy as np
import pytest
from legible import apart, tick_labels_apart
from matplotlib.patches import Rectangle, StepPatch

from deepcheck.errors import ConfigError, DataError
from deepcheck.plots import BLUE, FORMATS, VERMILION, save_figure
from deepcheck.plots.scores import BINS, ScoreSet, score_densities, visible_range


def scores(name="mine", trials=400, seed=0, spread=1.0, thresholds=(-1.25, 0.5)):
    rng = np.random.default_rng(seed)
    return ScoreSet(name, rng.normal(2, spread, trials), rng.normal(-2, spread, 2 * trials), thresholds)


def steps(ax):
    return [patch.get_data() for patch in ax.patches if isinstance(patch, StepPatch)]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("systems", [1, 2, 4, 5, 8])
def test_one_panel_a_system(systems):
    figure = score_densities([scores(f"model {seed}", seed=seed) for seed in range(systems)], "corpus")
    assert len(figure.axes) == systems
    for number, ax in enumerate(figure.axes):
        assert ax.get_title() == f"model {number}\n400 bona fide, 800 spoof"
        bonafide, spoof = steps(ax)
        assert bonafide.values.sum() == pytest.approx(1)
        assert spoof.values.sum() == pytest.approx(1)
        assert ax.get_xlim() == figure.axes[0].get_xlim()
    assert figure.get_suptitle() == "corpus"
    assert legend(figure) == ["bona fide", "spoof", "inconclusive"]
    # The last panel of each column tells the scale.
    labelled = [bool(ax.get_xlabel()) for ax in figure.axes]
    assert sum(labelled) == (1 if systems <= 4 else 2)
    assert labelled == [ax.xaxis.get_major_ticks()[0].label1.get_visible() for ax in figure.axes]


def test_bars_are_shares_of_their_class():
    [ax] = score_densities([ScoreSet("", np.array([0.0, 10, 10, 10]), np.array([0.0, 0]))], "").axes
    bonafide, spoof = steps(ax)
    assert (bonafide.values[0], bonafide.values[-1]) == (0.25, 0.75)
    assert (spoof.values[0], spoof.values[-1]) == (1, 0)
    assert len(spoof.values) == BINS
    assert spoof.edges[[0, -1]].tolist() == [0, 10]


def test_classes_differ_in_colour_and_hatch():
    [ax] = score_densities([scores()], "").axes
    bonafide, spoof = (patch for patch in ax.patches if isinstance(patch, StepPatch))
    assert not bonafide.get_hatch()
    assert spoof.get_hatch()
    shades = [np.round(255 * np.array(patch.get_edgecolor()[:3])).astype(int) for patch in (bonafide, spoof)]
    assert ["#{:02X}{:02X}{:02X}".format(*shade) for shade in shades] == [BLUE, VERMILION]


def test_thresholds_are_lines_with_labels_and_a_band():
    [ax] = score_densities([scores(thresholds=(-1.25, 0.5))], "").axes
    assert [line.get_xdata() for line in ax.lines] == [[-1.25, -1.25], [0.5, 0.5]]
    assert len({line.get_linestyle() for line in ax.lines}) == 2
    assert [text.get_text() for text in ax.texts] == ["spoof at -1.25 or below", "bona fide at +0.50 or above"]
    [band] = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    assert (band.get_x(), band.get_width()) == (-1.25, 1.75)


def test_thresholds_that_meet():
    figure = score_densities([scores(thresholds=(-0.5, -0.5))], "")
    [ax] = figure.axes
    assert [line.get_xdata() for line in ax.lines] == [[-0.5, -0.5]]
    assert [text.get_text() for text in ax.texts] == ["spoof at -0.50 or below, else bona fide"]
    assert legend(figure) == ["bona fide", "spoof"]


def test_no_thresholds():
    figure = score_densities([scores(thresholds=None)], "")
    [ax] = figure.axes
    assert not ax.lines
    assert not ax.texts
    assert legend(figure) == ["bona fide", "spoof"]


def test_long_tails_are_left_out_and_counted():
    rng = np.random.default_rng(0)
    far = ScoreSet("far", np.append(rng.normal(2, 1, 5000), [900, 950]), np.append(rng.normal(-2, 1, 5000), -700))
    low, high = visible_range([far])
    assert -7 < low < -3
    assert 3 < high < 7
    figure = score_densities([far, scores("near", spread=0.1)], "")
    one, other = figure.axes
    outside = sum(int(np.sum((values < low) | (values > high))) for values in (far.bonafide, far.spoof))
    assert outside >= 3
    assert one.get_title().endswith(f"5002 bona fide, 5001 spoof, {outside} beyond the axis")
    assert "beyond" not in other.get_title()
    shown = sum(part.values.sum() * 5000 for part in steps(one))
    assert shown == pytest.approx(10003 - outside, abs=4)


def test_of_few_trials_none_is_left_out():
    given = scores(trials=9)
    assert visible_range([given]) == (given.spoof.min(), given.bonafide.max())


def test_thresholds_are_never_beyond_the_axis():
    given = scores(thresholds=(-20.0, 30.0))
    assert visible_range([given]) == (-20, 30)
    [ax] = score_densities([given], "").axes
    assert ax.get_xlim()[0] < -20 < 30 < ax.get_xlim()[1]


@pytest.mark.parametrize("systems", [1, 2, 5, 8])
@pytest.mark.parametrize("thresholds", [(-1.0, 1.0), (-3.9, -3.8), (3.8, 3.9), (-12.0, 12.0), (0.0, 0.0)])
def test_nothing_overlaps(systems, thresholds):
    names = [f"a-model-with-quite-a-long-name-grown-{n}" for n in range(systems)]
    title = "a corpus with quite a long name, and the part of it that is kept for testing: 1000 bona fide, 1000 spoof"
    figure = score_densities([scores(name, thresholds=thresholds) for name in names], title)
    figure.draw_without_rendering()
    boxes = [ax.get_tightbbox() for ax in figure.axes]
    boxes += [text.get_window_extent() for text in (figure._suptitle, figure._supylabel)]
    apart([*boxes, figure.legends[0].get_window_extent()], figure)
    for ax in figure.axes:
        tick_labels_apart(ax)
        labels = [text.get_window_extent() for text in ax.texts]
        apart(labels, figure)
        tallest = max(part.values.max() for part in steps(ax))
        top_of_bars = ax.transData.transform((0, tallest))[1]
        for label in labels:
            assert ax.bbox.x0 <= label.x0 < label.x1 <= ax.bbox.x1
            assert label.y0 >= top_of_bars


@pytest.mark.parametrize(("bonafide", "spoof"), [([1.0], [0.0]), ([1.0], [1.0]), ([0.0], [1.0])])
def test_one_trial_a_class(bonafide, spoof, tmp_path):
    figure = score_densities([ScoreSet("it", np.array(bonafide), np.array(spoof))], "")
    assert [part.values.sum() for part in steps(figure.axes[0])] == [1, 1]
    assert max(figure.axes[0].get_yticks()) == 1
    save_figure(figure, tmp_path / "it.png")


@pytest.mark.parametrize(
    ("bonafide", "spoof", "thresholds"),
    [
        ([], [0.0], None),
        ([0.0], [], None),
        ([math.nan], [0.0], None),
        ([0.0], [-math.inf], None),
        ([1.0], [0.0], (math.nan, 1.0)),
        ([1.0], [0.0], (0.0, math.inf)),
        ([1.0], [0.0], (1.0, 0.0)),
    ],
)
def test_what_are_no_scores(bonafide, spoof, thresholds):
    with pytest.raises(DataError, match="mine"):
        ScoreSet("mine", np.array(bonafide), np.array(spoof), thresholds)


@pytest.mark.parametrize("systems", [0, 9])
def test_too_few_and_too_many_systems(systems):
    with pytest.raises(ConfigError):
        score_densities([scores()] * systems, "")


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_same_scores_make_the_same_file(tmp_path, suffix):
    for name in ("one", "two"):
        save_figure(score_densities([scores(), scores("$x^$", seed=1)], "mine"), tmp_path / f"{name}{suffix}")
    one, two = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("one", "two"))
    assert one == two
    assert len(one) > 5000
