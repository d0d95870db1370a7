import os

import pytest
import torch
from torch import nn

from deepcheck import runtime
from deepcheck.errors import ConfigError

CPU = torch.device("cpu")


@pytest.fixture
def cuda(monkeypatch):
    """As if the machine had so many CUDA devices."""

    def pretend(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return pretend


def test_auto_takes_the_gpu_if_there_is_one(cuda):
    cuda(0)
    assert runtime.pick_device("auto") == CPU
    cuda(2)
    assert runtime.pick_device("auto") == torch.device("cuda")
    assert runtime.pick_device("cuda:1") == torch.device("cuda", 1)
    assert runtime.pick_device("cpu") == CPU
    with pytest.raises(ConfigError, match="no device cuda:2: this machine has 2"):
        runtime.pick_device("cuda:2")


def test_no_gpu(cuda):
    cuda(0)
    for name in ("cuda", "cuda:0"):
        with pytest.raises(ConfigError, match="No CUDA device") as caught:
            runtime.pick_device(name)
        assert "--device cpu" in caught.value.hint


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:-1", "", "CPU"])
def test_unknown_devices(cuda, name):
    cuda(1)
    with pytest.raises(ConfigError, match=f'There is no device "{name}"') as caught:
        runtime.pick_device(name)
    assert caught.value.hint == "Choose one of: auto, cpu, cuda."


@pytest.mark.parametrize(
    ("flags", "fast"), [({"avx2"}, False), ({"avx512_bf16"}, False), ({"amx_bf16", "avx2"}, True), (set(), False)]
)
def test_auto_precision_follows_the_processor(monkeypatch, flags, fast):
    monkeypatch.setattr(runtime, "_cpu_flags", lambda: frozenset(flags))
    assert runtime.pick_dtype("auto", CPU) == (torch.bfloat16 if fast else torch.float32)
    assert runtime.pick_dtype("fp32", CPU) == torch.float32
    assert runtime.pick_dtype("bf16", CPU) == torch.bfloat16


def test_unknown_precision():
    with pytest.raises(ConfigError, match='There is no precision "fp16"'):
        runtime.pick_dtype("fp16", CPU)


def test_autocast_is_on_for_bfloat16_alone():
    a, b = torch.ones(2, 2), torch.ones(2, 2)
    with runtime.autocast(CPU, torch.bfloat16):
        assert (a @ b).dtype == torch.bfloat16
    with runtime.autocast(CPU, torch.float32):
        assert (a @ b).dtype == torch.float32


def test_full_float32_is_for_its_block_alone():
    assert torch.backends.cudnn.allow_tf32  # PyTorch's default, which training keeps
    with runtime.full_float32():
        assert not torch.backends.cudnn.allow_tf32
        assert torch.backends.cudnn.enabled
    assert torch.backends.cudnn.allow_tf32


def test_move_lays_weights_channels_last_and_keeps_their_values():
    model = nn.Conv2d(3, 4, 3)
    before = model.weight.detach().clone()
    runtime.move(model, CPU)
    assert model.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(model.weight, before)


def test_cores_are_those_that_may_be_used():
    assert 1 <= runtime.cores() <= os.cpu_count()
    if hasattr(os, "sched_setaffinity"):
        everything = os.sched_getaffinity(0)
        try:
            os.sched_setaffinity(0, {min(everything)})
            assert runtime.cores() == 1
        finally:
            os.sched_setaffinity(0, everything)
