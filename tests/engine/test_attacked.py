import json
import math

import numpy as np
import pytest
import torch
from conftest import speechlike, write_wav
from typer.testing import CliRunner

from deepcheck.card import Card, DetectorSpec
from deepcheck.cli.app import app
from deepcheck.data.protocols import read_data
from deepcheck.data.utterance import Label
from deepcheck.detectors.base import build
from deepcheck.engine.attacked import Attacked, AttackedTrial, attacked, sampled
from deepcheck.engine.attacks import ATTACKS, KINDS, Attack, parse_attacks
from deepcheck.engine.attacks.pgd import pgd
from deepcheck.engine.attacks.victim import Victim
from deepcheck.engine.model import Model
from deepcheck.errors import ConfigError
from deepcheck.metrics.calibration import Calibration, Thresholds


@pytest.fixture
def model(tiny, tmp_path):
    card = Card("m", tiny.spec, calibration=Calibration(1.0, 0.0), thresholds=Thresholds(-0.01, 0.01))
    return Model(tiny, card, tmp_path / "m", "0" * 64)


def test_names_and_budgets():
    assert [one.text for one in parse_attacks("pgd:40dB, codec,noise:20,pgd:40")] == ["pgd:40dB", "codec", "noise:20dB"]
    assert [one.text for one in parse_attacks("noise")] == [f"noise:{budget:g}dB" for budget in KINDS["noise"].budgets]
    assert math.isnan(parse_attacks("CODEC")[0].budget)
    for name in ATTACKS:
        assert callable(ATTACKS.resolve(name))
    for text, reason in (
        ("", "empty"),
        ("pdg", 'Did you mean "pgd"'),
        ("codec:3", "takes none"),
        ("pgd:x", "0 to 90 dB"),
    ):
        with pytest.raises(ConfigError, match=reason):
            parse_attacks(text)


def test_the_gradient_is_that_of_the_mean_over_all_windows(model):
    # Three that overlap, the last one aligned with the end; and one that is repeated to its length.
    stretches = {26_500: ((0, 16_000), (8_000, 24_000), (10_500, 26_500)), 9_000: ((0, 9_000),)}
    for samples, spans in stretches.items():
        sound = speechlike(2.0, seed=1)[:samples]
        value, slope = Victim(model, "cpu").gradient(sound)
        whole = torch.from_numpy(sound).requires_grad_()
        windows = torch.stack([whole[start:stop].repeat(2)[:16_000] for start, stop in spans])
        mean = model.detector.score(windows).mean()
        mean.backward()
        assert value == pytest.approx(float(mean.detach()), abs=1e-5)
        np.testing.assert_allclose(slope, whole.grad.numpy(), rtol=1e-3, atol=1e-4 * float(whole.grad.abs().max()))
        assert np.linalg.norm(slope) > 0


def test_pgd_moves_the_score_its_way_within_its_budget_and_farther_with_more(model):
    victim, sound = Victim(model, "cpu"), speechlike(1.8, seed=2)
    clean = victim.llr(sound)
    moves = {}
    for budget in (50.0, 30.0):
        for towards in (1, -1):
            changed = pgd(victim, sound, towards, budget, np.random.default_rng(0))[-1]
            moves[budget, towards] = towards * (victim.llr(changed) - clean)
            noise = np.linalg.norm(changed.astype(np.float64) - sound)
            assert 20 * math.log10(np.linalg.norm(sound) / noise) > budget - 0.5
            assert np.array_equal(changed * 32768, np.round(changed * 32768))
    assert all(move > 0 for move in moves.values())
    assert moves[30.0, 1] > moves[50.0, 1]
    # Noise of the same level, at random, does far less.
    random = np.random.default_rng(1).standard_normal(len(sound)).astype(np.float32)
    random *= np.float32(np.linalg.norm(sound) * 10 ** (-30 / 20) / np.linalg.norm(random))
    shift = victim.llr(sound + random) - clean
    assert shift < moves[30.0, 1]
    assert -shift < moves[30.0, -1]


