import math

import pytest

from deepcheck.errors import ConfigError, DataError
from deepcheck.plots import save_figure
from deepcheck.plots.abstention import Abstention, abstention_curves


def test_each_system_is_a_curve_in_percent_and_named_with_its_error(tmp_path):
    systems = [Abstention("all", [0.25, 0.5, 1.0], [0.0, 0.1, 0.2]), Abstention("fold 1", [1.0], [0.5])]
    figure = abstention_curves(systems, "Folds")
    [ax] = figure.axes
    first, second = ax.lines
    assert first.get_xydata().tolist() == [[25, 0], [50, 10], [100, 20]]
    assert second.get_xydata().tolist() == [[100, 50]]
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "all: 20.0 % if all are judged",
        "fold 1: 50.0 % if all are judged",
    ]
    save_figure(figure, tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("judged", "error"), [([], []), ([0.5], []), ([math.nan], [0.1]), ([0.5], [1.1]), ([-0.1], [0.1])]
)
def test_what_is_no_curve(judged, error):
    with pytest.raises(DataError):
        Abstention("x", judged, error)


def test_no_more_than_can_be_told_apart():
    with pytest.raises(ConfigError, match="9 systems"):
        abstention_curves([Abstention("x", [1.0], [0.1])] * 9, "x")
