"""Where and how numbers are computed: device, precision and cores."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from deepcheck.errors import ConfigError, DeepcheckError

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "fp32", "bf16")


def pick_device(name: str = "auto") -> torch.device:
    """The device that `name` (auto, cpu, cuda or cuda:N) stands for; `ConfigError` if it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    kind, _, index = name.partition(":")
    if kind != "cuda" or (index and not index.isdigit()):
        raise ConfigError(f'There is no device "{name}".', f"Choose one of: {', '.join(DEVICES)}.")
    if not torch.cuda.is_available():
        raise ConfigError(
            "No CUDA device can be used by this installation of PyTorch.",
            "Take --device cpu, or install a CUDA build of torch.",
        )
    if index and int(index) >= torch.cuda.device_count():
        raise ConfigError(f"There is no device {name}: this machine has {torch.cuda.device_count()}.")
    return torch.device(name)


@cache
def _cpu_flags() -> frozenset[str]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return frozenset()
    line = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return frozenset(line.partition(":")[2].split())


def has_fast_bf16(device: torch.device) -> bool:
    """Whether autocast to bfloat16 saves time on `device` instead of costing it.

    Of CPUs that takes matrix units (AMX): with the vector instructions alone (AVX512_BF16) detectors became slower
    (`ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 python -m tests.benchmarks --only precision`).
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return "amx_bf16" in _cpu_flags()


def pick_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The dtype of autocast for `precision` (auto, fp32, bf16); float32 means no autocast."""
    if precision not in PRECISIONS:
        raise ConfigError(f'There is no precision "{precision}".', f"Choose one of: {', '.join(PRECISIONS)}.")
    if precision == "auto":
        return torch.bfloat16 if has_fast_bf16(device) else torch.float32
    return torch.bfloat16 if precision == "bf16" else torch.float32


def move(module: nn.Module, device: torch.device) -> None:
    """Bring `module` to `device`, weights channels last, which convolutions take faster; in place."""
    # torch's own annotations of `to` leave out memory_format.
    settings: dict[str, Any] = {"device": device, "memory_format": torch.channels_last}
    module.to(**settings)


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Autocast to `dtype` on `device`; switched off for float32."""
    # The cast cache must not outlive an optimiser step; it saves nothing for one forward pass.
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype != torch.float32, cache_enabled=False)


def full_float32() -> AbstractContextManager[None]:
    """Convolutions and recurrences in all 24 bits: by default cuDNN rounds float32 to 11 (TF32) on newer GPUs."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


@contextmanager
def device_errors(device: torch.device) -> Iterator[None]:
    """`DeepcheckError` for what fails within the block on a GPU: its memory, its driver, its kernels.

    Nothing is computed anew on the CPU instead: the scores of one run would then come from two kinds of arithmetic.
    """
    try:
        yield
    except RuntimeError as error:  # torch raises it for everything, and children of it for memory and driver
        if device.type == "cpu":
            raise
        first = str(error).strip().splitlines()[0][:200]
        if isinstance(error, torch.OutOfMemoryError):
            raise DeepcheckError(
                f"The memory of {device} does not suffice ({first}).",
                "End what else uses it, or take --device cpu. What is finished is kept: the same command goes on.",
            ) from error
        raise DeepcheckError(
            f"{device} failed ({first}).",
            "Take --device cpu, or try again. What is finished is kept: the same command goes on.",
        ) from error


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
