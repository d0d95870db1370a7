import hashlib
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import speechlike, write_wav

from deepcheck.audio import isolated
from deepcheck.audio.quality import Quality
from deepcheck.card import Card, DetectorSpec
from deepcheck.detectors.base import Detector
from deepcheck.engine.bands import UNFAMILIAR
from deepcheck.engine.dev_scores import DevScores
from deepcheck.engine.model import Model
from deepcheck.engine.reference import Reference
from deepcheck.engine.score import Scorer, WindowScore, score_together
from deepcheck.errors import ConfigError
from deepcheck.metrics.calibration import NO_VERDICT, Calibration, Thresholds
from deepcheck.metrics.fusion import Development, common, fit_fusion
from deepcheck.scanner import notes
from deepcheck.scanner.judge import judge
from deepcheck.scanner.notes import NOTES
from deepcheck.scanner.panel import Panel, _along
from deepcheck.scanner.pooling import recording_llr
from deepcheck.scanner.result import Note, Opinion

CREATED = "2026-01-01"
RATES = {"false_alarm": 0.01, "miss": 0.05, "confidence": 0.95, "bonafide": 500, "spoof": 400}


class Fixed(Detector):
    """Says the same of everything, but for `gain` times how loud it is."""

    def __init__(self, value, gain=0.0, window_s=1.0):
        super().__init__()
        self.spec = DetectorSpec("fixed")
        self.window_s = window_s
        self.value, self.gain = value, gain

    def features(self, waveform):
        return waveform.unsqueeze(1)

    def embedded(self, features):
        return self.value + self.gain * features.abs().mean(-1)

    def logit_of(self, embedding):
        return embedding[:, 0]

    def groups(self):
        return []


def model(name, value=0.0, *, gain=0.0, window_s=1.0, thresholds=(-1.0, 1.0), calibrated=True, evidence=None, **card):
    card = {"rates": RATES, **card}
    if calibrated:
        card |= {"calibration": Calibration(1.0, 0.0), "thresholds": Thresholds(*thresholds)}
    detector = Fixed(value, gain, window_s).eval()
    digest = hashlib.sha256(name.encode()).hexdigest()
    return Model(detector, Card(name, detector.spec, **card), Path(f"{name}.safetensors"), digest, evidence or {})


def developed(quality, seed, ids=range(400), scale=1.0):
    """Development scores of a model that tells the labels apart by so many standard deviations."""
    draw = np.random.default_rng(seed)
    labels = np.arange(len(ids)) % 2
    logits = scale * (quality * (labels - 0.5) + draw.standard_normal(len(ids)))
    return DevScores(np.array(ids, np.int64), labels.astype(np.int64), logits)


@pytest.fixture
def files(tmp_path):
    return [write_wav(tmp_path / f"{i}.wav", speechlike(1.2 + 0.6 * i, seed=i)) for i in range(4)]


def far_away(value):
    """Evidence of a detector that gives 3.0 and was trained on what gave `value`."""
    return Reference(np.array([value]), np.ones((1, 1)), np.ones(2)).as_evidence()


BANDS = {"resample:8k": Thresholds(-2.0, 5.0), UNFAMILIAR: Thresholds(-4.0, 1.5)}


@pytest.fixture
def narrow(monkeypatch):
    """All recordings are found to be narrow, and nothing else but how far away they are."""
    rules = {"narrow-band": lambda _: Note("narrow-band", "narrow band", "resample:8k")}
    monkeypatch.setattr(notes, "NOTES", {**rules, UNFAMILIAR: NOTES[UNFAMILIAR]})


def run(panel, files, jobs=2):
    results = dict(panel.results(files, jobs))
    assert sorted(results) == list(range(len(files)))
    assert [results[i].path for i in range(len(files))] == list(files)
    return [results[i] for i in range(len(files))]


def names(result):
    """Of the notes that are not about the recording itself."""
    return [note.name for note in result.notes if note.name not in NOTES]


def text(result, name):
    [note] = [note for note in result.notes if note.name == name]
    return note.text


