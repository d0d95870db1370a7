"""What a scan does not import, and how the process comes and goes; the time itself is for tests.benchmarks.startup."""

import os
import subprocess
import sys

import pytest
from conftest import speechlike, write_wav

SCAN = """
import gc, runpy, sys
sys.argv = ["deepcheck", "scan", "voice.wav", "--model", "default", "--quiet", "--format", "csv"]
try:
    runpy.run_module("deepcheck", run_name="__main__")
except SystemExit as stop:
    assert not stop.code, stop.code
print("GARBAGE", gc.get_threshold()[0], gc.get_freeze_count() > 50_000)
print("LOADED", *sorted(sys.modules))
"""

# Whole packages, and modules of one's own that import more than they are worth to most scans.
IDLE = {
    "IPython", "PIL", "av", "huggingface_hub", "jinja2", "matplotlib", "pandas", "peft", "ray", "scipy", "sklearn",
    "snntorch", "soundfile", "soxr", "sympy", "tokenizers", "torchaudio", "torchvision", "transformers",
    "onnx", "onnxruntime", "silero_vad", "torch._dynamo", "torch._inductor", "torch.onnx",
    "deepcheck.audio.conditions", "deepcheck.cli.train", "deepcheck.engine.bands", "deepcheck.explain.render",
}  # fmt: skip


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What a scan of one recording with the shipped detector says, by the first word of the line."""
    folder = tmp_path_factory.mktemp("startup")
    write_wav(folder / "voice.wav", speechlike(2.0, seed=0))
    alone = {**os.environ, "DEEPCHECK_HOME": str(folder / "home")}
    done = subprocess.run(
        [sys.executable, "-c", SCAN], cwd=folder, env=alone, capture_output=True, text=True, check=True
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    assert any("voice.wav" in line[0] for line in lines), done.stdout
    return {line[0]: line[1:] for line in lines}


def test_a_scan_imports_nothing_that_it_does_not_need(printed):
    loaded = set(printed["LOADED"])
    assert {"torch", "deepcheck.scanner.run", "deepcheck.detectors.distilled"} <= loaded  # or this would say nothing
    assert not loaded & IDLE


def test_garbage_is_seldom_searched_for_and_not_at_the_end(printed):
    assert printed["GARBAGE"] == ["20000", "True"]
