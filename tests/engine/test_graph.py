"""Detectors as ONNX graphs: the same scores for any number of windows, and sentences where there is none."""

import numpy as np
import pytest
import torch
from conftest import TINY, TINY_DISTILLED, TINY_ENCODER, speechlike, write_wav
from typer.testing import CliRunner

from deepcheck import store
from deepcheck.card import DetectorSpec
from deepcheck.cli.app import app
from deepcheck.detectors.base import build
from deepcheck.engine import graph, precision
from deepcheck.engine.score import Scorer
from deepcheck.errors import ConfigError, ModelError
from deepcheck.scanner.run import Scan

pytest.importorskip("onnx", reason="needs the extra onnx")
pytest.importorskip("onnxruntime", reason="needs the extra onnx")

MEL = {"frontend": {"name": "mel", "bins": 20}, "window_s": 1.0}
FAMILIES = {
    "resnet18": TINY,
    "gru": DetectorSpec("gru", {"units": [6, 5], "bidirectional": True, **MEL}),
    "lstm": DetectorSpec("lstm", {"units": [6, 5], **MEL}),
    "distilled": DetectorSpec("distilled", {**TINY_DISTILLED, "pool": "all", "lags": [1, 4], "window_s": 1.0}),
    "wav2vec2": DetectorSpec("wav2vec2", {"config": TINY_ENCODER, "window_s": 1.0}),
}


def made(family):
    torch.manual_seed(3)
    return build(FAMILIES[family]).eval()


def windows(count):
    return np.random.default_rng(5).normal(0, 0.2, (count, 16_000)).astype(np.float32)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_graph_gives_the_same_logits_and_embeddings_for_any_number_of_windows(family, tmp_path):
    detector = made(family)
    assert graph.export_onnx(detector, tmp_path / "exports" / "one.onnx") < 1e-4
    exported = graph.Graph(tmp_path / "exports" / "one.onnx")
    for count in (1, 2, 5):
        plain = Scorer(detector, device="cpu", batch_size=count)
        faster = Scorer(detector, device="cpu", batch_size=count, graph=exported)
        assert faster.logits(windows(count)) == pytest.approx(plain.logits(windows(count)), abs=1e-4)
        for ours, theirs in zip(faster.embeddings(windows(count)), plain.embeddings(windows(count)), strict=True):
            assert np.allclose(ours, theirs, atol=1e-4)


def test_a_part_of_a_batch_is_filled_up(tmp_path):
    detector = made("resnet18")
    graph.export_onnx(detector, tmp_path / "one.onnx")
    scorer = Scorer(detector, device="cpu", batch_size=4, graph=graph.Graph(tmp_path / "one.onnx"))
    logits = scorer.logits(windows(4))
    assert np.array_equal(scorer.logits(windows(4)[:3]), logits[:3])


def test_bf16_does_not_take_the_graph(tmp_path):
    detector = made("resnet18")
    graph.export_onnx(detector, tmp_path / "one.onnx")
    assert Scorer(detector, device="cpu", precision="bf16", graph=graph.Graph(tmp_path / "one.onnx")).graph is None


def test_a_graph_with_other_scores_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(graph, "TOLERANCE", 0.0)
    with pytest.raises(ModelError, match="other scores than the model"):
        graph.export_onnx(made("gru"), tmp_path / "one.onnx")
    assert not list(tmp_path.iterdir())


def test_what_makes_no_graph_is_said(tmp_path, monkeypatch):
    detector = made("resnet18")
    monkeypatch.setattr(type(detector), "embedded", lambda *_: torch.fft.rfft(torch.zeros(4)))
    with pytest.raises(ModelError, match="A resnet18 detector makes no ONNX graph"):
        graph.export_onnx(detector, tmp_path / "one.onnx")


def test_a_damaged_graph_is_said(tmp_path):
    (tmp_path / "one.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelError, match="cannot be used") as failed:
        graph.Graph(tmp_path / "one.onnx")
    assert "--runtime torch" in failed.value.hint


def test_a_scan_takes_the_graph_once_there_is_one(stored_model, tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "has_fast_bf16", lambda _: False)
    stored_model(spoof=-1.0, bonafide=1.0)
    write_wav(tmp_path / "voice.wav", speechlike(1.5, seed=0))

    def scanned(**settings):
        with Scan(model="tiny", **settings) as scan:
            [result] = scan.run(tmp_path / "voice.wav")
            return result.llr, dict(scan.basis.settings)

    plain, settings = scanned()
    assert "runtime" not in settings
    with pytest.raises(ConfigError, match="has not been exported"):
        scanned(runtime="onnx")
    done = CliRunner().invoke(app, ["models", "export", "tiny"])
    assert done.exit_code == 0, done.stderr
    [_] = (store.home() / "exports").iterdir()
    faster, settings = scanned()
    assert settings["runtime"].startswith("onnxruntime ")
    assert faster == pytest.approx(plain, abs=1e-3)
    assert scanned(runtime="torch") == (plain, {})
    monkeypatch.setattr(graph, "find_spec", lambda name: None)
    assert scanned() == (plain, {})
    with pytest.raises(ConfigError, match="onnx and onnxruntime cannot be imported") as missing:
        scanned(runtime="onnx")
    assert "deepcheck[onnx]" in missing.value.hint


def test_bf16_comes_before_a_graph_that_nobody_asked_for(stored_model, monkeypatch):
    stored_model(spoof=-1.0, bonafide=1.0)
    assert CliRunner().invoke(app, ["models", "export", "tiny"]).exit_code == 0
    monkeypatch.setattr(precision, "has_fast_bf16", lambda _: True)
    for runtime, told in (("auto", {"precision"}), ("onnx", {"runtime"})):
        with Scan(model="tiny", runtime=runtime) as scan:
            assert {name for name, _ in scan.basis.settings} == told


def test_unknown_ways_to_compute_are_refused(stored_model):
    stored_model(spoof=-1.0, bonafide=1.0)
    for wrong in ({"precision": "fp8"}, {"runtime": "tvm"}):
        with pytest.raises(ConfigError, match="There is no"):
            Scan(model="tiny", **wrong)


def test_exports_of_other_formats_are_refused():
    done = CliRunner().invoke(app, ["models", "export", "default", "--format", "tflite"])
    assert (done.exit_code, "There is: onnx." in done.stderr) == (1, True)