def test_one_model_is_what_the_scorer_and_the_judge_say(files):
    one = model("one", 0.5, gain=3.0)
    panel = Panel([one], prior=0.2, device="cpu")
    scorer = Scorer(one.detector, one.card.calibration, device="cpu", check=True)
    expected = {scores.index: judge(scores, Thresholds(-1.0, 1.0), 0.2) for scores in scorer.recordings(files, 1)}
    assert repr(run(panel, files)) == repr([expected[i] for i in range(len(files))])  # NaN is not itself
    assert all(result.opinions == () for result in expected.values())
    basis = panel.basis()
    assert (basis.model, basis.model_sha256, basis.models) == ("one", one.sha256, ())
    assert (basis.thresholds, basis.prior, basis.settings) == (Thresholds(-1, 1), 0.2, ())
    assert (basis.false_alarm, basis.miss, basis.confidence) == (0.01, 0.05, 0.95)
    assert (basis.bonafide, basis.spoof) == (500, 400)
    assert basis.created.endswith("+00:00")


def test_a_panel_can_be_asked_again_and_again(files):
    panel = Panel([model("a", 1.0, gain=2.0), model("b", 2.0)], device="cpu")
    first = run(panel, files)
    assert repr(run(panel, files[::-1], jobs=1)) == repr(first[::-1])
    assert list(panel.results([], 1)) == []


def test_without_common_development_recordings_the_mean_counts(files):
    panel = Panel([model("a", -3.0, thresholds=(-2, 1)), model("b", -1.0, thresholds=(-0.5, 3))], device="cpu")
    for result in run(panel, files):
        assert result.llr == pytest.approx(-2.0)
        assert result.opinions == (
            Opinion("a", pytest.approx(-3.0), "spoof"),
            Opinion("b", pytest.approx(-1.0), "spoof"),
        )
        assert result.verdict == "spoof"
        assert result.thresholds == Thresholds(-1.25, 2.0)
        assert result.p_spoof == pytest.approx(1 / (1 + np.exp(-2.0)))
        assert [window.llr for window in result.windows] == pytest.approx([-2.0] * len(result.windows))
        assert result.suspicious.llr == pytest.approx(-2.0)
        assert names(result) == []
    basis = panel.basis()
    assert basis.model == "a + b"
    assert [one.model for one in basis.models] == ["a", "b"]
    assert basis.models[1].thresholds == Thresholds(-0.5, 3)
    assert basis.false_alarm is basis.miss is basis.confidence is basis.bonafide is basis.spoof is None
    [(name, words)] = basis.settings
    assert name == "fusion"
    assert words.startswith("the mean of the scores")
    assert "development scores of a are not known" in words
    assert (
        basis.model_sha256 == hashlib.sha256("".join(f"{m.model_sha256}\n" for m in basis.models).encode()).hexdigest()
    )


def test_without_common_development_recordings_all_must_agree(files):
    results = run(Panel([model("a", -9.0), model("b", 0.0)], device="cpu"), files)
    for result in results:
        assert result.llr == pytest.approx(-4.5)
        assert result.verdict == "inconclusive"
        assert names(result) == ["undecided"]
        assert "a says spoof, b says inconclusive" in text(result, "undecided")
    assert {
        names(r) == [] and r.verdict for r in run(Panel([model("a", 9.0), model("b", 1.5)], device="cpu"), files)
    } == {"bona fide"}
    assert {
        names(r) == [] and r.verdict for r in run(Panel([model("a", 0.5), model("b", 0.0)], device="cpu"), files)
    } == {"inconclusive"}


@pytest.mark.parametrize(("a", "b"), [(-9.0, 2.0), (2.0, -9.0), (-2.0, 9.0), (-1.0, 1.0)])
@pytest.mark.parametrize("fused", [True, False])
def test_models_that_contradict_each_other_never_make_a_verdict(files, a, b, fused):
    evidence = [developed(3.0, seed).as_evidence() if fused else {} for seed in (1, 2)]
    panel = Panel([model("a", a, evidence=evidence[0]), model("b", b, evidence=evidence[1])], device="cpu")
    assert ("fitted on" in panel.basis().settings[0][1]) == fused
    for result in run(panel, files):
        assert result.verdict == "inconclusive"
        assert names(result) == ["disagreement"]
        assert {opinion.verdict for opinion in result.opinions} == {"spoof", "bona fide"}
        assert result.llr is not None


