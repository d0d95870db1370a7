"""Attacks by name: small changes of a recording that are to move its verdict; each in a file of its own.

An attack is a function `(victim: Victim, waveform, towards: int, budget: float, rng) -> waveforms`: candidates,
(samples,) each at 16 kHz, of which the one counts that moves the score of the victim farthest `towards` bona fide (1)
or spoof (-1).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from deepcheck.errors import ConfigError
from deepcheck.registry import Registry, did_you_mean


@dataclass(frozen=True)
class Kind:
    """`function` as a registry has it; `budgets` are those that are taken where none is named, signal-to-noise ratios
    in dB; an attack without a budget has none."""

    function: str
    budgets: tuple[float, ...] = ()


KINDS: Mapping[str, Kind] = {
    "pgd": Kind("deepcheck.engine.attacks.pgd:pgd", (60.0, 50.0, 40.0, 30.0)),
    "codec": Kind("deepcheck.engine.attacks.codec:codec"),
    "noise": Kind("deepcheck.engine.attacks.noise:noise", (30.0, 20.0)),
}
ATTACKS = Registry("attack", {name: kind.function for name, kind in KINDS.items()})
_ALLOWED_DB = (0.0, 90.0)


@dataclass(frozen=True)
class Attack:
    """One attack; `text` is its canonical name, such as `pgd:40dB`, `budget` NaN where it has none."""

    kind: str
    budget: float

    @property
    def text(self) -> str:
        """As it is written on the command line."""
        return self.kind if self.budget != self.budget else f"{self.kind}:{self.budget:g}dB"


def parse_attacks(text: str) -> list[Attack]:
    """The attacks that a list such as `pgd,codec,noise:25dB` names, each once; one without a budget has those of its
    `Kind`. `ConfigError` for a name that there is not, and a budget outside 0 to 90 dB."""
    found = [attack for part in text.split(",") if part.strip() for attack in _parse(part.strip().lower())]
    if not found:
        raise ConfigError("The list of attacks is empty.", f"There are: {', '.join(ATTACKS)}.")
    return list({attack.text: attack for attack in found}.values())


def _parse(text: str) -> list[Attack]:
    name, colon, given = (part.strip() for part in text.partition(":"))
    if name not in ATTACKS:
        raise ConfigError(f'There is no attack "{name}".', did_you_mean(name, ATTACKS.names()))
    budgets = KINDS[name].budgets if name in KINDS else ()
    if not colon:
        return [Attack(name, budget) for budget in budgets or (float("nan"),)]
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:db)?", given)
    if not budgets or match is None or not _ALLOWED_DB[0] <= float(match[1]) <= _ALLOWED_DB[1]:
        takes = "takes a signal-to-noise ratio of 0 to 90 dB" if budgets else "takes none"
        raise ConfigError(f'"{given}" is no budget of the attack "{name}".', f"It {takes}.")
    return [Attack(name, float(match[1]))]
