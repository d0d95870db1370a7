"""Pairs through the same channel: a genuine clip and a synthetic one in one room, codec, band or noise."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from clips import below_full_scale, format_of
from jobs import Job, Made
from rows import Row, clip_path

from deepcheck.audio.conditions import Condition, parse_conditions
from deepcheck.audio.decode import read
from deepcheck.errors import ConfigError
from deepcheck.seeding import seed_of

Draw = Callable[[np.random.Generator], str]


@dataclass(frozen=True)
class Channel:
    """A row of the table; `draw` gives the text of a condition, `again` is whether the codec of the file adds to it."""

    name: str
    draw: Draw
    again: bool = False


def _one_of(name: str, *values: str) -> Draw:
    return lambda rng: f"{name}:{rng.choice(values)}"


def _between(name: str, unit: str, low: float, high: float) -> Draw:
    return lambda rng: f"{name}:{rng.uniform(low, high):.2f}{unit}"


CHANNELS: tuple[Channel, ...] = (
    Channel("clean", lambda rng: "clean", again=True),  # nothing but written once more, as every copy is
    Channel("opus", _one_of("opus", "12k", "16k", "24k")),
    Channel("mp3", _one_of("mp3", "32k", "64k")),
    Channel("aac", _one_of("aac", "32k", "64k")),
    Channel("amr", lambda rng: "amr"),
    Channel("telephone", lambda rng: "telephone"),
    Channel("noise", _between("noise", "dB", 5, 30)),
    Channel("room", _between("room", "s", 0.15, 0.9)),
    Channel("resample", _between("resample", "k", 6, 15)),
)


def available(say: Callable[[str], None]) -> list[Channel]:
    """The channels that this machine can do."""
    found = []
    for channel in CHANNELS:
        try:
            parse_conditions(channel.draw(np.random.default_rng(0)))
        except ConfigError as error:
            say(f"Left out: the channel {channel.name}: {error}")
            continue
        found.append(channel)
    return found


@dataclass(frozen=True)
class Clip:
    """A row, and the folder that its path starts at."""

    row: Row
    folder: Path

    @property
    def path(self) -> Path:
        """Where the sound is."""
        return clip_path(self.folder, self.row)


def channel_jobs(
    clips: Sequence[Clip], channels: Sequence[Channel], *, pairs: int, ending: str, seed: int
) -> Iterator[Job]:
    """Two jobs for each of `pairs` genuine clips: itself, and a copy of it, else a spoof of its source."""
    copies: dict[str, list[Clip]] = {}
    companions: dict[str, list[Clip]] = {}
    for clip in sorted((c for c in clips if c.row["label"] == "spoof"), key=lambda c: c.row["path"]):
        if clip.row["pair_of"]:
            copies.setdefault(clip.row["pair_of"], []).append(clip)
        companions.setdefault(clip.row["source"], []).append(clip)
    genuine = [c for c in clips if c.row["label"] == "bonafide"]
    genuine.sort(key=lambda c: seed_of("channel", seed, c.row["id"]))
    with_partners = [(c, copies.get(c.row["id"]) or companions.get(c.row["source"]) or []) for c in genuine]
    for clip, partners in [(c, p) for c, p in with_partners if p][:pairs]:
        rng = np.random.default_rng(seed_of("channel of", seed, clip.row["id"]))
        channel = channels[int(rng.integers(len(channels)))]
        [condition] = parse_conditions(channel.draw(rng))
        partner = partners[int(rng.integers(len(partners)))]
        form = format_of(clip.path, ending)  # of both: the genuine clip's
        first = _job(clip, clip, condition, channel.again, form, "", seed)
        yield first
        yield _job(partner, clip, condition, channel.again, form, Path(first.path).stem, seed)


def _job(clip: Clip, of: Clip, condition: Condition, again: bool, form: str, pair_of: str, seed: int) -> Job:
    key = ("channel", condition.name, of.row["id"], clip.row["id"], seed)

    def sound(attempt: int) -> Made:
        # The seed of both is the genuine clip's: the same noise, the same room.
        return below_full_scale(condition(read(clip.path), of.row["id"])), {}

    return Job(key, clip.row | {"pair_of": pair_of}, form, sound, again=again)
