"""An explanation for people: a picture, as a file or as bytes small enough for a report, and a sentence."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepcheck.explain.explanation import Explanation

if TYPE_CHECKING:
    from deepcheck.plots.explanation import HeatMap

MOST_BYTES = 60_000
"""Of a picture within a report."""
_EVEN = 0.8  # of the hottest place; where all are as hot, the detector does not say where
_NAMES = {
    "grad-cam": "Grad-CAM",
    "gradient-x-input": "Integrated gradients",
    "attention-rollout": "Attention rollout",
}


def caption(explanation: Explanation) -> str:
    """What the picture shows in words, for those who do not see it: where it is hottest, how much, and how sharp."""
    from deepcheck.plots.explanation import NOTHING, position

    heat = explanation.heat
    unit = " s" if explanation.end_s < 60 else ""
    name = _NAMES.get(explanation.method, explanation.method)
    stretch = f"{name}, {position(explanation.start_s)} to {position(explanation.end_s)}{unit}"
    hottest = float(heat.max())
    if not hottest:
        return f"{stretch}: {NOTHING}."
    if heat.min() >= _EVEN * hottest:
        place = "lies evenly over the whole stretch"
    else:
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        place = f"is at {position(explanation.times_s[column])}{unit}"
        if explanation.frequencies_hz is not None:
            place += f" around {float(f'{explanation.frequencies_hz[row]:.2g}'):.0f} Hz"
        place += f" (to within {explanation.resolution_s:.2g} s at best)"
    # Where the strongest sign is not for a spoof, it is against one.
    much = "" if hottest > 0.99 else f", {hottest:.0%} as strong as what speaks most for bona fide"
    return f"{stretch}: what speaks most for a spoof {place}{much}."


def save(explanation: Explanation, path: Path, title: str = "") -> None:
    """The picture as a PNG, SVG or PDF by the suffix of `path`, whole or not at all. The title may hold anything."""
    from deepcheck.plots import save_figure
    from deepcheck.plots.explanation import heat_map

    save_figure(heat_map(_drawing(explanation), title), path)


def png_bytes(explanation: Explanation, width_px: int = 640) -> bytes:
    """The picture without a title as a PNG; so wide, it has no more than `MOST_BYTES`."""
    from deepcheck.plots.explanation import heat_map, small_png

    return small_png(heat_map(_drawing(explanation)), width_px, MOST_BYTES)


def _drawing(explanation: Explanation) -> "HeatMap":
    from deepcheck.plots.explanation import HeatMap

    return HeatMap(
        explanation.start_s,
        explanation.end_s,
        explanation.heat,
        explanation.times_s,
        explanation.frequencies_hz,
        explanation.spectrogram,
        explanation.spectrogram_times_s,
        explanation.spectrogram_hz,
    )
