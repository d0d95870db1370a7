"""A short run of the campaign, and that it would notice a promise that is not kept."""

import random
import sys

import pytest

from deepcheck.audio.decode import read

from . import audio
from .audio import run
from .mutations import MUTATIONS
from .oddities import invalid, silence, streams, valid
from .recordings import KINDS, honest
from .tally import Tally, table


@pytest.fixture(scope="module")
def tried(tmp_path_factory) -> tuple[Tally, list[str]]:
    """The whole way with a few of each sort: what has to be scored, what must not be, what may be either."""
    folder, chance = tmp_path_factory.mktemp("audio"), random.Random(3)

    def some(good, url, _):
        yield from ((name, data, True) for name, data in chance.sample(list(valid()), 8))
        yield from ((f"playlist-{name}", data, False) for name, data in chance.sample(list(invalid(good, url)), 12))
        bases = sorted(honest().items())
        for number, mutation in enumerate(MUTATIONS * 3):
            (ending, *kind), data = chance.choice(bases)
            yield f"{number}-{'-'.join(kind)}.{ending}", mutation(data, chance.choice(bases)[1], chance), None

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(audio, "_cases", some)
        return run(folder, 59, 3), [path.name for path in (folder / "batch 0").iterdir()]


def test_hostile_audio_costs_nothing_but_itself(tried):
    tally, names = tried
    assert tally.broken == []
    assert (tally.cases, tally.crashes, tally.hangs, tally.lost, tally.network) == (59, 0, 0, 0, 0)
    assert len(names) == 59 + 5
    assert 100 < tally.peak_mb < audio.PEAK_MB
    assert tally.kept


def test_what_is_lost_is_noticed(tmp_path, monkeypatch):
    """Held against a report that lacks a good file, follows a playlist, and gives one reason and one score wrong."""
    rows = {
        "0-good.wav": {"status": "scored", "llr": 1.0, "reason": None},
        "211-good.wav": {"status": "unreadable", "llr": None, "reason": "the file is empty"},
        "422-good.wav": {"status": "scored", "llr": 1.5, "reason": None},
        "844-good.wav": {"status": "scored", "llr": 1.0, "reason": None},
        "list.wav": {"status": "scored", "llr": 1.0, "reason": None},
        "odd.wav": {"status": "unreadable", "llr": None, "reason": None},
    }
    (tmp_path / "good.wav").touch()
    told = [{"path": str(tmp_path / "x" / name), **row} for name, row in rows.items()]
    monkeypatch.setattr(audio, "_scanned", lambda *_: told)
    tally = Tally("audio")
    audio._try(tmp_path / "x", [("list.wav", b"", False), ("odd.wav", b"", None)], tmp_path, 1.0, tally)
    assert tally.lost == 2  # 211 is not scored, 633 has no row
    assert len(tally.broken) == 6  # with 422, the list, the missing reason, and that 211 has another score
    assert not tally.kept
    assert table([tally]).splitlines()[1].split()[:5] == ["audio", "2", "0", "0", "2"]


def test_a_scan_that_breaks_down_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    tally = Tally("audio")
    assert audio._scanned(tmp_path, tmp_path / "good.wav", tmp_path / "model", tally) is None
    assert (tally.crashes, tally.hangs) == (1, 0)


def test_the_seed_decides_and_every_container_is_there():
    first, again, other = (
        [mutation(data, data, random.Random(seed)) for mutation in MUTATIONS for data in list(honest().values())[:3]]
        for seed in (1, 1, 2)
    )
    assert first == again != other
    assert {container for _, container, _ in honest()} >= {
        "wav", "w64", "flac", "mp3", "ogg", "aiff", "caf", "au", "ipod", "mp4", "mov", "adts", "webm", "matroska",
        "avi", "flv", "mpeg", "mpegts",
    }  # fmt: skip
    assert len(honest()) >= len(KINDS) - 3


def test_strange_files_are_what_they_claim(tmp_path):
    assert streams(10_000).count(b"trak") == 10_000
    path = tmp_path / "minute.flac"
    path.write_bytes(silence(60.0, 0.0))
    assert path.stat().st_size < 250
    assert len(read(path)) == 8 * 65_535 * 2  # at 8 kHz eight blocks, the last of them whole
    assert len({name for name, _ in valid()}) == len(list(valid())) > 75
