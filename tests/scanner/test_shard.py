from pathlib import Path

import pytest

from deepcheck.errors import ConfigError
from deepcheck.scanner.discover import Found
from deepcheck.scanner.shard import Shard

FILES = tuple(Path(f"corpus/speaker{i // 100}/{i:04d}.wav") for i in range(1000))
LOCKED = tuple((Path(f"corpus/locked{i}"), "no permission") for i in range(5))


@pytest.mark.parametrize("count", [1, 2, 3, 8, 200])
def test_parts_hold_everything_exactly_once(count):
    parts = [Shard(i + 1, count).of(Found(FILES, LOCKED)) for i in range(count)]
    assert sorted(path for part in parts for path in part.files) == list(FILES)
    assert sorted(row for part in parts for row in part.unreadable) == list(LOCKED)
    for part in parts:
        assert list(part.files) == sorted(part.files)  # in the order in which they were found


def test_parts_are_about_as_large():
    sizes = [len(Shard(i + 1, 8).of(Found(FILES, ())).files) for i in range(8)]
    assert min(sizes) > 90
    assert max(sizes) < 160


def test_a_file_stays_in_its_part_when_others_come():
    some = set(Shard(2, 4).of(Found(FILES[::2], ())).files)
    assert some == set(Shard(2, 4).of(Found(FILES, ())).files) & set(FILES[::2])


def test_parts_are_the_same_everywhere():
    # Computers share a scan only if this is so in every process and every version.
    assert [path.name for path in Shard(1, 100).of(Found(FILES[:300], ())).files] == ["0015.wav", "0292.wav"]


def test_parse():
    assert Shard.parse("2/8") == Shard(2, 8)
    assert Shard.parse("1/1") == Shard(1, 1)


@pytest.mark.parametrize(
    "text", ["0/8", "9/8", "1/0", "8", "1/", "/8", "a/b", "-1/8", "1.5/2", "1/8/2", "", " 1/8", "1/8\n"]
)
def test_what_is_no_part(text):
    with pytest.raises(ConfigError, match="is no part of a scan"):
        Shard.parse(text)
