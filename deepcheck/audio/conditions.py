"""Conditions of a robustness sweep: what may befall a recording between the speaker and whoever checks it.

`parse_conditions("clean,opus:16k,noise:10dB")` gives functions of a waveform. They are the training
augmentations at one fixed strength, so that a sweep and a recipe mean the same thing by the same name.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import soxr

from deepcheck.audio.augment.band_limit import BandLimit
from deepcheck.audio.augment.codec_formats import FORMATS, available, encoder_of
from deepcheck.audio.augment.codec_round_trip import round_trip
from deepcheck.audio.augment.levels import at_rms, rms
from deepcheck.audio.augment.noise import Noise
from deepcheck.audio.augment.room import Room
from deepcheck.audio.augment.silence import Silence
from deepcheck.audio.decode import SAMPLE_RATE, Waveform
from deepcheck.audio.surface import SILENCE_DB
from deepcheck.errors import ConfigError
from deepcheck.registry import did_you_mean
from deepcheck.seeding import seed_of

Change = Callable[[Waveform, np.random.Generator], Waveform]


@dataclass(frozen=True)
class Condition:
    """One condition; `name` is its canonical text with the parameter spelled out, e.g. `opus:16k`.

    Called with a whole recording, float32 (samples,) at 16 kHz, and a seed (the utterance's id will do), it
    gives the recording as it comes out: never empty, and the same for the same seed whatever was called
    before. The seed of `noise:10dB` is that of `noise:20dB`: the same noise, more of it. The root mean square
    stays what it was, so that a sweep over conditions is none over levels; `trim-silence` instead leaves
    every sample that it keeps as it is. Raises `AudioError` if a codec fails on this recording.
    """

    name: str
    change: Change
    keeps_level: bool = True

    def __call__(self, waveform: Waveform, seed: int | str) -> Waveform:
        kind = self.name.partition(":")[0]
        changed = self.change(waveform, np.random.default_rng(seed_of("condition", kind, seed)))
        return at_rms(changed, rms(waveform)) if self.keeps_level else changed


def parse_conditions(text: str) -> list[Condition]:
    """The conditions that a list such as `clean,opus:16k,noise` names, in its order, each once.

    A condition without a parameter has its default. `ConfigError` for a name or parameter that cannot be had,
    also because this machine's FFmpeg lacks the encoder: a sweep must not find that out after an hour.
    """
    found = {one.name: one for part in text.split(",") if part.strip() for one in [_parse(part.strip())]}
    if not found:
        raise ConfigError("The list of conditions is empty.", f"There are: {', '.join(KINDS)}.")
    return list(found.values())


def _parse(text: str) -> Condition:
    name, colon, given = (part.strip() for part in text.lower().partition(":"))
    if name not in KINDS:
        raise ConfigError(f'There is no condition "{name}".', did_you_mean(name, list(KINDS)))
    kind = KINDS[name]
    if kind.parameter is None:
        if colon:
            raise ConfigError(f'The condition "{name}" takes no parameter, and "{text}" has one.', f"Write {name}.")
        return Condition(name, kind.make(), kind.keeps_level)
    value = kind.parameter.parse(name, given) if colon else kind.parameter.default
    return Condition(f"{name}:{kind.parameter.show(value)}", kind.make(value), kind.keeps_level)


@dataclass(frozen=True)
class Parameter:
    """The number after the colon: what it is, the unit that may follow it, its default, and what it may be.

    `allowed` is (lowest, highest), or with `listed` every value there is.
    """

    what: str
    unit: str
    default: float
    allowed: tuple[float, ...]
    listed: bool = False

    def parse(self, condition: str, text: str) -> float:
        """The number in `text`; `ConfigError` says what `condition` takes if there is none or it is not allowed."""
        match = re.fullmatch(rf"([-+]?\d+(?:\.\d+)?)\s*(?:{self.unit.lower()})?", text)
        if match is None:
            raise ConfigError(
                f'The {self.what} of the condition "{condition}" is "{text}", which is no number.',
                f"Write {condition}:{self.show(self.default)}, for example.",
            )
        value = float(match[1])
        if value not in self.allowed if self.listed else not self.allowed[0] <= value <= self.allowed[-1]:
            join = ", " if self.listed else " to "
            raise ConfigError(
                f'The {self.what} of the condition "{condition}" cannot be {self.show(value)}.',
                f"It takes {join.join(map(self.show, self.allowed))}.",
            )
        return value

    def show(self, value: float) -> str:
        """`value` as it is written after the colon."""
        return f"{value:g}{self.unit}"


@dataclass(frozen=True)
class Kind:
    """A row of the table: the parameter, if there is one, and what makes the change from its value."""

    make: Callable[..., Change]
    parameter: Parameter | None = None
    keeps_level: bool = True


def _clean() -> Change:
    return lambda waveform, rng: waveform


def _codec(name: str, default_kbps: float) -> Kind:
    kbps = sorted({rate for rates in FORMATS[name].modes.values() for rate in rates})
    return Kind(partial(_through_codec, name), Parameter("bit rate", "k", default_kbps, tuple(kbps), listed=True))


def _through_codec(name: str, kbps: float) -> Change:
    if not encoder_of(name):
        raise ConfigError(
            f"This build of FFmpeg's libraries has no encoder for {name}.",
            f"Leave that condition out; there are encoders for: {', '.join(available())}.",
        )
    # Of two sample rates with this bit rate the higher one is what an encoder would be fed.
    rate_hz = max(rate_hz for rate_hz, rates in FORMATS[name].modes.items() if kbps in rates)
    return lambda waveform, rng: round_trip(waveform, name, rate_hz, kbps)


def _telephone() -> Change:
    line = BandLimit(
        cutoff_hz=(3400.0, 3400.0),
        methods=("filter",),
        transition=(0.05, 0.05),
        stop_db=(60.0, 60.0),
        low_cut_share=1.0,
        low_cut_hz=(300.0, 300.0),
    )
    laws = [_through_codec(name, 64.0) for name in ("g711-alaw", "g711-ulaw")]  # Europe's and North America's

    def change(waveform: Waveform, rng: np.random.Generator) -> Waveform:
        return laws[rng.integers(len(laws))](line(waveform, rng), rng)

    return change


def _noise(snr_db: float) -> Change:
    return Noise(snr_db=(snr_db, snr_db), kinds=("white", "pink", "brown"))


def _room(rt60_s: float) -> Change:
    return Room(rt60_s=(rt60_s, rt60_s), drr_db=(0.0, 6.0))  # a metre or two from the microphone


def _trim_silence() -> Change:
    """By energy, not by a voice activity detector: a network may well miss more of synthetic speech than of genuine."""
    return Silence(actions=("trim",), threshold_db=SILENCE_DB, margin_s=(0.0, 0.0))


def _resample(rate_khz: float) -> Change:
    return BandLimit(cutoff_hz=(500.0 * rate_khz, 500.0 * rate_khz), methods=("resample",), low_cut_share=0.0)


def _speed(factor: float) -> Change:
    return lambda waveform, rng: soxr.resample(waveform, SAMPLE_RATE * factor, SAMPLE_RATE)


KINDS: Mapping[str, Kind] = {
    "clean": Kind(_clean, keeps_level=False),
    "opus": _codec("opus", 16.0),
    "mp3": _codec("mp3", 32.0),
    "aac": _codec("aac", 32.0),
    "amr": _codec("amr-nb", 12.2),
    "g711": Kind(partial(_through_codec, "g711-alaw", 64.0)),
    "telephone": Kind(_telephone),
    "noise": Kind(_noise, Parameter("signal-to-noise ratio", "dB", 10.0, (-20.0, 60.0))),
    "room": Kind(_room, Parameter("reverberation time", "s", 0.5, (0.05, 10.0))),
    "trim-silence": Kind(_trim_silence, keeps_level=False),
    "resample": Kind(_resample, Parameter("sample rate", "k", 8.0, (1.0, 15.0))),
    "speed": Kind(_speed, Parameter("factor", "", 1.1, (0.5, 2.0))),
}
"""What there is, by name.

opus, mp3, aac, amr: through the codec and back, parameter kbit/s. g711: at 8 kHz in 8 bits, A-law. telephone:
300 to 3400 Hz, then A-law or mu-law. noise: white, pink or brown, parameter dB below the level of the speech
while somebody speaks. room: a simulated one, parameter seconds in which it falls silent by 60 dB.
trim-silence: no more silence at the ends, by the rule of `surface.Surface`. resample: to a rate of so many
kHz and back. speed: faster by the factor, and higher, as a tape is.
"""
