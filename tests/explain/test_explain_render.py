"""Explanations as pictures and words: whole, small, and safe whatever a file is called."""

import io
import warnings
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from deepcheck.explain.explanation import Explanation
from deepcheck.explain.render import MOST_BYTES, caption, png_bytes, save

HOSTILE = [
    "<script>alert(1)</script>.wav",
    "$\\frac{1}{0}$ $unclosed ^_{}.wav",
    "two\nlines\r\t\x1b[31mred\x1b[0m\x07.wav",
    "录音 🎙️ मैं ‮fdp.wav",
    "\udcff\udcfe.wav",
    "x" * 255,
    "[red]=cmd()|' /C calc'!A0",
    "\x00",
    " ",
]


def explanation(heat=None, frequencies=80, start_s=3.0, seconds=4.0, noise=0):
    rng = np.random.default_rng(0)
    frames = round(100 * seconds) + 1
    if heat is None:
        heat = np.zeros((frequencies or 1, frames), np.float32)
        heat[(frequencies or 1) * 3 // 4, 100:140] = 1.0
        heat = np.maximum(heat, noise * rng.random(heat.shape, np.float32))
    hz = np.linspace(50, 7800, frequencies).astype(np.float32) if frequencies else None
    times = start_s + np.arange(frames) / 100
    return Explanation(
        "grad-cam" if frequencies else "attention-rollout",
        start_s,
        start_s + seconds,
        heat,
        times,
        hz,
        0.32,
        rng.uniform(-60, 30, (80, frames)).astype(np.float32),
        times,
        np.linspace(40, 7700, 80).astype(np.float32),
    )


@pytest.mark.parametrize("frequencies", [80, 256, 0])
@pytest.mark.parametrize("noise", [0, 1])
def test_a_picture_for_a_report_is_small_even_of_noise(frequencies, noise):
    data = png_bytes(explanation(frequencies=frequencies, noise=noise))
    assert 5_000 < len(data) <= MOST_BYTES
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "PNG"
        assert picture.size == (640, 340)
    assert png_bytes(explanation(frequencies=frequencies, noise=noise)) == data


@pytest.mark.parametrize("width", [320, 1000])
def test_the_width_is_what_was_asked_for(width):
    with Image.open(io.BytesIO(png_bytes(explanation(), width))) as picture:
        assert picture.width == width
        assert picture.height == pytest.approx(width * 340 / 640, abs=1)


@pytest.mark.parametrize("frequencies", [80, 0])
def test_the_heat_is_where_it_was(frequencies):
    def orange(heat):
        given = replace(explanation(frequencies=frequencies), heat=heat)
        with Image.open(io.BytesIO(png_bytes(given))) as picture:
            pixels = np.asarray(picture.convert("RGB")).astype(int)
        # Within the axes: left of the key, right of the labels.
        return np.argwhere((pixels[:, :500, 0] - pixels[:, :500, 2]) > 60).mean(0)

    early = np.zeros((frequencies or 1, 401), np.float32)
    early[-20:, 40:80] = 1.0
    late = np.zeros_like(early)
    late[-20:, 320:360] = 1.0
    assert orange(late)[1] - orange(early)[1] > 200
    if frequencies:
        low = np.zeros_like(early)
        low[:8, 40:80] = 1.0
        assert orange(low)[0] - orange(early)[0] > 100  # rows are counted from the top


@pytest.mark.parametrize("title", HOSTILE)
@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_title_may_hold_anything(title, suffix, tmp_path):
    path = tmp_path / f"picture{suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a glyph that the font lacks would warn
        save(explanation(), path, title)
    data = path.read_bytes()
    assert len(data) > 5_000
    if suffix == ".svg":
        assert b"<script" not in data
        assert len(data) < 500_000  # the cells are one picture, not a path each


def test_a_picture_is_the_same_each_time(tmp_path):
    for name in ("one", "two"):
        save(explanation(), tmp_path / f"{name}.png", "a title")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]


def test_captions():
    assert caption(explanation()) == (
        "Grad-CAM, 3.0 to 7.0 s: what speaks most for a spoof is at 4.0 s around 5900 Hz (to within 0.32 s at best)."
    )
    late = explanation(frequencies=0, start_s=3725.0)
    assert caption(late) == (
        "Attention rollout, 1:02:05.0 to 1:02:09.0: what speaks most for a spoof is at 1:02:06.0 "
        "(to within 0.32 s at best)."
    )
    faint = replace(late, heat=late.heat / 5)
    assert caption(faint).endswith("at best), 20% as strong as what speaks most for bona fide.")
    even = replace(late, heat=np.full_like(late.heat, 0.9))
    assert "lies evenly over the whole stretch, 90% as strong" in caption(even)
    assert caption(replace(late, heat=np.zeros_like(late.heat))) == (
        "Attention rollout, 1:02:05.0 to 1:02:09.0: nothing stands out as a sign of a spoof."
    )
    assert caption(replace(late, method="theirs")).startswith("theirs, ")
