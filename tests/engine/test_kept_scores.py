"""Scores from what a training keeps: those of the first windows, whatever part of the detector has been passed."""

import numpy as np
import pytest
import torch
from conftest import TINY, TINY_DISTILLED

from deepcheck.audio.decode import read
from deepcheck.audio.windows import tile
from deepcheck.card import DetectorSpec
from deepcheck.config import DataConfig, SamplingConfig, SourceConfig, TrainConfig
from deepcheck.data.protocols import read_data
from deepcheck.detectors.base import build
from deepcheck.engine.kept_scores import kept_scores

DETECTORS = {
    "nothing passed": TINY,
    "convolutions passed": DetectorSpec("distilled", {**TINY_DISTILLED, "learns": "layers", "window_s": 1.0}),
    "all passed": DetectorSpec("distilled", {**TINY_DISTILLED, "learns": 0, "window_s": 1.0}),
}


@pytest.mark.parametrize("kind", DETECTORS)
def test_the_first_window_is_scored_as_by_the_detector_itself(kind, corpus, tmp_path):
    (corpus / "spoof" / "broken.wav").write_bytes(b"RIFF but no sound")
    torch.manual_seed(0)
    detector = build(DETECTORS[kind])
    config = TrainConfig(
        device="cpu", precision="fp32", data=DataConfig(SourceConfig(str(corpus))), sampling=SamplingConfig()
    )
    known = read_data(corpus).utterances
    heard, scores = kept_scores(detector.train(), config, tmp_path, known)
    assert heard == tuple(one for one in known if one.path.name != "broken.wav")
    with torch.inference_mode():
        for utterance, score in zip(heard, scores, strict=True):
            window = torch.from_numpy(np.array(tile(read(utterance.path), 16000)[:16000]))
            assert float(detector.score(window[None])) == pytest.approx(score, abs=1e-5)
    # What was kept is what is read the second time.
    assert len(list(tmp_path.rglob("*.safetensors"))) == len(heard)
    again, same = kept_scores(detector, config, tmp_path, heard[:3])
    assert again == heard[:3]
    assert same == pytest.approx(scores[:3], abs=1e-5)
