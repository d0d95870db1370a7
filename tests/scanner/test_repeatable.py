"""The same file, model and settings give the same score; how far other ways to compute it may lie from that."""

import numpy as np
import pytest
import torch
from conftest import TINY, TINY_DISTILLED, speechlike, write_wav

from deepcheck.card import Card, DetectorSpec
from deepcheck.detectors.base import build
from deepcheck.engine.model import Model
from deepcheck.engine.score import Scorer
from deepcheck.metrics.calibration import Calibration, Thresholds
from deepcheck.scanner.run import scan
from deepcheck.scanner.verify import TOLERANCES

SPECS = {
    "resnet18": TINY,
    "gru": DetectorSpec("gru", {"units": [8], "window_s": 1.0}),
    "distilled": DetectorSpec("distilled", {**TINY_DISTILLED, "window_s": 1.0}),
}
TOLERANCE = TOLERANCES["fp32"]
BF16_TOLERANCE = 0.1  # on logits: 8 bits of mantissa


@pytest.fixture(params=SPECS)
def model(request, tmp_path):
    torch.manual_seed(0)
    detector = build(SPECS[request.param]).eval()
    card = Card("m", detector.spec, calibration=Calibration(2.0, 0.1), thresholds=Thresholds(-1.0, 1.0))
    return Model(detector, card, tmp_path / "m.safetensors", "0" * 64)


@pytest.fixture
def windows():
    sound = speechlike(9.0, seed=3)
    return np.stack([sound[start : start + 16_000] for start in range(0, 128_000, 16_000)])


def test_a_scan_gives_the_same_bits_again_whatever_else_is_scanned(tmp_path, model):
    files = [write_wav(tmp_path / "in" / f"{i}.wav", speechlike(1.6 + i, seed=i)) for i in range(3)]
    once = {result.path: result.llr for result in scan(tmp_path / "in", model=model, jobs=1)}
    assert all(llr is not None for llr in once.values())
    assert {result.path: result.llr for result in scan(tmp_path / "in", model=model, jobs=3)} == once
    for file in files:
        [alone] = scan(file, model=model)
        assert alone.llr == once[file]


def test_batches_and_threads_move_a_score_by_less_than_the_tolerance(model, windows):
    reference = Scorer(model.detector, model.card.calibration, device="cpu").llrs(windows)
    threads = torch.get_num_threads()
    for size in (1, 3, 16):
        llrs = Scorer(model.detector, model.card.calibration, device="cpu", batch_size=size).llrs(windows)
        np.testing.assert_allclose(llrs, reference, rtol=0, atol=TOLERANCE / 10)
    try:
        torch.set_num_threads(3)
        llrs = Scorer(model.detector, model.card.calibration, device="cpu").llrs(windows)
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_allclose(llrs, reference, rtol=0, atol=TOLERANCE / 10)


def test_bfloat16_moves_a_logit_by_less_than_a_tenth(model, windows):
    exact = Scorer(model.detector, device="cpu").logits(windows)
    rounded = Scorer(model.detector, device="cpu", precision="bf16").logits(windows)
    np.testing.assert_allclose(rounded, exact, rtol=0, atol=BF16_TOLERANCE)


@pytest.mark.gpu
def test_a_gpu_moves_a_score_by_less_than_the_tolerance(model, windows):
    on_cpu = Scorer(model.detector, model.card.calibration, device="cpu").llrs(windows)
    on_gpu = Scorer(model.detector, model.card.calibration, device="cuda").llrs(windows)
    np.testing.assert_allclose(on_gpu, on_cpu, rtol=0, atol=TOLERANCE)
