"""What a finished training over folds has left: the models of its folds, the final one, and how they were made."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deepcheck import store
from deepcheck.checkpoint import Checkpoint, load_checkpoint
from deepcheck.engine.fold_check import checks_of
from deepcheck.engine.folds import SCORES, SETTINGS
from deepcheck.engine.soup import mean_of
from deepcheck.errors import ConfigError


@dataclass(frozen=True, eq=False)
class FoldRun:
    """`models` are those of the folds, in their order; `final` is the one that was trained on all recordings, with what
    was measured of it as far as the store still has it. `settings` are those of `folds.SETTINGS`."""

    name: str
    settings: Mapping[str, Any]
    models: tuple[Checkpoint, ...]
    final: Checkpoint

    @property
    def divided(self) -> dict[str, Any]:
        """All that decides which recordings are in which fold, by the name of the setting."""
        own = self.settings["folds"]
        return {
            "recordings": self.settings["recordings"],
            "folds.count": own["count"],
            "folds.by": own["by"],
            "seed": self.settings["seed"],
            "data.copies": self.settings["data"].get("copies", True),
        }


def read_run(folder: Path) -> FoldRun:
    """The run in a folder, `store.run_dir(name)` or one laid out alike; `ConfigError` for what is none, or not done."""
    folder = folder.expanduser().resolve()
    try:
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        count, how = int(settings["folds"]["count"]), settings["folds"]["final"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{folder} holds no training over folds.", "Give the name of one (deepcheck train --folds), or its folder."
        ) from None
    places = [folder / f"fold-{number}{store.SUFFIX}" for number in range(1, count + 1)]
    if not all(place.is_file() for place in (*places, folder / SCORES)):
        raise ConfigError(f"The training over folds in {folder} is not finished.", "Its command lets it go on.")
    models = tuple(map(load_checkpoint, places))
    return FoldRun(folder.name, settings, models, _final(folder, how, models))


def _final(folder: Path, how: str, models: Sequence[Checkpoint]) -> Checkpoint:
    stored = folder.parent.parent / "models" / f"{folder.name}{store.SUFFIX}"
    if stored.is_file():
        found = load_checkpoint(stored)
        # One that was calibrated or changed since says something else of the folds, or is something else.
        if checks_of(found.card) and found.card.history[-1].get("stage") == "train":
            return found
    if how == "mean":
        return replace(models[0], tensors=mean_of(models))
    left = folder / f"final{store.SUFFIX}"
    if left.is_file():
        return load_checkpoint(left)
    raise ConfigError(
        f"The final model of the training over folds in {folder} is neither there nor at {stored}, as it was made.",
        f"Put it back, or into the folder as {left.name}.",
    )
