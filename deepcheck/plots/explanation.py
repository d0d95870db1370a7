"""A spectrogram, and laid over it how much each place of it speaks for a spoof."""

import io
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray
from PIL import Image

from deepcheck.plots import VERMILION
from deepcheck.plots.systems import set_title

Numbers = NDArray[np.floating[Any]]

YELLOW = "#E69F00"  # of the same palette
_HIGHEST_HZ = 8000.0
_TICKS_HZ = (0, 250, 500, 1000, 2000, 4000, 8000)
# Not as far as black, on which no heat would show.
_LOUDNESS: dict[str, Any] = {
    "cmap": LinearSegmentedColormap.from_list("loudness", ["1", "0.25"]),
    "norm": Normalize(-55, 25, clip=True),
}
# Rising opacity beside the hue: it holds in grey print and for all kinds of colour vision, and what lies below is seen.
_HEAT: dict[str, Any] = {
    "cmap": LinearSegmentedColormap.from_list("heat", [("#F0E442", 0), (YELLOW, 0.6), (VERMILION, 0.85)]),
    "norm": Normalize(0, 1),
}
_LONGEST = 180  # characters of a title, three lines
_COLOURS = (256, 128, 64, 32, 16)
NOTHING = "nothing stands out as a sign of a spoof"
_WORDS = {0.0: "none", 0.5: "half of that", 1.0: "the strongest\nsign in this\nstretch"}


@dataclass(frozen=True, eq=False)
class HeatMap:
    """How much each place of a stretch of sound speaks for a spoof, 0 to 1, and the spectrogram in dB.

    Both are (bins, frames) and come with the places of their bins and frames; without `frequencies_hz` the heat is
    (1, frames), for the time alone.
    """

    start_s: float
    end_s: float
    heat: Numbers
    times_s: Numbers
    frequencies_hz: Numbers | None
    spectrogram: Numbers
    spectrogram_times_s: Numbers
    spectrogram_hz: Numbers


def heat_map(picture: HeatMap, title: str = "") -> Figure:
    """The heat over the spectrogram: places in the recording across, Hz upwards on the scale of mels, a key in words.

    Heat without frequencies is a curve of its own below the spectrogram. The title may hold anything, as file names do:
    what cannot be drawn is written out, and of what is too long the middle is left out.
    """
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    if title:
        text = "".join(map(_drawable, title))
        set_title(figure, text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}")
    if picture.frequencies_hz is None:
        ax, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        _curve(bottom, picture)
    else:
        ax = bottom = figure.subplots()
    _mesh(ax, picture, picture.spectrogram, picture.spectrogram_times_s, picture.spectrogram_hz, _LOUDNESS)
    if picture.frequencies_hz is not None:
        _mesh(ax, picture, picture.heat, picture.times_s, picture.frequencies_hz, _HEAT)
        _key(figure, ax)
    _frequency_axis(ax)
    _time_axis(bottom, picture)
    if not picture.heat.any():
        frame = {"facecolor": "white", "edgecolor": "0.5"}
        ax.text(0.5, 0.5, NOTHING, transform=ax.transAxes, ha="center", va="center", bbox=frame)
    return figure


def small_png(figure: Figure, width_px: int, most_bytes: int) -> bytes:
    """The figure as a PNG so wide, in as many colours, 16 to 256, as keep it below a size if that can be."""
    figure.set_dpi(width_px / figure.get_figwidth())
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    data = b""
    for colours in _COLOURS:
        buffer = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(buffer, format="png", optimize=True)
        data = buffer.getvalue()
        if len(data) <= most_bytes:
            break
    return data


def edges(centres: Numbers, lowest: float, highest: float) -> Numbers:
    """The borders of places with these centres, one more than there are: halfway between them, and the ends."""
    return np.concatenate([[lowest], (centres[:-1] + centres[1:]) / 2, [highest]])


def position(value_s: float) -> str:
    """A place in a recording: 4.2 s as `4.2`, from a minute on `1:04.2`, from an hour on `1:01:04.2`."""
    minutes, tenths = divmod(round(value_s * 10), 600)
    if not minutes:
        return f"{tenths / 10:.1f}"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{tenths / 10:04.1f}" if hours else f"{minutes}:{tenths / 10:04.1f}"


@cache
def _drawable(character: str) -> str:
    known = get_font(findfont(FontProperties())).get_char_index(ord(character))
    return character if character.isprintable() and known else character.encode("unicode_escape").decode()


def _mesh(ax: Axes, picture: HeatMap, values: Numbers, times_s: Numbers, hz: Numbers, looks: dict[str, Any]) -> None:
    across, up = edges(times_s, picture.start_s, picture.end_s), edges(hz, 0, _HIGHEST_HZ)
    # In vector formats one picture instead of a path for each cell.
    ax.pcolormesh(across, up, values, rasterized=True, **looks)


def _key(figure: Figure, ax: Axes) -> None:
    key = figure.colorbar(ScalarMappable(**_HEAT), ax=ax, ticks=list(_WORDS), fraction=0.03, pad=0.01)
    key.ax.set_yticklabels(list(_WORDS.values()), fontsize=7)
    _keep_within(key.ax)
    key.set_label("evidence for a spoof", fontsize=8)


def _curve(ax: Axes, picture: HeatMap) -> None:
    ax.fill_between(picture.times_s, picture.heat[0], facecolor=(YELLOW, 0.6), linewidth=0)
    ax.plot(picture.times_s, picture.heat[0], color=VERMILION, linewidth=1)
    ax.set_ylim(0, 1.05)
    ax.yaxis.tick_right()
    ax.set_yticks([0, 1], ["none", "the strongest\nsign in this\nstretch"], fontsize=7)
    _keep_within(ax)
    ax.set_ylabel("evidence\nfor a spoof", fontsize=8)
    ax.spines[["top", "left"]].set_visible(False)


def _keep_within(ax: Axes) -> None:
    """The lowest label stands on its tick, the highest hangs from it."""
    lowest, *_, highest = ax.get_yticklabels()
    lowest.set_verticalalignment("bottom")
    highest.set_verticalalignment("top")


def _frequency_axis(ax: Axes) -> None:
    ax.set_yscale("function", functions=(_mels, _hertz))
    ax.set_ylim(0, _HIGHEST_HZ)
    ax.set_yticks(_TICKS_HZ, [str(tick) for tick in _TICKS_HZ], fontsize=8)
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylabel("frequency (Hz)", fontsize=8)
    ax.tick_params(axis="x", labelsize=8)


def _time_axis(ax: Axes, picture: HeatMap) -> None:
    ax.set_xlim(picture.start_s, picture.end_s)
    ax.xaxis.set_major_locator(MaxNLocator(9, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: position(value)))
    unit = "s" if picture.end_s < 60 else "min:s" if picture.end_s < 3600 else "h:min:s"
    ax.set_xlabel(f"position in the recording ({unit})", fontsize=8)
    ax.tick_params(axis="x", labelsize=8)


def _mels(hz: Numbers) -> Numbers:
    return np.log1p(np.maximum(hz, 0) / 700)


def _hertz(mels: Numbers) -> Numbers:
    return 700 * np.expm1(mels)
