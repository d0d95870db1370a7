import json
import math

import numpy as np
import pytest
from conftest import write_wav
from typer.testing import CliRunner

from deepcheck import store
from deepcheck.checkpoint import load_checkpoint, same_tensors, save_checkpoint, snapshot
from deepcheck.cli.app import app
from deepcheck.engine.dev_scores import dev_scores_of
from deepcheck.files import sha256


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["models", *(str(argument) for argument in arguments)])
    assert result.exit_code == code, result.stderr or result.exception
    return result


@pytest.fixture
def desk(tmp_path, tiny):
    """Recordings in two folders, sorted by what the tiny detector makes of them: one would call it good."""
    import torch

    rng = np.random.default_rng(0)
    sounds = [np.convolve(rng.standard_normal(16_000), np.ones(1 + i % 7), "same") for i in range(40)]
    waves = np.stack([0.1 * sound / sound.std() for sound in sounds]).astype(np.float32)
    with torch.no_grad():
        order = np.argsort(tiny.score(torch.from_numpy(waves)).numpy())
    for rank, i in enumerate(order):
        write_wav(tmp_path / "desk" / ("spoof" if rank < 20 else "bonafide") / f"{i}.wav", waves[i])
    return tmp_path / "desk"


def test_calibrate(stored_model, desk, home):
    before = load_checkpoint(home / "models" / f"{stored_model('mine')}.safetensors")
    result = run("calibrate", "mine", "--data", desk)
    made = load_checkpoint(home / "models" / "mine-calibrated.safetensors")
    assert same_tensors(made.tensors, before.tensors)
    assert (made.card.name, made.card.parent) == ("mine-calibrated", "mine")
    assert made.card.calibration != before.card.calibration
    assert made.card.rates["bonafide"] == 20
    assert len(dev_scores_of(made.evidence).ids) == 40
    assert "Measuring: the development set" in result.stderr
    assert "too few to show error rates" in result.stderr  # twenty of each
    assert "Stored as mine-calibrated. Next: deepcheck models use mine-calibrated" in result.stderr
    assert "as they are" in result.stdout
    assert before.card == load_checkpoint(home / "models" / "mine.safetensors").card  # which stays as it is


def test_rates_and_conditions_of_ones_own(stored_model, desk, home):
    stored_model("mine")
    options = ("--false-alarm", 0.2, "--miss", 0.25, "--conditions", "telephone, noise")
    result = run("calibrate", "mine", "--data", desk, "--name", "desk", *options)
    card = load_checkpoint(home / "models" / "desk.safetensors").card
    assert (card.rates["false_alarm"], card.rates["miss"]) == (0.2, 0.25)
    assert list(card.bands) == ["telephone", "noise:10dB"]
    for name, band in card.bands.items():
        [line] = [line for line in result.stdout.splitlines() if line.split()[:1] == [name]]
        assert f"{band.spoof:+.2f}" in line
        assert f"{100 * card.metrics[f'dev_eer.{name}']:.2f} %" in line
    assert "Measuring: noise:10dB" in result.stderr
    shown = " ".join(run("show", "desk").stdout.split())
    assert "after telephone spoof at" in shown
    assert "calibrate: desk: 20 bona fide, 20 spoof" in shown
    document = json.loads(run("show", "desk", "--json").stdout)
    assert set(document["bands"]) == {"telephone", "noise:10dB"}
    # Calibrated once more, it is for the same rates.
    run("calibrate", "desk", "--data", desk, "--conditions", "none")
    again = load_checkpoint(home / "models" / "desk-calibrated.safetensors").card
    assert (again.rates["false_alarm"], again.bands) == (0.2, {})


def test_a_name_that_is_taken(stored_model, desk, home):
    path = home / "models" / f"{stored_model('mine')}.safetensors"
    before = sha256(path)
    assert "already" in run("calibrate", "mine", "--data", desk, "--name", "mine", code=1).stderr
    assert sha256(path) == before
    run("calibrate", "mine", "--data", desk, "--name", "mine", "--replace")
    card = load_checkpoint(path).card
    assert (card.name, card.parent) == ("mine", None)
    assert card.history[-1]["stage"] == "calibrate"


def test_a_shipped_model_is_not_overwritten(desk):
    before = sha256(store.resolve("default").path)
    for extra in ((), ("--replace",)):
        stderr = run("calibrate", "default", "--data", desk, "--name", "default", *extra, code=1).stderr
        assert "is the name of a shipped model" in stderr
    assert sha256(store.resolve("default").path) == before


def test_a_file_of_ones_own_choice(stored_model, desk, home, tmp_path):
    stored_model("mine")
    place = tmp_path / "out" / "weights.safetensors"
    assert f"Written to {place}" in run("calibrate", "mine", "--data", desk, "--output", place).stderr
    assert load_checkpoint(place).card.name == "mine"
    assert not (home / "models" / "mine-calibrated.safetensors").exists()


def test_a_model_that_tells_nothing_apart_is_not_stored(stored_model, desk, home):
    stored_model("mine")
    upside_down = desk.parent / "upside-down"
    upside_down.mkdir()
    (desk / "spoof").rename(upside_down / "bonafide")
    (desk / "bonafide").rename(upside_down / "spoof")
    stderr = run("calibrate", "mine", "--data", upside_down, code=1).stderr
    assert "no better than chance" in stderr
    assert "Nothing was saved" in stderr
    assert not (home / "models" / "mine-calibrated.safetensors").exists()


def test_held_out_needs_a_training(stored_model, desk):
    stored_model("mine")
    assert "not known how" in run("calibrate", "mine", "--data", desk, "--held-out", code=1).stderr


def test_a_condition_that_does_not_exist(stored_model, desk):
    stored_model("mine")
    stderr = run("calibrate", "mine", "--data", desk, "--conditions", "telefone", code=1).stderr
    assert 'no condition "telefone"' in stderr


def test_a_model_without_calibration_gets_one(tiny, desk, home):
    from deepcheck.card import Card

    save_checkpoint(snapshot(tiny, Card("raw", tiny.spec)), home / "models" / "raw.safetensors")
    run("calibrate", "raw", "--data", desk, "--name", "fine", "--conditions", "none")
    card = load_checkpoint(home / "models" / "fine.safetensors").card
    assert card.calibration is not None
    assert math.isfinite(card.thresholds.spoof)