def test_a_fusion_is_fitted_on_what_all_were_developed_on(files):
    # In part the same recordings, and calibrations that do not fit the pair.
    dev = [developed(2.0, 1, range(0, 400)), developed(3.0, 2, range(100, 600), scale=0.5)]
    models = [
        model(name, value, gain=gain, evidence=scores.as_evidence())
        for name, value, gain, scores in zip("ab", (1.0, 0.8), (4.0, -2.0), dev, strict=True)
    ]
    fusion = fit_fusion(common([Development(one.ids, one.labels, one.logits) for one in dev]))
    assert fusion.bonafide + fusion.spoof == 300
    panel = Panel(models, device="cpu")
    basis = panel.basis()
    assert basis.thresholds == fusion.thresholds
    assert (basis.bonafide, basis.spoof, basis.confidence) == (fusion.bonafide, fusion.spoof, 0.95)
    assert (basis.false_alarm, basis.miss) == (fusion.false_alarm, fusion.miss) == (None, 0.05)
    assert basis.settings[0][1].startswith(f"{fusion.weights[0]:.3g} x a + {fusion.weights[1]:.3g} x b")
    results = run(panel, files)
    each = [run(Panel([one], device="cpu"), files) for one in models]
    for i, result in enumerate(results):
        own = np.array([[window.llr for window in alone[i].windows] for alone in each])
        assert [window.llr for window in result.windows] == pytest.approx(fusion.llr(own.T))
        assert result.verdict == fusion.thresholds.verdict(result.llr)
        assert result.thresholds == fusion.thresholds
        assert result.llr == pytest.approx(recording_llr(np.array([window.llr for window in result.windows])))
    assert len({round(result.llr, 6) for result in results}) == len(files)
    turned = run(Panel(models[::-1], device="cpu"), files)
    assert [result.llr for result in turned] == pytest.approx([result.llr for result in results], abs=1e-6)
    assert turned[0].opinions == results[0].opinions[::-1]


def test_the_strictest_promise_of_the_models_is_fitted():
    dev = [developed(2.0, seed, range(6000)).as_evidence() for seed in (1, 2)]
    a = model("a", evidence=dev[0], rates={**RATES, "false_alarm": 0.002})
    b = model("b", evidence=dev[1], rates={**RATES, "miss": 0.03, "confidence": 0.99})
    basis = Panel([a, b], device="cpu").basis()
    assert (basis.false_alarm, basis.miss, basis.confidence) == (0.002, 0.03, 0.99)


def test_too_few_common_recordings_are_counted(files):
    a, b = (
        model(n, evidence=developed(2.0, s, ids).as_evidence())
        for n, s, ids in (("a", 1, range(400)), ("b", 2, range(210, 500)))
    )
    [(_, words)] = Panel([a, b], device="cpu").basis().settings
    assert "95 genuine and 95 synthetic development recordings in common, of 100 that are needed of each" in words
    upside_down = model("c", evidence=developed(-2.0, 3).as_evidence())
    [(_, words)] = (
        Panel([upside_down, model("d", evidence=developed(-1.0, 4).as_evidence())], device="cpu").basis().settings
    )
    assert words.endswith("as none of the models tells bona fide from spoof on the recordings that they have in common")


def test_own_threshold_is_one_for_the_whole(files):
    models = [model("a", -0.5), model("b", -0.3)]
    panel = Panel(models, threshold=-0.2, device="cpu")
    assert panel.basis().thresholds == Thresholds(-0.2, 1.0)
    assert panel.basis().models[0].thresholds == Thresholds(-1, 1)
    for result in run(panel, files):
        assert result.verdict == "spoof"
        assert {opinion.verdict for opinion in result.opinions} == {"inconclusive"}
    contradicting = Panel([model("a", -5.0), model("b", 2.0)], threshold=0.0, device="cpu")
    assert {result.verdict for result in run(contradicting, files)} == {"inconclusive"}


