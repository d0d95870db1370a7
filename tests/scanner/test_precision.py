"""Which precision a scan takes, and what that does to scores."""

from pathlib import Path

import numpy as np
import pytest

from deepcheck.audio.decode import read
from deepcheck.audio.windows import cut
from deepcheck.detectors.resnet import ResNet18
from deepcheck.engine import precision
from deepcheck.engine.model import load
from deepcheck.engine.score import Scorer
from deepcheck.scanner.run import Scan

EXAMPLES = Path(__file__).parents[2] / "examples" / "audio"


@pytest.mark.parametrize(
    ("fast", "harmless", "asked", "told"),
    [
        (True, True, {}, {"precision": "bf16"}),
        (True, True, {"precision": "fp32"}, {}),
        (True, False, {}, {}),
        (False, True, {}, {}),
        (False, False, {"precision": "bf16"}, {"precision": "bf16"}),
    ],
)
def test_bf16_is_taken_where_it_is_faster_and_harmless_and_told(stored_model, monkeypatch, fast, harmless, asked, told):
    stored_model(spoof=-1.0, bonafide=1.0)
    monkeypatch.setattr(precision, "has_fast_bf16", lambda _: fast)
    monkeypatch.setattr(ResNet18, "takes_bf16", harmless)
    with Scan(model="tiny", **asked) as scan:
        assert dict(scan.basis.settings) == told


def test_bf16_is_not_taken_where_the_calibration_stretches_what_it_moves(stored_model, monkeypatch):
    monkeypatch.setattr(precision, "has_fast_bf16", lambda _: True)
    for scale, told in ((2.0, {"precision": "bf16"}), (2.1, {})):
        stored_model(spoof=-1.0, bonafide=1.0, scale=scale)
        with Scan(model="tiny") as scan:
            assert dict(scan.basis.settings) == told


@pytest.mark.parametrize("name", ["default", "fast"])
def test_bf16_moves_no_score_of_a_shipped_detector_by_more_than_promised(name):
    model = load(name)
    exact, rounded = (
        Scorer(model.detector, model.card.calibration, device="cpu", precision=precision)
        for precision in ("fp32", "bf16")
    )
    files = sorted(EXAMPLES.glob("*/*.*"))
    windows = np.stack([next(cut([read(path)], exact.size, exact.hop)).samples for path in files])
    assert len(files) == 12
    moved = np.abs(rounded.llrs(windows) - exact.llrs(windows))
    assert 0 < moved.max() < 0.05
