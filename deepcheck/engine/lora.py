"""Low-rank adapters (LoRA, Hu et al. 2021, arXiv:2106.09685).

Beside each matrix W that is adapted two thin ones learn, W + alpha / rank * B A; in the end they are added to it.
"""

import re
from collections.abc import Iterable
from importlib.util import find_spec

import torch
from torch import nn

from deepcheck.audio.torchaudio_import import import_torchaudio
from deepcheck.config import LoraConfig
from deepcheck.detectors.base import Detector
from deepcheck.errors import ConfigError
from deepcheck.plasticity.freeze import Freeze
from deepcheck.registry import did_you_mean
from deepcheck.seeding import seed_of

HEAD = "head"
"""What detectors call the layer that gives the logit."""

_ENDING = re.compile(r"[^.]+(\.\d+)*$")  # of a name: its last word, and what counts its likes


def require_peft() -> None:
    """`ConfigError` if the library that makes the adapters is not installed."""
    if find_spec("peft") is None:
        raise ConfigError("Mode lora needs peft, which is not installed.", "Get it with: pip install 'deepcheck[lora]'")


def targets_of(detector: Detector, config: LoraConfig) -> list[str]:
    """The names of the modules that `config.targets` mean: those that are, or end in, one of these names.

    `ConfigError` with the names that there are for a target that means no linear layer or 2-D convolution.
    """
    able = [name for name, part in detector.named_modules() if isinstance(part, nn.Linear | nn.Conv2d) and name != HEAD]
    chosen: list[str] = []
    for target in config.targets:
        found = [name for name in able if name == target or name.endswith(f".{target}")]
        if not found:
            raise ConfigError(
                f'The {detector.spec.name} has no linear layer or convolution "{target}" that could be adapted.',
                f"Set lora.targets. {did_you_mean(target, _endings(able))}"
                if able
                else "But for its head there is none: take mode unfrozen.",
            )
        chosen += found
    return list(dict.fromkeys(chosen))


def insert(detector: Detector, config: LoraConfig, seed: int) -> None:
    """Put adapters into `detector`, in place; they and its head are then all that learns, and no output changes.

    To the head count the module of that name and the parameters that the detector itself owns (a pooling's weights).
    Raises as `targets_of` and `require_peft` do.
    """
    targets = targets_of(detector, config)
    require_peft()
    import_torchaudio()  # before transformers, which peft imports
    import peft

    settings = peft.LoraConfig(
        r=config.rank, lora_alpha=config.alpha, lora_dropout=config.dropout, target_modules=targets
    )
    head = [*detector.parameters(recurse=False)]
    if isinstance(getattr(detector, HEAD, None), nn.Module):
        head += detector.get_submodule(HEAD).parameters()
    head = [parameter for parameter in head if parameter.requires_grad]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of("lora", seed))
        peft.inject_adapter_in_model(settings, detector)
    del detector.peft_config  # a note for peft's own wrappers, which would outlive the adapters
    for parameter in head:
        parameter.requires_grad = True


def hold(detector: Detector) -> Freeze:
    """Holds all of a detector with adapters, running statistics included, but for what `insert` left to learn."""
    learns = [parameter for parameter in detector.parameters() if parameter.requires_grad]
    freeze = Freeze(detector, {})
    for parameter in learns:
        parameter.requires_grad = True
    return freeze


def merge(detector: Detector) -> None:
    """Add the adapters to what they adapt, in place: the modules are then those from before `insert`."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(detector.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            parent, _, own = name.rpartition(".")
            setattr(detector.get_submodule(parent), own, module.get_base_layer())


def _endings(names: Iterable[str]) -> list[str]:
    found = (_ENDING.search(name) for name in names)
    return list(dict.fromkeys(match[0] for match in found if match))
