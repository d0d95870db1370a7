import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from deepcheck.audio.windows import Window, cut, tile


def ramp(length: int) -> np.ndarray:
    """Samples that know their position."""
    return np.arange(length, dtype=np.float32)


def positions(length: int, size: int = 100, hop: int = 50) -> list[tuple[int, int]]:
    return [(window.start, window.end) for window in cut([ramp(length)], size, hop)]


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, []),
        (1, [(0, 1)]),
        (99, [(0, 99)]),
        (100, [(0, 100)]),
        (111, [(0, 100)]),  # a rest of 11 is less than a quarter of the hop (12)
        (112, [(0, 100), (12, 112)]),
        (149, [(0, 100), (49, 149)]),
        (150, [(0, 100), (50, 150)]),
        (161, [(0, 100), (50, 150)]),
        (162, [(0, 100), (50, 150), (62, 162)]),
        (200, [(0, 100), (50, 150), (100, 200)]),
        (255, [(0, 100), (50, 150), (100, 200), (150, 250)]),
        (299, [(0, 100), (50, 150), (100, 200), (150, 250), (199, 299)]),
    ],
)
def test_positions_are_exact(length, expected):
    assert positions(length) == expected


@pytest.mark.parametrize("hop", [1, 2, 3])
def test_a_tiny_hop_leaves_out_nothing_it_need_not(hop):
    assert positions(10, size=8, hop=hop)[-1] == (2, 10)


def test_windows_side_by_side():
    assert positions(400, hop=100) == [(0, 100), (100, 200), (200, 300), (300, 400)]
    assert positions(430, hop=100)[-1] == (330, 430)
    assert positions(420, hop=100)[-1] == (300, 400)


@pytest.mark.parametrize("length", [100, 149, 162, 1_234])
def test_samples_are_those_of_the_stretch(length):
    for window in cut([ramp(length)], 100, 50):
        assert window.end - window.start == 100
        np.testing.assert_array_equal(window.samples, ramp(length)[window.start : window.end])


@pytest.mark.parametrize("length", [1, 30, 50, 99])
def test_a_short_recording_is_repeated_to_the_full_length(length):
    [window] = cut([ramp(length)], 100, 50)
    assert (window.start, window.end) == (0, length)
    np.testing.assert_array_equal(window.samples, ramp(100) % length)


def test_no_sound_no_window():
    assert list(cut([], 100, 50)) == []
    assert list(cut([np.zeros(0, np.float32)], 100, 50)) == []


def assert_same(found: list[Window], expected: list[Window]) -> None:
    assert [window[:2] for window in found] == [window[:2] for window in expected]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.samples, theirs.samples)


def test_result_does_not_depend_on_how_the_recording_comes_in():
    rng = np.random.default_rng(0)
    for _ in range(200):
        size, length = int(rng.integers(4, 120)), int(rng.integers(0, 700))
        hop = int(rng.integers(1, size + 1))
        whole = list(cut([ramp(length)], size, hop))
        edges = np.sort(rng.integers(0, length + 1, rng.integers(0, 30)))  # equal edges make empty blocks
        assert_same(list(cut(np.split(ramp(length), edges), size, hop)), whole)
        assert_same(list(cut(([sample] for sample in ramp(min(length, 150))), size, hop)), list(
            cut([ramp(min(length, 150))], size, hop)
        ))  # fmt: skip


def test_every_sample_but_a_short_rest_is_in_a_window():
    rng = np.random.default_rng(1)
    for _ in range(200):
        size, length = int(rng.integers(4, 120)), int(rng.integers(1, 700))
        hop = int(rng.integers(1, size + 1))
        windows = list(cut([ramp(length)], size, hop))
        heard = np.zeros(length, bool)
        for window in windows:
            heard[window.start : window.end] = True
        missing = np.flatnonzero(~heard)
        assert len(missing) < max(1, hop // 4)
        assert all(missing >= windows[-1].end)


def test_windows_share_no_memory_with_each_other_or_the_source():
    source = ramp(300)
    windows = list(cut([source], 100, 50))
    windows[0].samples[:] = -1
    np.testing.assert_array_equal(windows[1].samples, ramp(300)[50:150])
    np.testing.assert_array_equal(source, ramp(300))


def test_windows_come_as_soon_as_they_are_full():
    taken = 0

    def blocks() -> Iterator[np.ndarray]:
        nonlocal taken
        while True:
            taken += 1
            yield np.zeros(30, np.float32)

    endless = cut(blocks(), 100, 50)
    assert next(endless).end == 100
    assert taken == 4
    assert next(endless).end == 150
    assert taken == 5


def test_memory_holds_a_window_and_not_the_recording():
    size, hop, block = 16_000, 8_000, 4_000

    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in cut((np.zeros(block, np.float32) for _ in range(count)), size, hop):
            pass
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    assert peak(2_000) < 6 * 4 * (size + block)  # of 32 MB that pass through
    assert peak(2_000) < 1.2 * peak(50)


@pytest.mark.parametrize(("length", "size"), [(1, 5), (3, 7), (7, 7), (4, 8)])
def test_tile(length, size):
    tiled = tile(ramp(length), size)
    assert tiled.dtype == np.float32
    np.testing.assert_array_equal(tiled, ramp(size) % length)


def test_tile_cuts_what_is_too_long():
    np.testing.assert_array_equal(tile(ramp(9), 4), ramp(4))
