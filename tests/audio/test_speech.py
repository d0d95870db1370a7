import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import speechlike

from deepcheck.audio.speech import CHUNK, SpeechDetector, speech_detector


def probabilities(*waveforms: np.ndarray) -> np.ndarray:
    return speech_detector()(torch.from_numpy(np.stack(waveforms).astype(np.float32))).numpy()


def test_one_probability_per_whole_chunk():
    for samples, chunks in ((CHUNK, 1), (2 * CHUNK - 1, 1), (16_000, 31), (64_000, 125)):
        found = probabilities(np.zeros(samples), np.zeros(samples))
        assert found.shape == (2, chunks)
        assert ((found >= 0) & (found <= 1)).all()


def test_voice_is_heard_where_it_is():
    quiet = 1e-4 * np.random.default_rng(0).standard_normal(32_000)
    speech = quiet.copy()
    speech[16_000:] += speechlike(1.0)
    found = probabilities(speech)[0]
    assert found[:29].max() < 0.3
    assert found[34:].mean() > 0.8


def test_network_is_that_of_the_package():
    """With the weights of the package's own TorchScript model it gives the same probabilities, chunk by chunk."""
    found = find_spec("silero_vad")
    assert found is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs = torch.jit.load(Path(found.submodule_search_locations[0]) / "data" / "silero_vad.jit")
    weights = {}
    for name, value in theirs.state_dict().items():
        if name.startswith("_model."):
            for old, new in (
                ("_model.", ""),
                ("stft.forward_basis_buffer", "basis"),
                (".reparam_conv", ""),
                ("decoder.decoder.2", "head"),
                ("decoder.rnn", "rnn"),
                ("weight_ih", "weight_ih_l0"),
                ("weight_hh", "weight_hh_l0"),
                ("bias_ih", "bias_ih_l0"),
                ("bias_hh", "bias_hh_l0"),
            ):
                name = name.replace(old, new)
            weights[name] = value
    ours = SpeechDetector()
    ours.load_state_dict(weights)
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000)
    voice_then_nothing = np.concatenate([speechlike(0.5), np.zeros(8_000)])
    waveforms = torch.from_numpy(np.stack([speechlike(1.0), noise, voice_then_nothing]).astype(np.float32))
    for waveform, found in zip(waveforms, ours.eval()(waveforms), strict=True):
        theirs.reset_states()
        chunks = waveform[: len(found) * CHUNK].view(-1, 1, CHUNK)
        expected = torch.cat([theirs(chunk, 16_000) for chunk in chunks]).squeeze(1).detach()
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
        assert 0.0 <= float(expected.min()) <= float(expected.max()) <= 1.0


def test_weights_are_those_of_the_package_and_loaded_once():
    assert speech_detector() is speech_detector()
    assert not speech_detector().training
    assert float(speech_detector().basis.abs().sum()) > 0


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("deepcheck.audio.speech.find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match="silero-vad is a dependency of deepcheck but is not installed"):
        speech_detector.__wrapped__()
