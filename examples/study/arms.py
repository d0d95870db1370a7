"""What is to be run: the families, arms and seeds of study.yaml as data."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepcheck.errors import ConfigError
from deepcheck.registry import did_you_mean
from deepcheck.yaml_text import parse_yaml

STUDY = Path(__file__).with_name("study.yaml")
BASELINE = "baseline"
CONTROL = "control"


@dataclass(frozen=True)
class Run:
    """One training: `seed` gives the first weights, the recordings held out, and the order of the others."""

    family: str
    arm: str
    seed: int

    @property
    def name(self) -> str:
        """That of its files."""
        words = f"{self.family} {self.arm} {self.seed}".replace(",", "").split()
        return "-".join(words)


@dataclass(frozen=True)
class Study:
    """The document, and what it means."""

    document: Mapping[str, Any]
    folder: Path

    def runs(self) -> Iterator[Run]:
        """All runs, those first that say most: arm by arm with the first seed, then with the next."""
        for family in self.document["families"]:
            for seed in self.seeds(family):
                for arm in self.arms(family):
                    if seed in self.seeds(family, arm) and self.missing(family, arm) is None:
                        yield Run(family, arm, seed)

    def seeds(self, family: str, arm: str = BASELINE) -> list[int]:
        """Those that an arm of a family is run with."""
        seeds: list[int] = self.document["families"][family].get("seeds", self.document["seeds"])
        few = self.document["layers"]["seeds"]
        return [seed for seed in seeds if seed in few] if arm in self.sweep(family) else seeds

    def arms(self, family: str) -> list[str]:
        """The names of the arms, one for each layer of a sweep among them."""
        return [*self.document["arms"], *self.sweep(family)]

    def sweep(self, family: str) -> dict[str, str]:
        """The arms of the sweep over layers, and the layer of each."""
        arm, layers = self.document["layers"]["arm"], self.document["families"][family]["layers"]
        return {f"{arm}, layer {layer}": str(layer) for layer in layers}

    def missing(self, family: str, arm: str) -> str | None:
        """Why a family has no such arm; None if it has."""
        own = self.document["families"][family]
        if "only" in own and arm not in own["only"]["arms"] and arm not in self.sweep(family):
            why: str = own["only"]["why"]
            return why
        without: Mapping[str, str] = own.get("without", {})
        return without.get(self.document["arms"].get(arm, {}).get("needs", arm))

    def arm(self, run: Run) -> Mapping[str, Any]:
        """What `run` does after the first third: `stages`, and whether it is `born` wide or goes on in `rounds`."""
        sweep = self.sweep(run.family)
        if run.arm not in sweep:
            arm: Mapping[str, Any] = self.document["arms"][run.arm]
            return arm
        stages = self.document["arms"][self.document["layers"]["arm"]]["stages"]
        own = [{**stage, "layer": sweep[run.arm]} if stage["do"] == "grow" else stage for stage in stages]
        return {"stages": own}

    def settings(self, family: str) -> dict[str, Any]:
        """Those of a training of the family."""
        own, shared = self.document["families"][family], self.document["all"]
        merged: dict[str, Any] = {"detector": own["detector"], "lora": own.get("lora", {})}
        for key, value in shared.items():
            merged[key] = {**value, **own.get(key, {})} if isinstance(value, Mapping) else own.get(key, value)
        start = merged["detector"].get("pretrained")
        if start:
            merged["detector"] = {**merged["detector"], "pretrained": str(self.folder / start)}
        return merged

    def chosen(self, families: list[str], arms: list[str], seeds: list[int]) -> list[Run]:
        """The runs of these families, arms and seeds, of all where none are named; `ConfigError` for unknown ones."""
        for name in families:
            if name not in self.document["families"]:
                raise ConfigError(f'There is no family "{name}".', did_you_mean(name, [*self.document["families"]]))
        known = {arm for family in families or self.document["families"] for arm in self.arms(family)}
        for name in arms:
            if name not in known:
                raise ConfigError(f'There is no arm "{name}".', did_you_mean(name, sorted(known)))
        return [
            run
            for run in self.runs()
            if (not families or run.family in families)
            and (not arms or run.arm in arms)
            and (not seeds or run.seed in seeds)
        ]


def read_study(path: Path = STUDY) -> Study:
    """The study that the YAML file describes."""
    return Study(parse_yaml(path.read_text(encoding="utf-8"), str(path)), path.parent)
