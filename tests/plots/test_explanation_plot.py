"""Heat over a spectrogram: every cell at its place in seconds and Hz, and all of it legible."""

import numpy as np
import pytest
from legible import apart, tick_labels_apart

from deepcheck.plots import FORMATS, save_figure
from deepcheck.plots.explanation import NOTHING, HeatMap, edges, heat_map, position, small_png


def picture(frequencies=True, start_s=100.0, frames=50, level=1.0):
    heat = np.zeros((8 if frequencies else 1, frames))
    heat[-2:, 10:20] = level
    end_s = start_s + frames / 10
    times = start_s + (np.arange(frames) + 0.5) / 10
    hz = np.geomspace(100, 7000, 8)
    loudness = np.linspace(-60, 20, 8 * frames).reshape(8, frames)
    return HeatMap(start_s, end_s, heat, times, hz if frequencies else None, loudness, times, hz)


def test_cells_lie_around_their_centres():
    given = picture()
    ax = heat_map(given).axes[0]
    background, heat = ax.collections
    for mesh, values in ((background, given.spectrogram), (heat, given.heat)):
        np.testing.assert_array_equal(mesh.get_array(), values)
        corners = mesh.get_coordinates()
        assert corners.shape == (9, 51, 2)
        across, up = corners[0, :, 0], corners[:, 0, 1]
        assert (across[:-1] < given.times_s).all()
        assert (given.times_s < across[1:]).all()
        assert (up[:-1] < given.frequencies_hz).all()
        assert (given.frequencies_hz < up[1:]).all()
        assert (across[0], across[-1], up[0], up[-1]) == (100.0, 105.0, 0.0, 8000.0)
    assert ax.get_xlim() == (100.0, 105.0)
    assert ax.get_ylim() == (0.0, 8000.0)


def test_frequencies_are_on_the_scale_of_mels():
    figure = heat_map(picture())
    figure.draw_without_rendering()
    ax = figure.axes[0]
    heights = ax.transData.transform([(100, hz) for hz in (0, 1000, 8000)])[:, 1]
    mels = [2595 * np.log10(1 + hz / 700) for hz in (0, 1000, 8000)]
    assert (heights[1] - heights[0]) / (heights[2] - heights[0]) == pytest.approx(mels[1] / mels[2])
    assert [label.get_text() for label in ax.get_yticklabels()][-2:] == ["4000", "8000"]


def test_heat_without_frequencies_is_a_curve_of_its_own():
    given = picture(frequencies=False)
    ax, below = heat_map(given).axes
    assert len(ax.collections) == 1
    [line] = below.lines
    np.testing.assert_array_equal(line.get_xydata(), np.column_stack([given.times_s, given.heat[0]]))
    assert below.get_xlim() == ax.get_xlim() == (100.0, 105.0)


@pytest.mark.parametrize("frequencies", [True, False])
def test_the_key_is_in_words(frequencies):
    figure = heat_map(picture(frequencies))
    key = figure.axes[1]
    words = [label.get_text() for label in key.get_yticklabels()]
    assert words[0] == "none"
    assert words[-1].replace("\n", " ") == "the strongest sign in this stretch"
    assert key.get_ylabel().replace("\n", " ") == "evidence for a spoof"


@pytest.mark.parametrize(("level", "said"), [(0.0, [NOTHING]), (0.01, [])])
def test_where_nothing_is_hot_that_is_said(level, said):
    ax = heat_map(picture(level=level)).axes[0]
    assert [text.get_text() for text in ax.texts] == said


@pytest.mark.parametrize("frequencies", [True, False])
@pytest.mark.parametrize("start_s", [0.0, 57.3, 35_990.0])
def test_nothing_overlaps(frequencies, start_s):
    title = "a recording with quite a long name, of which the most suspicious stretch is shown here: LLR -12.34"
    figure = heat_map(picture(frequencies, start_s), title)
    figure.draw_without_rendering()
    apart([figure._suptitle.get_window_extent(), *(ax.get_tightbbox() for ax in figure.axes)], figure)
    for ax in figure.axes:
        tick_labels_apart(ax)


@pytest.mark.parametrize(
    ("start_s", "unit", "first"), [(3.0, "(s)", "3.0"), (57.0, "(min:s)", "57.0"), (3600.0, "(h:min:s)", "1:00:00.0")]
)
def test_seconds_are_those_of_the_recording(start_s, unit, first):
    figure = heat_map(picture(start_s=start_s))
    figure.draw_without_rendering()
    ax = figure.axes[0]
    assert ax.get_xlabel().endswith(unit)
    assert next(label.get_text() for label in ax.get_xticklabels() if label.get_position()[0] >= start_s) == first


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0"), (59.94, "59.9"), (59.96, "1:00.0"), (61.25, "1:01.2"), (3599.97, "1:00:00.0"), (36_000, "10:00:00.0")],
)
def test_positions(seconds, text):
    assert position(seconds) == text


def test_edges():
    np.testing.assert_allclose(edges(np.array([1.0, 2.0, 4.0]), 0.0, 5.0), [0, 1.5, 3, 5])
    np.testing.assert_allclose(edges(np.array([2.0]), 0.0, 5.0), [0, 5])


@pytest.mark.parametrize("title", ["two\nlines", "$\\alpha", "\x1b[31m\x07", "录音🎙", "\udcff"])
def test_a_title_is_drawn_as_it_is_or_written_out(title):
    drawn = heat_map(picture(), title).get_suptitle()
    assert drawn.isprintable()
    assert drawn == (title if title == "$\\alpha" else title.encode("unicode_escape", "surrogatepass").decode())


@pytest.mark.parametrize("name", ["x" * 255, "录" * 85, "many words " * 23])
def test_a_long_title_leaves_room_for_the_picture(name):
    figure = heat_map(picture(), f"{name}: LLR -1.23")
    figure.draw_without_rendering()
    assert figure.get_suptitle().replace("\n", " ").endswith(": LLR -1.23")
    assert figure.axes[0].get_window_extent().height > 0.4 * figure.bbox.height
    apart([figure._suptitle.get_window_extent(), figure.axes[0].get_tightbbox()], figure)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_can_be_written(tmp_path, suffix):
    save_figure(heat_map(picture(), "mine"), tmp_path / f"it{suffix}")
    assert (tmp_path / f"it{suffix}").stat().st_size > 5000


def test_fewer_colours_make_it_smaller():
    large, small = (small_png(heat_map(picture()), 640, most) for most in (10**9, 1))
    assert len(small) < len(large)