def test_models_with_the_same_windows_share_a_pass(files, monkeypatch):
    decoded = []
    real = isolated.decode
    monkeypatch.setattr(isolated, "decode", lambda path, **how: (decoded.append(path), real(path, **how))[1])
    run(Panel([model("a"), model("b", gain=1.0), model("c")], device="cpu"), files)
    assert sorted(decoded) == sorted(files)
    decoded.clear()
    run(Panel([model("a"), model("b", window_s=0.5), model("c")], device="cpu"), files)
    assert sorted(decoded) == sorted(2 * files)


def test_each_model_says_what_it_says_alone(files, tmp_path):
    noise = 0.1 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    part = np.concatenate(
        [speechlike(2.0), 0 * noise, noise, speechlike(2.5, seed=3)]
    )  # with windows that are not scored
    files.append(write_wav(files[0].with_name("part.wav"), part))
    models = [model("a", gain=5.0), model("b", 1.0, gain=-2.0), model("c", gain=1.0, window_s=1.5)]
    together = run(Panel(models, device="cpu"), files)
    assert any(np.isnan(window.llr) for window in together[-1].windows)
    for i, one in enumerate(models):
        for alone, result in zip(run(Panel([one], device="cpu"), files), together, strict=True):
            assert result.opinions[i] == Opinion(one.card.name, pytest.approx(alone.llr, abs=1e-6), alone.verdict)
            if i == 0:
                assert repr([replace(w, llr=0) for w in result.windows]) == repr(
                    [replace(w, llr=0) for w in alone.windows]
                )
                assert (result.duration_s, result.speech_s) == (alone.duration_s, alone.speech_s)


def test_windows_of_different_length_are_brought_to_the_shortest(files):
    panel = Panel([model("long", 2.0, window_s=1.0), model("short", 4.0, gain=7.0, window_s=0.5)], device="cpu")
    alone = run(Panel([model("short", 4.0, gain=7.0, window_s=0.5)], device="cpu"), files)
    for result, short in zip(run(panel, files), alone, strict=True):
        assert [(w.start_s, w.end_s) for w in result.windows] == [(w.start_s, w.end_s) for w in short.windows]
        fused = [w.llr for w in result.windows if w.quality is Quality.SPEECH]
        assert fused == pytest.approx([(2.0 + w.llr) / 2 for w in short.windows if w.quality is Quality.SPEECH])
        assert result.llr == pytest.approx(recording_llr(np.array(fused)))


def window(start_s, end_s, llr, quality=Quality.SPEECH):
    return WindowScore(start_s, end_s, llr, quality, 1.0)


def test_what_longer_windows_say_of_a_short_one():
    grid = [window(0, 2, 0.0), window(1, 3, 0.0), window(5, 7, 0.0), window(8, 10, 0.0)]
    timeline = [
        window(0, 4, 1.0),
        window(2, 6, 3.0),
        window(4, 8, np.nan, Quality.NO_SPEECH),
        window(6, 10, np.nan, Quality.SILENT),
    ]
    # 0-2: the first alone; 1-3: 2 s of the first, 1 s of the second; 5-7: 1 s of the second; 8-10: the nearest.
    assert _along(grid, timeline).tolist() == pytest.approx([1.0, (2 * 1 + 1 * 3) / 3, 3.0, 3.0])
    assert _along(grid, [replace(w, llr=float(i)) for i, w in enumerate(grid)]).tolist() == [0, 1, 2, 3]


def test_what_cannot_be_judged_has_no_opinions(files, tmp_path):
    text = tmp_path / "text.wav"
    text.write_text("a letter")
    silent = write_wav(tmp_path / "silent.wav", np.zeros(48_000, np.float32))
    for models in ([model("a"), model("b")], [model("a"), model("b", window_s=0.5)]):
        results = run(Panel(models, device="cpu"), [text, files[0], silent])
        assert [result.status for result in results] == ["unreadable", "scored", "silent"]
        assert results[0].reason.startswith("not audio or video")
        assert results[2].reason.startswith("silent: the level")
        for result in (results[0], results[2]):
            assert result.opinions == (Opinion("a", None, None), Opinion("b", None, None))
            assert result.llr is result.verdict is result.p_spoof is None


