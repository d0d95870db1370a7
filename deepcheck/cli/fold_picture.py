"""The picture of a training over folds: its abstention curves, drawn from what it wrote down."""

import json
from pathlib import Path

from deepcheck.engine.folds import ABSTENTION
from deepcheck.plots import save_figure
from deepcheck.plots.abstention import Abstention, abstention_curves
from deepcheck.plots.systems import LOOKS


def draw_folds(folder: Path) -> None:
    """A picture beside the numbers in the folder of the run: all folds together, then as many as can be told apart."""
    curves = json.loads((folder / ABSTENTION).read_text(encoding="utf-8"))
    systems = [Abstention(name, curve["judged"], curve["error"]) for name, curve in curves.items()]
    figure = abstention_curves(systems[: len(LOOKS)], "Each fold by a model that has not heard it")
    save_figure(figure, (folder / ABSTENTION).with_suffix(".png"))
