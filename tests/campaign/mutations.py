"""Ways to damage a file, each a function (data, another file, random numbers) -> data."""

import random
import struct
from collections.abc import Callable

Mutation = Callable[[bytes, bytes, random.Random], bytes]

_EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_HEAD = 512  # bytes in which most headers lie


def flip(data: bytes, _: bytes, chance: random.Random) -> bytes:
    """Some bits anywhere."""
    return _flipped(data, len(data), chance)


def flip_head(data: bytes, _: bytes, chance: random.Random) -> bytes:
    """Some bits of the header."""
    return _flipped(data, min(_HEAD, len(data)), chance)


def truncate(data: bytes, _: bytes, chance: random.Random) -> bytes:
    """The beginning alone."""
    return data[: chance.randrange(len(data))]


def behead(data: bytes, _: bytes, chance: random.Random) -> bytes:
    """The end alone."""
    return data[chance.randrange(1, len(data)) :]


def lie(data: bytes, _: bytes, chance: random.Random) -> bytes:
    """Extreme numbers in the header: lengths, rates, counts, offsets, as they fall."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        form = chance.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
        size = struct.calcsize(form)
        place = chance.randrange(max(1, min(_HEAD, len(data)) - size))
        number = chance.choice(_EXTREMES) & ((1 << 8 * size) - 1)
        changed[place : place + size] = struct.pack(form, number)
    return bytes(changed)


def lie_at_the_end(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """The same in the last part, where some containers have their index."""
    cut = max(0, len(data) - 2 * _HEAD)
    return data[:cut] + lie(data[cut:], other, chance)


def drop(data: bytes, _: bytes, chance: random.Random) -> bytes:
    """A stretch is missing."""
    start, end = _stretch(data, chance)
    return data[:start] + data[end:]


def repeat(data: bytes, _: bytes, chance: random.Random) -> bytes:
    """A stretch comes many times."""
    start, end = _stretch(data, chance)
    return data[:start] + data[start:end] * chance.randint(2, 20) + data[end:]


def blank(data: bytes, _: bytes, chance: random.Random) -> bytes:
    """A stretch is all zeros or all ones."""
    start, end = _stretch(data, chance)
    return data[:start] + bytes([chance.choice((0, 255))]) * (end - start) + data[end:]


def scramble(data: bytes, _: bytes, chance: random.Random) -> bytes:
    """A stretch is noise."""
    start, end = _stretch(data, chance)
    return data[:start] + chance.randbytes(end - start) + data[end:]


def wrong_head(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """The header of another file."""
    size = chance.randint(4, _HEAD)
    return other[:size] + data[size:]


def nested(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """A file within another."""
    place = chance.randrange(len(other))
    return other[:place] + data + other[place:]


def swapped(data: bytes, _: bytes, chance: random.Random) -> bytes:
    """Two stretches in each other's place."""
    a, b, c = sorted(chance.randrange(len(data)) for _ in range(3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


MUTATIONS: tuple[Mutation, ...] = (
    flip,
    flip_head,
    truncate,
    behead,
    lie,
    lie_at_the_end,
    drop,
    repeat,
    blank,
    scramble,
    wrong_head,
    nested,
    swapped,
)


def _flipped(data: bytes, limit: int, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 2, 8, 64))):
        changed[chance.randrange(limit)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _stretch(data: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(data))
    return start, min(len(data), start + chance.choice((1, 4, 64, 1_000, 10_000)))