def test_where_one_model_has_nothing_to_say_there_is_no_score(files):
    broken = model("broken", float("nan"))
    result = run(Panel([model("a", 3.0), broken], device="cpu"), files)[0]
    assert result.verdict is None
    assert result.reason == "broken: the detector gave no number"
    assert [opinion.verdict for opinion in result.opinions] == ["bona fide", None]


def test_a_model_without_calibration_gives_no_verdict(files):
    panel = Panel([model("raw", -50.0, calibrated=False)], device="cpu")
    assert panel.basis().thresholds == NO_VERDICT
    assert ("calibration", "none, hence no verdicts") in panel.basis().settings
    assert panel.basis().bonafide is None
    for result in run(panel, files):
        assert (result.status, result.verdict, result.p_spoof) == ("scored", "inconclusive", None)
        assert result.llr == pytest.approx(-50.0)
        assert result.stretches == ()
        assert names(result) == ["uncalibrated"]
        assert "deepcheck models calibrate" in text(result, "uncalibrated")
    [unreadable] = run(panel, [files[0].with_name("gone.wav")])
    assert unreadable.notes == ()


@pytest.mark.parametrize(("threshold", "verdict"), [(0.0, "spoof"), (-60.0, "inconclusive")])
def test_a_model_without_calibration_and_a_threshold(files, threshold, verdict):
    panel = Panel([model("raw", -50.0, calibrated=False)], threshold=threshold, device="cpu")
    for result in run(panel, files):
        assert (result.verdict, result.p_spoof) == (verdict, None)
        assert names(result) == ["uncalibrated"]


def test_half_a_calibration_is_none(files):
    half = model("half", -50.0)
    half = replace(half, card=replace(half.card, thresholds=None))
    assert {result.verdict for result in run(Panel([half], device="cpu"), files)} == {"inconclusive"}


def test_among_several_a_model_without_calibration_does_not_count(files):
    a, raw = model("a", -5.0, gain=1.0, bands=BANDS), model("raw", 400.0, calibrated=False)
    alone = run(Panel([a], device="cpu"), files)
    panel = Panel([raw, a], device="cpu")
    assert panel.basis().thresholds == Thresholds(-1, 1)
    assert panel.basis().false_alarm == 0.01
    assert dict(panel.basis().bands) == BANDS
    for result, expected in zip(run(panel, files), alone, strict=True):
        assert (result.llr, result.verdict, result.p_spoof) == (expected.llr, "spoof", expected.p_spoof)
        assert repr(result.windows) == repr(expected.windows)
        assert result.opinions == (
            Opinion("raw", pytest.approx(400.0), None),
            Opinion("a", expected.llr, "spoof"),
        )
        assert names(result) == ["uncalibrated"]
        assert "does not count" in text(result, "uncalibrated")


def test_if_no_model_is_calibrated_nothing_is_said(files):
    panel = Panel([model("x", -5.0, calibrated=False), model("y", -7.0, calibrated=False)], device="cpu")
    assert panel.basis().thresholds == NO_VERDICT
    for result in run(panel, files):
        assert (result.verdict, result.p_spoof) == ("inconclusive", None)
        assert result.llr == pytest.approx(-6.0)
        assert names(result) == ["uncalibrated", "uncalibrated"]
        assert [opinion.verdict for opinion in result.opinions] == [None, None]


def test_each_model_has_its_own_distance(files):
    near, far = model("near", 3.0, evidence=far_away(3.0)), model("far", 3.0, evidence=far_away(13.0))
    [result] = run(Panel([near], device="cpu"), files[:1])
    assert [w.distance for w in result.windows] == pytest.approx([0.0] * len(result.windows), abs=1e-5)
    scores = next(score_together(Panel([near, far], device="cpu")._scorers[0], files[:1], 1))
    assert [{round(w.distance, 3) for w in one.windows} for one in scores] == [{0.0}, {10.0}]


