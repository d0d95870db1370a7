"""Histograms of scores: what is in them, and that every file is a picture."""

import numpy as np
import pytest

from deepcheck.errors import ConfigError
from deepcheck.plots import BLUE, FORMATS, VERMILION, check_format, save_figure
from deepcheck.plots.histogram import BINS, Panel, bin_edges, score_histogram, spans_decades


def panel(units=40, seed=0, spread=1.0):
    scores = np.sort(spread * np.random.default_rng(seed).random(units))
    return Panel(
        f"layer {seed + 1}, channels: {units // 4} of {units} removed", scores[: units // 4], scores[units // 4 :]
    )


def heights(ax):
    removed, kept = ax.containers
    return [np.array([bar.get_height() for bar in bars]) for bars in (removed, kept)]


@pytest.mark.parametrize("panels", [1, 2, 3, 4, 5, 12])
@pytest.mark.parametrize("shared", [False, True])
def test_one_panel_a_group(panels, shared):
    figure = score_histogram([panel(seed=seed) for seed in range(panels)], "mine: units", "score", shared)
    assert len(figure.axes) == panels
    for number, ax in enumerate(figure.axes):
        assert ax.get_title().startswith(f"layer {number + 1}, channels")
        removed, kept = heights(ax)
        assert (removed.sum(), kept.sum()) == (10, 30)
    assert figure.get_suptitle() == "mine: units"
    assert figure.get_supxlabel() == "score"
    assert figure.get_supylabel() == "units"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["removed", "kept"]


@pytest.mark.parametrize("panels", [1, 4, 5, 12])
def test_nothing_overlaps(panels):
    long = "a-model-with-quite-a-long-name-grown-1+3x128-pruned-allx0.1: units by gradient-entropy"
    drawn = [
        Panel(f"layer {n + 12}, head-dims: 1024 of 4096 removed", *(4e5 * p for p in halves(n))) for n in range(panels)
    ]
    figure = score_histogram(drawn, long, "score by gradient-entropy", shared=panels == 5)
    figure.draw_without_rendering()
    boxes = [ax.get_tightbbox() for ax in figure.axes]
    boxes += [text.get_window_extent() for text in (figure._suptitle, figure._supxlabel, figure._supylabel)]
    boxes.append(figure.legends[0].get_window_extent())
    for number, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:number])


def halves(seed):
    one = panel(seed=seed)
    return one.removed, one.kept


def test_removed_and_kept_differ_in_colour_and_hatch():
    [ax] = score_histogram([panel()], "", "score").axes
    removed, kept = (bars[0] for bars in ax.containers)
    assert removed.get_hatch()
    assert not kept.get_hatch()
    shades = [np.round(255 * np.array(bar.get_facecolor()[:3])).astype(int) for bar in (removed, kept)]
    assert ["#{:02X}{:02X}{:02X}".format(*shade) for shade in shades] == [VERMILION, BLUE]


def test_bars_stand_on_each_other():
    [ax] = score_histogram([Panel("", np.array([0.0, 0.1]), np.array([0.1, 3.0]))], "", "score").axes
    removed, kept = ax.containers
    assert [bar.get_height() for bar in removed][:2] == [1, 1]
    assert (kept[1].get_y(), kept[1].get_height()) == (1, 1)
    assert kept[-1].get_height() == 1


def test_bins():
    np.testing.assert_allclose(bin_edges(np.array([1.0, 4.0])), np.linspace(1, 4, BINS + 1))
    assert bin_edges(np.array([2.0, 2.0]))[[0, -1]].tolist() == [1.5, 2.5]
    decades = np.array([0.0, 1e-9, 1e-8, 1e-8, 1e-7, 1e-3])
    assert spans_decades(decades)
    np.testing.assert_allclose(bin_edges(decades), np.geomspace(1e-9, 1e-3, BINS + 1))
    assert not spans_decades(-decades)
    assert not spans_decades(np.zeros(3))
    assert not spans_decades(np.array([0.0, 0.0, 0.2, 0.5]))


def test_scores_that_span_decades_are_drawn_so_and_none_is_lost():
    scores = np.array([0.0, 0.0, 1e-9, 1e-8, 1e-8, 1e-7, 1e-3])
    [ax] = score_histogram([Panel("", scores[:3], scores[3:])], "", "score").axes
    assert ax.get_xscale() == "log"
    removed, kept = heights(ax)
    assert removed[0] == 3
    assert kept.sum() == 4


def test_shared_scores_share_their_bins():
    one, other = score_histogram([panel(spread=1), panel(seed=1, spread=9)], "", "score", shared=True).axes
    assert one.get_xlim() == other.get_xlim()
    assert [bar.get_x() for bar in one.containers[0]] == [bar.get_x() for bar in other.containers[0]]
    # A panel above an empty place tells its scale as well.
    axes = score_histogram([panel(seed=seed) for seed in range(5)], "", "score", shared=True).axes
    assert [ax.xaxis.get_tick_params()["labelbottom"] for ax in axes] == [False, False, True, True, True]


def test_a_group_that_loses_nothing():
    [ax] = score_histogram([Panel("", np.array([]), np.array([0.5]))], "", "score").axes
    assert [bars.sum() for bars in heights(ax)] == [0, 1]


def test_a_name_is_no_formula():
    figure = score_histogram([Panel("$x^$", np.array([0.0]), np.array([1.0]))], "a$b_c$ {d}", "score")
    figure.draw_without_rendering()  # which would fail on the first, and draw the other in italics
    assert figure._suptitle.get_text() == "a$b_c$ {d}"
    assert not figure._suptitle.get_parse_math()


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_same_scores_make_the_same_file(tmp_path, suffix):
    for name in ("one", "two"):
        save_figure(score_histogram([panel()], "mine", "score"), tmp_path / f"{name}{suffix}")
    one, two = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("one", "two"))
    assert one == two
    assert len(one) > 5000


@pytest.mark.parametrize("name", ["scores", "scores.jpg", "scores.png.gz", "png"])
def test_other_formats_are_refused(tmp_path, name):
    with pytest.raises(ConfigError) as caught:
        check_format(tmp_path / name)
    assert name in caught.value.message
    assert caught.value.hint == "Let the name end with one of .png, .svg, .pdf."


def test_suffixes_in_capitals(tmp_path):
    check_format(tmp_path / "SCORES.PNG")


def test_no_global_state():
    import matplotlib

    before = dict(matplotlib.rcParams)
    score_histogram([panel()], "mine", "score")
    assert dict(matplotlib.rcParams) == before
