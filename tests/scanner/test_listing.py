import io
import os
from pathlib import Path

import pytest

from deepcheck.errors import DataError
from deepcheck.scanner.listing import read_list


def paths(data: bytes, null: bool = False) -> list[str]:
    return [str(path) for path in read_list(io.BytesIO(data), "list.txt", null)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a.wav\nb/c.mp3\n", ["a.wav", "b/c.mp3"]),
        (b"a.wav\nb.wav", ["a.wav", "b.wav"]),
        (b"\n\na.wav\n  \n\nb.wav\n", ["a.wav", "b.wav"]),
        (b"a.wav\r\nb.wav\r\n", ["a.wav", "b.wav"]),
        (b"\xef\xbb\xbfa.wav\n", ["a.wav"]),
        (b" leading and trailing .wav \n#1 hit.wav\n", [" leading and trailing .wav ", "#1 hit.wav"]),
        (b"caf\xe9.wav\n", [os.fsdecode(b"caf\xe9.wav")]),
        ("音声.wav\n".encode(), ["音声.wav"]),
        (b"a.wav\na.wav\n", ["a.wav", "a.wav"]),
    ],
)
def test_lines(data, expected):
    assert paths(data) == expected


def test_separated_by_nul_any_name_survives():
    assert paths(b"new\nline.wav\0cr\r\0plain.wav\0", null=True) == ["new\nline.wav", "cr\r", "plain.wav"]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"  \n"])
def test_an_empty_list(data):
    with pytest.raises(DataError, match=r"list\.txt names no file\."):
        paths(data)


def test_a_list_separated_by_nul_without_saying_so():
    with pytest.raises(DataError) as caught:
        paths(b"a.wav\0b.wav\0")
    assert "--null" in caught.value.hint


def test_paths_are_paths():
    assert read_list(io.BytesIO(b"a/b.wav"), "x") == [Path("a/b.wav")]