def test_the_band_of_one_model_is_wide(files, narrow):
    one = model("one", -1.5, bands=BANDS)
    assert Panel([one], device="cpu").basis().bands == (
        ("resample:8k", Thresholds(-2.0, 5.0)),
        ("unfamiliar", Thresholds(-4.0, 1.5)),
    )
    [result] = run(Panel([one], device="cpu"), files[:1])
    assert (result.verdict, result.thresholds) == ("inconclusive", Thresholds(-2.0, 5.0))
    [note] = [note for note in result.notes if note.band]
    assert (note.name, note.band) == ("narrow-band", "resample:8k")


def test_the_thresholds_of_several_move_with_those_of_each(files, narrow):
    wide, plain, odd = (
        model("wide", -1.5, bands=BANDS),
        model("plain", -3.0),
        model("odd", 3.0, evidence=far_away(5.0), bands=BANDS),
    )
    [result] = run(Panel([wide, plain], device="cpu"), files[:1])
    assert result.thresholds == Thresholds((-2 - 1) / 2, (5 + 1) / 2)
    assert [opinion.verdict for opinion in result.opinions] == ["inconclusive", "spoof"]
    assert [note.band for note in result.notes if note.name == "narrow-band"] == ["resample:8k"]
    assert Panel([wide, plain], device="cpu").basis().bands == ()
    [result] = run(Panel([plain, odd], device="cpu"), files[:1])
    assert result.thresholds == Thresholds((-4 - 1) / 2, (5 + 1) / 2)
    assert result.distance == pytest.approx(2.0, abs=1e-3)
    [result] = run(Panel([wide, odd], threshold=-7.0, device="cpu"), files[:1])
    assert result.thresholds == Thresholds(-7.0, 1 + (4 + 4) / 2)  # what the user sets, no band moves


def test_where_a_model_knows_nothing_no_verdict_is_reached(files):
    lost = model("lost", 3.0, evidence=far_away(50.0), bands={UNFAMILIAR: NO_VERDICT})
    [result] = run(Panel([model("a", 30.0), lost], device="cpu"), files[:1])
    assert (result.verdict, result.thresholds) == ("inconclusive", NO_VERDICT)


def test_notes_of_several_models(files, narrow):
    near, far = (model(n, 3.0, evidence=far_away(value), bands=BANDS) for n, value in (("near", 6.0), ("far", 13.0)))
    [result] = run(Panel([near, far, model("plain", 3.0)], device="cpu"), files[:1])
    found = [note.text for note in result.notes if note.name == "unfamiliar"]
    assert [said.partition(" what")[0] for said in found] == ["near: unlike", "far: unlike"]
    assert [note.name for note in result.notes if note.name != "unfamiliar"] == ["narrow-band"]
    assert result.distance == pytest.approx(10.0, abs=1e-3)


def test_a_scan_that_is_given_up_leaves_no_thread_behind(files):
    before = threading.active_count()
    results = Panel([model("a"), model("b", window_s=0.5)], device="cpu").results(files * 5, 2)
    next(results)
    assert threading.active_count() > before
    results.close()
    assert threading.active_count() == before


def test_what_makes_no_panel(files):
    one = model("one")
    for models, message in (
        ([], "There is no model"),
        ([one, one], 'Two models are called "one"'),
        ([one, replace(model("two"), sha256=one.sha256)], "one and two are the same model"),
        ([one, replace(model("two"), card=one.card)], 'Two models are called "one"'),
    ):
        with pytest.raises(ConfigError, match=message):
            Panel(models)
    with pytest.raises(ConfigError, match="The prior probability of spoof is"):
        Panel([one], prior=1.0)
    with pytest.raises(ConfigError, match=r"The threshold is not a number\."):
        Panel([one], threshold=float("nan"))
    with pytest.raises(ConfigError, match="There is no device"):
        Panel([one], device="gpu")


@pytest.mark.gpu
def test_a_panel_on_a_gpu_says_what_it_says_on_a_cpu(files):
    def models():
        return [model("a", 1.0, gain=2.0), model("b", 2.0, gain=-1.0, window_s=0.5)]

    assert torch.cuda.is_available()
    for gpu, cpu in zip(
        run(Panel(models(), device="cuda"), files), run(Panel(models(), device="cpu"), files), strict=True
    ):
        assert gpu.llr == pytest.approx(cpu.llr, abs=1e-4)
        assert gpu.verdict == cpu.verdict
