"""Every detector makes its logit from an embedding that can be had in the same pass."""

import numpy as np
import pytest
import torch
from conftest import TINY, TINY_ENCODER, speechlike, write_wav

from deepcheck.card import DetectorSpec
from deepcheck.detectors.base import Detector, build
from deepcheck.engine.reference import fit_reference
from deepcheck.engine.score import Scorer
from deepcheck.metrics.calibration import Calibration

MEL = {"frontend": {"name": "mel", "bins": 20}, "window_s": 1.0}
MEMBER = {"name": "gru", "arguments": {"units": [5, 6], **MEL}}
SPECS = {
    "resnet18": (TINY, 32),
    "gru": (DetectorSpec("gru", {"units": [5, 6], **MEL}), 6),
    "bi-lstm": (DetectorSpec("lstm", {"units": [5], "bidirectional": True, **MEL}), 10),
    "wav2vec2": (DetectorSpec("wav2vec2", {"config": TINY_ENCODER, "window_s": 1.0}), 32),
    "committee": (DetectorSpec("committee", {"members": [MEMBER, {**MEMBER, "name": "lstm"}]}), 6 + 6 + 2),
}


@pytest.mark.parametrize("family", SPECS)
def test_score_is_made_from_the_embedding(family):
    spec, values = SPECS[family]
    torch.manual_seed(0)
    model = build(spec).eval()
    sound = torch.randn(3, 16_000)
    with torch.no_grad():
        embedding = model.embedded(model.features(sound))
        assert embedding.shape == (3, values)
        assert torch.equal(model.logit_of(embedding), model.score(sound))
    assert model.has_embedding


class Plain(Detector):
    """A detector of others, which has a module of its own by a name that one might have taken."""

    def __init__(self) -> None:
        super().__init__()
        self.window_s = 1.0
        self.embedding = torch.nn.Linear(16_000, 1)

    def features(self, waveform):
        return waveform

    def logit(self, features):
        return self.embedding(features).squeeze(-1)


def test_a_detector_without_one_says_so(tmp_path):
    path = write_wav(tmp_path / "x.wav", speechlike(2.0))
    model = Plain()
    assert not model.has_embedding
    reference = fit_reference(np.random.default_rng(0).standard_normal((50, 4)))
    [scores] = Scorer(model, device="cpu", reference=reference).recordings([path])
    assert np.isnan([window.distance for window in scores.windows]).all()
    assert np.isfinite(scores.mean_llr())
    assert np.isnan(scores.distance())


def test_scores_are_the_same_with_a_distance_and_without(tmp_path, tiny):
    paths = [write_wav(tmp_path / f"{i}.wav", speechlike(1.0 + i, seed=i)) for i in range(4)]
    windows = np.stack([speechlike(1.0, seed=i) for i in range(30)])
    logits, embeddings = Scorer(tiny, device="cpu").embeddings(windows)
    np.testing.assert_array_equal(logits, Scorer(tiny, device="cpu").logits(windows))
    reference = fit_reference(embeddings)
    found = {}
    for name, known in (("without", None), ("with", reference)):
        scorer = Scorer(tiny, Calibration(2.0, 1.0), device="cpu", batch_size=5, reference=known)
        found[name] = sorted(scorer.recordings(paths), key=lambda scores: scores.index)
    for plain, measured in zip(found["without"], found["with"], strict=True):
        np.testing.assert_allclose([w.llr for w in measured.windows], [w.llr for w in plain.windows], atol=1e-5)
        assert np.isnan(plain.distance())
        assert measured.distance() == pytest.approx(np.median([w.distance for w in measured.windows]))
    # What the reference was made from lies nearer than noise.
    noise = np.random.default_rng(0).standard_normal((8, 16_000)).astype(np.float32)
    _, far = Scorer(tiny, device="cpu").embeddings(noise)
    assert reference.distances(far).min() > np.median(reference.distances(embeddings))


def test_windows_that_are_not_scored_have_no_distance(tmp_path, tiny):
    path = write_wav(tmp_path / "x.wav", np.concatenate([speechlike(2.0), np.zeros(32_000, np.float32)]))
    _, embeddings = Scorer(tiny, device="cpu").embeddings(np.stack([speechlike(1.0, seed=i) for i in range(9)]))
    scorer = Scorer(tiny, device="cpu", check=True, reference=fit_reference(embeddings))
    [scores] = scorer.recordings([path])
    known = [not np.isnan(window.distance) for window in scores.windows]
    assert known == [not np.isnan(window.llr) for window in scores.windows]
    assert any(known)
    assert not all(known)
    assert all(np.isfinite([window.snr_db, window.bandwidth_hz, window.level_db]).all() for window in scores.windows)
    assert scores.windows[-1].level_db == -120.0
