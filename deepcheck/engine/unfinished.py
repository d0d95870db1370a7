"""An unfinished run goes on only with the settings that it began with."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepcheck.config import TrainConfig, to_dict
from deepcheck.errors import ConfigError
from deepcheck.files import write_atomically

_INDIFFERENT = ("save_minutes", "description", "data.workers", "data.cache_gb", "calibration.")


def differences(old: Mapping[str, Any], new: Mapping[str, Any], where: str = "") -> list[str]:
    """Settings that decide the weights and are not the same."""
    changed = []
    for key in new.keys() | old.keys():
        one, other = old.get(key), new.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            changed += differences(one, other, f"{where}{key}.")
        elif one != other and not (where + key).startswith(_INDIFFERENT):
            changed.append(where + key)
    return sorted(changed)


def require_same(old: Mapping[str, Any], new: Mapping[str, Any], what: str) -> None:
    """`ConfigError` that names the settings of the unfinished run `what` which are not the same.

    Groups of settings that `old` does not have, as they did not exist when it was written down, had their defaults.
    """
    changed = differences(to_dict(TrainConfig()) | dict(old), new)
    if changed:
        raise ConfigError(
            f"The unfinished {what} has other settings: {', '.join(changed)}.",
            "Start it again with --fresh, or choose another --name.",
        )


def begin(place: Path, settings: Mapping[str, Any], what: str) -> None:
    """Writes the settings down at `place`; `ConfigError` if a run began there with others."""
    if place.is_file():
        require_same(json.loads(place.read_text(encoding="utf-8")), settings, what)
    write_atomically(place, json.dumps(settings))
