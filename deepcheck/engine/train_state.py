"""The state of an unfinished training, saved so that going on gives the weights that not stopping would have given.

Everything random is a function of (seed, epoch, step), so weights, optimiser and counters are all there is.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from deepcheck.errors import ModelError
from deepcheck.files import write_atomically


@dataclass
class Progress:
    """Where the run stands: `epoch` (from 0) and `step` are the next to do."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    clips: int = 0
    seconds: float = 0.0
    best_epoch: int = -1
    best_eer: float = float("inf")
    history: list[dict[str, float]] = field(default_factory=list)


def save_state(
    path: Path,
    progress: Progress,
    config: Mapping[str, Any],
    tensors: Mapping[str, Mapping[str, Tensor]],
    optimizer: torch.optim.Optimizer,
) -> None:
    """One file with everything; `tensors` are named sets of weights (`model`, `tested`, `best`)."""
    flat = {f"{group}/{name}": t.contiguous() for group, named in tensors.items() for name, t in named.items()}
    for index, values in optimizer.state_dict()["state"].items():
        flat |= {f"optimizer/{index}/{key}": value.contiguous() for key, value in values.items()}
    metadata = {"progress": json.dumps(asdict(progress)), "config": json.dumps(config, sort_keys=True)}
    # A channels_last tensor is contiguous only after a copy; safetensors stores values in logical order.
    write_atomically(path, save({name: tensor.cpu() for name, tensor in flat.items()}, metadata=metadata))


@dataclass(frozen=True)
class SavedState:
    """What `load_state` found."""

    progress: Progress
    config: dict[str, Any]
    tensors: dict[str, dict[str, Tensor]]
    optimizer: dict[int, dict[str, Tensor]]


def load_state(path: Path) -> SavedState | None:
    """The state at `path`, None if there is none; `ModelError` if it is damaged."""
    if not path.is_file():
        return None
    tensors: dict[str, dict[str, Tensor]] = {}
    optimizer: dict[int, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            for name in file.keys():  # noqa: SIM118
                group, _, rest = name.partition("/")
                if group == "optimizer":
                    index, _, key = rest.partition("/")
                    optimizer.setdefault(int(index), {})[key] = file.get_tensor(name)
                else:
                    tensors.setdefault(group, {})[rest] = file.get_tensor(name)
        progress, config = Progress(**json.loads(metadata["progress"])), json.loads(metadata["config"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"The training state {path} is damaged: {error}.", "Start again with --fresh.") from None
    return SavedState(progress, config, tensors, optimizer)


def restore_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[int, Mapping[str, Tensor]]) -> None:
    """Put saved moments and step counts back; the settings of the optimiser stay what they are."""
    document = optimizer.state_dict()
    document["state"] = {index: dict(values) for index, values in state.items()}
    optimizer.load_state_dict(document)
