import os
from pathlib import Path

import pytest

from deepcheck.files import exact
from deepcheck.reports.text import cell, path_cell, plain, seconds, visible


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0.0, "0.0"),
        (0.04, "0.0"),
        (4.2, "4.2"),
        (9.96, "10.0"),
        (59.94, "59.9"),
        (59.96, "1:00.0"),
        (60.0, "1:00.0"),
        (64.2, "1:04.2"),
        (69.96, "1:10.0"),
        (119.96, "2:00.0"),
        (754.5, "12:34.5"),
        (3599.94, "59:59.9"),
        (3599.96, "1:00:00"),
        (3600.0, "1:00:00"),
        (3664.0, "1:01:04"),
        (7199.96, "2:00:00"),
        (86_399.0, "23:59:59"),
        (360_000.0, "100:00:00"),
    ],
)
def test_seconds(value, text):
    assert seconds(value) == text


def test_no_seconds_are_ever_sixty():
    for tenths in range(0, 80_000, 7):
        parts = seconds(tenths / 10 + 0.049).split(":")
        assert all(float(part) < 60 for part in parts[1:])
        assert len(parts) > 1 or float(parts[0]) < 60


NAMES = [
    ("plain.wav", "plain.wav", "plain.wav"),
    ("naïve 音声 🎙.wav", "naïve 音声 🎙.wav", "naïve 音声 🎙.wav"),
    ("new\nline\r.wav", "new\nline\r.wav", "new\\nline\\r.wav"),
    ("\x1b[31mred\x07.wav", "\x1b[31mred\x07.wav", "\\x1b[31mred\\x07.wav"),
    ("\x9b31mred.wav", "\x9b31mred.wav", "\\x9b31mred.wav"),
    ("gnp\u202evaw.exe", "gnp\u202evaw.exe", "gnp\\u202evaw.exe"),
    ("zero\u200bwidth.wav", "zero\u200bwidth.wav", "zero\\u200bwidth.wav"),
    ("line\u2028break.wav", "line\u2028break.wav", "line\\u2028break.wav"),
    (os.fsdecode(b"latin\xe9.wav"), "latin\\xe9.wav", "latin\\xe9.wav"),
    ("[red]markup[/red].wav", "[red]markup[/red].wav", "[red]markup[/red].wav"),
]


@pytest.mark.parametrize(("name", "exactly", "visibly"), NAMES, ids=[ascii(name) for name, _, _ in NAMES])
def test_names(name, exactly, visibly):
    assert exact(Path(name)) == exactly
    assert visible(Path(name)) == visibly
    assert visible(Path(name)).isprintable()
    exact(Path(name)).encode("utf-8")  # any stream takes it


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"], ids=ascii)
def test_no_cell_is_a_formula(start):
    assert cell(f"{start}1") == f"'{start}1"
    assert path_cell(f"{start}1") == f"./{start}1"


@pytest.mark.parametrize("text", ["", "a", " =1", "a=1", "1-2", "'=1", "/a", "./a", "音声"])
def test_an_ordinary_cell_is_left_alone(text):
    assert cell(text) == path_cell(text) == text


def test_plain():
    assert plain("naïve 音声 🎙") == "naïve 音声 🎙"
    assert plain("a\nb\x1b\u202e\udce9") == "a\\nb\\x1b\\u202e\\udce9"
