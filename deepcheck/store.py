"""Where models live: the shipped ones in the package, one's own in the user's data folder."""

import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs
import yaml

from deepcheck.errors import ModelError
from deepcheck.files import sha256, write_atomically
from deepcheck.registry import did_you_mean

DEFAULT = "default"
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Entry:
    """A model that can be named: where its file lies and whether it came with the package."""

    name: str
    path: Path
    shipped: bool


def home() -> Path:
    """`DEEPCHECK_HOME`, else the user's data folder of this platform."""
    own = os.environ.get("DEEPCHECK_HOME")
    return Path(own).expanduser() if own else platformdirs.user_data_path("deepcheck", appauthor=False)


def run_dir(name: str) -> Path:
    """Where the unfinished training of a model keeps its state."""
    return home() / "runs" / checked_name(name)


def checked_name(name: str) -> str:
    """`name`, if a model may be called so; `ModelError` otherwise."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", name):
        raise ModelError(f'"{name}" cannot be the name of a model.', "Use letters, digits and . _ + - (at most 100).")
    return name


def place_of(name: str) -> Path:
    """The file of the user's own model `name`, there or not."""
    if checked_name(name) in shipped():
        raise ModelError(f'"{name}" is the name of a shipped model.', "Choose another --name.")
    return home() / "models" / f"{name}{SUFFIX}"


@cache
def _weights_dir() -> Path:
    package = Path(__file__).parent
    installed = package / "weights"  # put there by the wheel; a checkout has them beside the package
    return installed if installed.is_dir() else package.parent / "weights"


@cache
def shipped() -> dict[str, dict[str, Any]]:
    """The catalogue of the models in the package: name -> its row (file, sha256, licence, figures)."""
    catalogue = _weights_dir() / "catalogue.yaml"
    rows: dict[str, dict[str, Any]] = yaml.safe_load(catalogue.read_text()) if catalogue.is_file() else {}
    return rows


def entries() -> list[Entry]:
    """Every model by name: the shipped ones, then the user's own in alphabetical order."""
    own = sorted((home() / "models").glob(f"*{SUFFIX}"))
    return [
        *(Entry(name, _weights_dir() / row["file"], True) for name, row in shipped().items()),
        *(Entry(path.name.removesuffix(SUFFIX), path, False) for path in own),
    ]


def current() -> str:
    """The name that commands take when none is given."""
    chosen = home() / "current"
    return chosen.read_text().strip() if chosen.is_file() else DEFAULT


def set_current(name: str) -> None:
    """Make `name` the model of commands that name none; `ModelError` if there is no such model."""
    _stored(name)
    write_atomically(home() / "current", f"{name}\n")


def remove(name: str) -> None:
    """Delete one of the user's own models, and its graph; if it was current, the shipped default takes its place."""
    entry = _stored(name)
    if entry.shipped:
        raise ModelError(f'"{name}" came with the package and cannot be removed.')
    graph = place_of_graph(sha256(entry.path))
    entry.path.unlink()
    graph.unlink(missing_ok=True)
    if current() == name:
        (home() / "current").unlink(missing_ok=True)


def place_of_graph(model_sha256: str) -> Path:
    """Where the graph of that model lies, if it was exported for scans."""
    return home() / "exports" / f"{model_sha256}.onnx"


def resolve(name: str | None = None) -> Entry:
    """The model called `name`, or the file of that name; without one the current model, else the shipped one.

    Raises `ModelError` with the nearest name if there is none, or if a shipped file is not what was shipped.
    """
    wanted = name or current()
    known = {entry.name: entry for entry in reversed(entries())}  # a shipped model wins over one's own of that name
    entry = known.get(wanted)
    if entry is None and (Path(wanted).suffix == SUFFIX or "/" in wanted or "\\" in wanted):
        path = Path(wanted).expanduser()
        if not path.is_file():
            raise ModelError(f"There is no model file {path}.")
        return Entry(path.stem, path, False)
    if entry is None:
        raise _no_such(wanted, " Choose one with: deepcheck models use NAME." if name is None else "")
    if entry.shipped and sha256(entry.path) != shipped()[entry.name]["sha256"]:
        raise ModelError(f"The shipped model {entry.path} has been changed or damaged.", "Install deepcheck again.")
    return entry


def _stored(name: str) -> Entry:
    """The model called `name`; a file that happens to be called so does not count."""
    for entry in entries():
        if entry.name == name:
            return entry
    raise _no_such(name)


def _no_such(name: str, way_out: str = "") -> ModelError:
    known = [entry.name for entry in entries()]
    return ModelError(f'There is no model "{name}".', did_you_mean(name, known) + way_out)