def test_the_rates_are_counted_from_the_verdicts_before_and_after(corpus):
    protocol = read_data(corpus)
    genuine, spoofs = (
        [one for one in protocol.utterances if one.label is label] for label in (Label.BONAFIDE, Label.SPOOF)
    )
    trials = (
        AttackedTrial(genuine[0], 2.0, -2.0, 30.0),  # accused
        AttackedTrial(genuine[1], -2.0, -3.0, 40.0),  # was already
        AttackedTrial(genuine[2], 2.0, 0.0, 50.0),
        AttackedTrial(spoofs[0], -2.0, 2.0, 20.0),  # cleared, and escaped
        AttackedTrial(spoofs[1], -2.0, 0.0, 20.0),  # escaped
        AttackedTrial(spoofs[2], -2.0, -2.0, math.inf),  # held
        AttackedTrial(spoofs[3], 0.0, 2.0, 20.0),  # cleared
        AttackedTrial(spoofs[4], 2.0, 3.0, 20.0),  # was already
    )
    found = Attacked("m", "p", "pgd:30dB", Thresholds(-1.0, 1.0), trials, ())
    assert (found.accused.count, found.accused.total) == (1, 3)
    assert (found.cleared.count, found.cleared.total) == (2, 5)
    assert (found.escaped.count, found.escaped.total) == (2, 3)
    median, interval = found.snr_db
    assert median == 20.0
    assert interval.low <= median <= interval.high <= 50.0
    assert found.eers[0].value < found.eers[1].value


def test_no_attack_makes_a_score_worse_for_the_attacker(model, corpus):
    part = sampled(read_data(corpus), 2)
    assert [part.counts()[label] for label in Label] == [2, 2]
    assert (
        part.utterances == sampled(read_data(corpus), 2).utterances != sampled(read_data(corpus), 2, seed=1).utterances
    )
    for one in attacked(model, part, parse_attacks("pgd:30dB,codec,noise:20dB"), device="cpu"):
        assert len(one.trials) == 4
        for trial in one.trials:
            towards = 1 if trial.utterance.label is Label.SPOOF else -1
            assert towards * (trial.attacked - trial.clean) >= 0
        assert any(trial.attacked != trial.clean for trial in one.trials)


def test_a_detector_without_a_way_back_says_so(model, monkeypatch):
    monkeypatch.setattr(type(model.detector), "features", lambda self, x: self.frontend(x.detach()))
    with pytest.raises(ConfigError, match="have no gradient"):
        Victim(model, "cpu").gradient(speechlike(1.5))


def test_the_recurrent_detector_has_a_gradient_too(tmp_path):
    torch.manual_seed(0)
    detector = build(DetectorSpec("gru", {"units": [4], "window_s": 1.0}))
    card = Card("g", detector.spec, calibration=Calibration(1.0, 0.0), thresholds=Thresholds(-1.0, 1.0))
    _, slope = Victim(Model(detector, card, tmp_path / "g", "0" * 64), "cpu").gradient(speechlike(1.5))
    assert np.linalg.norm(slope) > 0
    assert not any(parameter.grad is not None for parameter in detector.parameters())


def test_the_command(corpus, tmp_path, stored_model):
    write_wav(corpus / "spoof" / "broken.wav", np.zeros(0, np.float32))
    arguments = [
        "eval",
        stored_model(),
        "--data",
        str(corpus),
        "--attack",
        "noise:20dB",
        "--json",
        str(tmp_path / "a.json"),
    ]
    result = CliRunner().invoke(app, [*arguments, "--limit", "3", "--by", ""])
    assert result.exit_code in (0, 3), result.output
    assert "Attacked: " in result.stdout
    [row] = json.loads((tmp_path / "a.json").read_text())["attacks"]
    assert row["attack"] == "noise:20dB"
    assert row["genuine_becomes_spoof"]["total"] == 3
    assert {trial["label"] for trial in row["trials"]} == {"bonafide", "spoof"}
    assert row["eer_after"] >= row["eer_before"]
    assert Attack("noise", 20.0).text in result.stdout
