import math
import time
import tracemalloc
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import speechlike, write_wav
from torch import nn

from deepcheck.audio.decode import SAMPLE_RATE
from deepcheck.audio.quality import Quality
from deepcheck.engine.score import RecordingScores, Scorer, WindowScore
from deepcheck.errors import AudioError, ConfigError
from deepcheck.metrics.calibration import Calibration


@pytest.fixture
def recordings(tmp_path) -> list[Path]:
    """From shorter than a window to several windows, among them one that is damaged and one of noise."""
    paths = [write_wav(tmp_path / f"{i}.wav", speechlike(0.6 + 0.55 * i, seed=i, f0_hz=100 + 10 * i)) for i in range(7)]
    data = paths[3].read_bytes()
    paths[3].write_bytes(data[: len(data) * 6 // 10])
    write_wav(paths[5], 0.1 * np.random.default_rng(0).standard_normal(40_000).astype(np.float32))
    return paths


def scores_of(scorer: Scorer, paths: list[Path], jobs: int = 2) -> list[RecordingScores]:
    return sorted(scorer.recordings(paths, jobs), key=lambda scores: scores.index)


def llrs(scores: RecordingScores) -> list[float]:
    return [window.llr for window in scores.windows]


class Loudness(nn.Module):
    """Stands in for a detector: the logit is the level of the window, so that every score can be foretold."""

    window_s = 1.0
    cpu_batch = 4
    has_embedding = False

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def score(self, waveform: torch.Tensor) -> torch.Tensor:
        assert not self.training
        self.batches.append(len(waveform))
        return waveform.abs().mean(-1)


def staircase(path: Path, levels: list[float], step_s: float = 0.5) -> Path:
    return write_wav(path, np.repeat(np.array(levels, np.float32), round(step_s * SAMPLE_RATE)))


def test_scores_are_the_calibrated_logits_of_the_windows(tmp_path):
    path = staircase(tmp_path / "x.wav", [0.1, 0.2, 0.3, 0.4, 0.5])
    scorer = Scorer(Loudness(), Calibration(10.0, -2.0), device="cpu")
    [scores] = scorer.recordings([path])
    assert [(window.start_s, window.end_s) for window in scores.windows] == [(0, 1), (0.5, 1.5), (1, 2), (1.5, 2.5)]
    assert llrs(scores) == pytest.approx([-0.5, 0.5, 1.5, 2.5], abs=0.01)
    assert [window.quality for window in scores.windows] == [Quality.SPEECH] * 4
    assert [window.speech for window in scores.windows] == [1.0] * 4
    assert scores.mean_llr() == pytest.approx(1.0, abs=0.01)
    assert (scores.index, scores.path, scores.duration_s, scores.error) == (0, path, 2.5, None)


def test_without_calibration_scores_are_logits(tmp_path):
    path = staircase(tmp_path / "x.wav", [0.25, 0.25])
    [scores] = Scorer(Loudness(), device="cpu").recordings([path])
    assert llrs(scores) == pytest.approx([0.25], abs=1e-3)


def test_logits_and_llrs_of_windows(tiny):
    windows = np.stack([speechlike(1.0, seed=i) for i in range(3)])
    scorer = Scorer(tiny, Calibration(2.0, 0.5), device="cpu")
    with torch.no_grad():
        expected = tiny.score(torch.from_numpy(windows)).double().numpy()
    assert scorer.logits(windows).dtype == np.float64
    np.testing.assert_allclose(scorer.logits(windows), expected, atol=1e-5)
    np.testing.assert_allclose(scorer.llrs(windows), 2 * expected + 0.5, atol=1e-5)


def test_detector_is_put_into_eval_mode(tmp_path, tiny):
    path = write_wav(tmp_path / "x.wav", speechlike(2.0))
    [expected] = Scorer(tiny, device="cpu").recordings([path])
    running = tiny.stem_norm.running_mean.clone()
    tiny.train()
    [scores] = Scorer(tiny, device="cpu").recordings([path])
    assert llrs(scores) == pytest.approx(llrs(expected), abs=1e-6)
    assert torch.equal(tiny.stem_norm.running_mean, running)


@pytest.mark.parametrize(("batch_size", "jobs"), [(1, 1), (3, 1), (3, 4), (16, 2), (64, 8)])
def test_neither_batch_size_nor_threads_change_a_score(recordings, tiny, batch_size, jobs):
    reference = scores_of(Scorer(tiny, device="cpu", batch_size=7, check=True), recordings, jobs=2)
    found = scores_of(Scorer(tiny, device="cpu", batch_size=batch_size, check=True), recordings, jobs=jobs)
    assert [scores.index for scores in found] == list(range(7))
    for ours, theirs in zip(found, reference, strict=True):
        assert (ours.path, ours.duration_s, ours.error) == (theirs.path, theirs.duration_s, theirs.error)
        assert [(w.start_s, w.end_s, w.quality) for w in ours.windows] == [
            (w.start_s, w.end_s, w.quality) for w in theirs.windows
        ]
        np.testing.assert_allclose(llrs(ours), llrs(theirs), atol=1e-5)
        np.testing.assert_allclose([w.speech for w in ours.windows], [w.speech for w in theirs.windows], atol=1e-9)
    assert len({round(score, 4) for scores in found for score in llrs(scores) if score == score}) > 10


def test_one_recording_does_not_depend_on_its_neighbours(recordings, tiny):
    together = scores_of(Scorer(tiny, device="cpu", check=True), recordings)
    for index in (0, 6):
        [alone] = Scorer(tiny, device="cpu", check=True).recordings([recordings[index]])
        np.testing.assert_allclose(llrs(alone), llrs(together[index]), atol=1e-5)


def test_damaged_recording_has_its_error_and_no_windows(recordings, tiny):
    scores = scores_of(Scorer(tiny, device="cpu"), [*recordings, Path("gone.wav")])
    assert [bool(one.error) for one in scores] == [False, False, False, True, False, False, False, True]
    assert scores[3].error.startswith("the file is truncated")
    assert scores[3].windows == ()  # though some of it had been scored by then
    assert math.isnan(scores[3].mean_llr())
    assert scores[7].error == "the file does not exist"
    assert all(one.windows for one in scores if not one.error)


def test_each_recording_comes_once_and_as_soon_as_it_is_whole(tmp_path):
    detector = Loudness()
    paths = [staircase(tmp_path / f"{i}.wav", [0.1 * i] * 6) for i in range(1, 6)]
    order = []
    for scores in Scorer(detector, device="cpu").recordings(paths, jobs=1):
        order.append(scores.index)
        # 5 windows each, scored 4 at a time: nobody waits for more than the batch that ends the recording.
        assert sum(detector.batches) <= math.ceil(5 * len(order) / 4) * 4
    assert order == list(range(5))
    assert detector.batches == [4] * 7


def test_a_change_is_scored_in_the_place_of_the_recording(tmp_path):
    paths = [staircase(tmp_path / f"{i}.wav", [0.1 * i] * 8) for i in range(1, 5)]
    lengths = {}

    def halved(index: int, waveform: np.ndarray) -> np.ndarray:
        lengths[index] = len(waveform)
        return (index + 1) * waveform[: len(waveform) // 2]

    found = sorted(Scorer(Loudness(), device="cpu").recordings(paths, 2, halved), key=lambda scores: scores.index)
    assert lengths == dict.fromkeys(range(4), 4 * SAMPLE_RATE)  # the whole recording at once
    for index, scores in enumerate(found):
        assert (scores.path, scores.duration_s, scores.error) == (paths[index], 2.0, None)
        assert [(w.start_s, w.end_s) for w in scores.windows] == [(0, 1), (0.5, 1.5), (1, 2)]
        assert llrs(scores) == pytest.approx([0.1 * (index + 1) ** 2] * 3, abs=1e-3)


def test_no_change_and_a_change_to_the_same_score_alike_to_the_bit(recordings, tiny):
    scorer = Scorer(tiny, device="cpu", check=True)
    plain = sorted(scorer.recordings(recordings, 1), key=lambda scores: scores.index)
    same = sorted(scorer.recordings(recordings, 1, lambda _, waveform: waveform), key=lambda scores: scores.index)
    # Of the one that is truncated there is nothing to change: its length is known only where it is streamed.
    assert (plain[3].error, plain[3].windows) == (same[3].error, same[3].windows)
    assert repr([*plain[:3], *plain[4:]]) == repr([*same[:3], *same[4:]])  # repr, for NaN is not equal to itself


def test_a_change_that_fails_on_a_recording_is_its_error(recordings, tiny):
    def fails(index: int, waveform: np.ndarray) -> np.ndarray:
        if index == 2:
            raise AudioError("opus failed")
        return waveform

    found = sorted(Scorer(tiny, device="cpu").recordings(recordings, 2, fails), key=lambda scores: scores.index)
    assert (found[2].error, found[2].windows) == ("opus failed", ())
    assert [bool(scores.error) for scores in found] == [False, False, True, True, False, False, False]

    def bug(index: int, waveform: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        list(Scorer(tiny, device="cpu").recordings(recordings, 2, bug))


def test_windows_are_in_order_of_time(recordings, tiny):
    for scores in Scorer(tiny, device="cpu", batch_size=2).recordings(recordings, jobs=4):
        starts = [window.start_s for window in scores.windows]
        assert starts == sorted(starts)


def test_no_recordings(tiny):
    assert list(Scorer(tiny, device="cpu").recordings([])) == []


def test_check_leaves_windows_without_speech_unscored(tmp_path):
    voice, silence = speechlike(2.0), np.zeros(32_000, np.float32)
    noise = 0.1 * np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    path = write_wav(tmp_path / "x.wav", np.concatenate([voice, silence, noise]))
    detector = Loudness()
    [scores] = Scorer(detector, device="cpu", batch_size=6, check=True).recordings([path])
    quality = {window.start_s: window.quality for window in scores.windows}
    assert quality[0.0] is quality[0.5] is quality[1.0] is Quality.SPEECH
    assert quality[2.0] is quality[3.0] is Quality.SILENT
    assert quality[4.0] is quality[5.0] is Quality.NO_SPEECH
    for window in scores.windows:
        assert math.isnan(window.llr) == (window.quality is not Quality.SPEECH)
    judged = [window.llr for window in scores.windows if window.quality is Quality.SPEECH]
    assert detector.batches == [6]  # of the second six windows none is judged
    assert len(judged) < 6
    assert scores.mean_llr() == pytest.approx(np.mean(judged))


def test_scores_do_not_depend_on_what_else_is_scored(tmp_path, tiny):
    paths = [write_wav(tmp_path / f"{i}.wav", speechlike(1.0 + 0.7 * i, seed=i)) for i in range(4)]
    together = {found.path: found.windows for found in Scorer(tiny, device="cpu").recordings(paths, jobs=2)}
    for path in paths:
        [alone] = Scorer(tiny, device="cpu").recordings([path])
        assert [window.llr for window in alone.windows] == [window.llr for window in together[path]]  # to the last bit


def test_mean_counts_scored_windows_only():
    windows = (
        WindowScore(0, 1, 2.0, Quality.SPEECH, 1.0),
        WindowScore(1, 2, float("nan"), Quality.SILENT, 0.0),
        WindowScore(2, 3, -1.0, Quality.SPEECH, 0.4),
    )
    assert RecordingScores(0, Path("x"), 3.0, windows).mean_llr() == 0.5
    assert math.isnan(RecordingScores(0, Path("x"), 3.0, windows[1:2]).mean_llr())
    assert math.isnan(RecordingScores(0, Path("x")).mean_llr())


def test_window_and_hop_follow_the_detector(tiny):
    scorer = Scorer(tiny, device="cpu")
    assert (scorer.size, scorer.hop) == (16_000, 8_000)
    assert scorer.batch_size == tiny.cpu_batch
    assert Scorer(tiny, device="cpu", batch_size=3).batch_size == 3


def test_unknown_device_or_precision(tiny):
    with pytest.raises(ConfigError, match='There is no device "tpu"'):
        Scorer(tiny, device="tpu")
    with pytest.raises(ConfigError, match='There is no precision "int8"'):
        Scorer(tiny, device="cpu", precision="int8")


def test_bfloat16_is_near_the_reference(tiny):
    windows = np.stack([speechlike(1.0, seed=i) for i in range(4)])
    exact = Scorer(tiny, device="cpu").logits(windows)
    rough = Scorer(tiny, device="cpu", precision="bf16").logits(windows)
    assert np.abs(exact - rough).max() < 0.05 * max(1.0, np.abs(exact).max())
    assert np.abs(exact - rough).max() > 0  # it did change something


def test_decoding_does_not_run_away_from_a_slow_detector(monkeypatch):
    taken: list[int] = []
    lead: list[int] = []

    def decode(path, told):
        for i in range(400):
            taken.append(i)
            yield np.full(8_000, 0.1, np.float32)  # a hop

    class Slow(Loudness):
        def score(self, waveform: torch.Tensor) -> torch.Tensor:
            time.sleep(0.01)
            lead.append(len(taken) - 4 * len(self.batches))
            return super().score(waveform)

    monkeypatch.setattr("deepcheck.engine.read_ahead.decode", decode)
    [scores] = Scorer(Slow(), device="cpu").recordings([Path("x")], jobs=1)
    assert len(scores.windows) == 399
    assert max(lead) <= 4 + 4 * 4 + 4  # the batch, four more in the queue, and what is in hand


def long_recording(path: Path, minutes: int) -> Path:
    minute = (speechlike(1.0) * 32767).astype("<i2").tobytes() * 60
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        for _ in range(minutes):
            file.writeframes(minute)
    return path


def test_memory_does_not_grow_with_the_recording(tmp_path):
    def peak(minutes: int) -> int:
        path = long_recording(tmp_path / f"{minutes}.wav", minutes)
        tracemalloc.start()
        [scores] = Scorer(Loudness(), device="cpu").recordings([path], jobs=1)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        path.unlink()
        assert len(scores.windows) == 120 * minutes - 1
        return highest

    peak(1)
    short, long = peak(3), peak(30)
    # 27 minutes more are 104 MB as float32; a window's score is some hundred bytes.
    assert long - short < 3_000_000
    assert long < 12_000_000
