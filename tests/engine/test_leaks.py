"""What makes a training worth nothing is found before it, or as it happens."""

import shutil

import numpy as np
import pytest
import torch
from conftest import speechlike, write_wav
from odd_decoder import ODD
from typer.testing import CliRunner

from deepcheck.audio import isolated
from deepcheck.cli.app import app
from deepcheck.config import load_config
from deepcheck.data.content import twins
from deepcheck.data.folds import folds
from deepcheck.data.protocols import read_data
from deepcheck.engine.calibrate import swapped
from deepcheck.engine.data_check import check_data
from deepcheck.engine.leaks import leaks
from deepcheck.engine.train import train
from deepcheck.engine.training_sets import few, read_sets
from deepcheck.errors import DataError

SMALL = ["detector.width=2", "detector.window_s=1.0", "data.workers=0", "epochs=1", "batch_size=4"]


def settings(data, *more):
    return load_config(None, [f"data.train.path={data}", *SMALL, *more])


def checked(corpus, *arguments):
    return CliRunner().invoke(app, ["train", "--data", str(corpus), "--check", *arguments])


@pytest.fixture
def dev(corpus, tmp_path):
    """A development set of other recordings, of five of each label."""
    for i in range(5):
        write_wav(tmp_path / "dev" / "bonafide" / f"d{i}.wav", speechlike(1.2, seed=50 + i))
        write_wav(tmp_path / "dev" / "spoof" / f"e{i}.wav", 0.1 * np.sign(speechlike(1.2, seed=70 + i)))
    return tmp_path / "dev"


def test_twins_are_found_by_content_alone(corpus):
    shutil.copy(corpus / "bonafide" / "site0" / "b0.wav", corpus / "bonafide" / "site1" / "another name.wav")
    changed = bytearray((corpus / "spoof" / "system0" / "s0.wav").read_bytes())
    changed[-1] ^= 1
    (corpus / "spoof" / "system1" / "s0x.wav").write_bytes(changed)  # of the same size
    utterances = read_data(corpus).utterances
    assert [{utterances[i].path.name for i in group} for group in twins(utterances)] == [{"b0.wav", "another name.wav"}]


def test_a_recording_in_both_sets_is_refused_under_any_name(corpus, dev):
    assert len(read_sets(settings(corpus, f"data.dev.path={dev}"))) == 2
    shutil.copy(corpus / "spoof" / "system0" / "s0.wav", dev / "spoof" / "innocent.wav")
    with pytest.raises(
        DataError, match=r"1 recording of the development set are in the training set as well"
    ) as caught:
        read_sets(settings(corpus, f"data.dev.path={dev}"))
    assert "innocent.wav" in caught.value.message
    assert "s0.wav" in caught.value.message
    assert "--check" in caught.value.hint
    result = checked(corpus, "--dev", str(dev))
    assert result.exit_code == 1
    assert "The same content" in result.stdout
    assert "innocent.wav" in " ".join(result.stderr.split())


def test_a_recording_with_both_labels_is_refused(corpus):
    shutil.copy(corpus / "spoof" / "system0" / "s0.wav", corpus / "bonafide" / "site0" / "voice.wav")
    found = leaks(read_data(corpus))
    [(genuine, spoof)] = found.contradictions
    assert (genuine.path.name, spoof.path.name) == ("voice.wav", "s0.wav")
    with pytest.raises(DataError, match=r"bear both labels.*swapped"):
        found.refuse()


def test_the_check_shows_counts_and_what_cannot_be_read(corpus):
    (corpus / "spoof" / "system1" / "broken.wav").write_bytes(b"RIFF")
    (corpus / "bonafide" / "site0" / "twin.wav").write_bytes((corpus / "bonafide" / "site0" / "b0.wav").read_bytes())
    counted, compared, heard = check_data(settings(corpus, "folds.count=2"))
    assert [found.refusals for found in (counted, compared, heard)] == [(), (), ()]
    whole = [one for one in counted.counts if not one.key]
    assert [one.part for one in whole] == ["fold 1 of 2 by source", "fold 2 of 2 by source"]
    assert (sum(one.bonafide for one in whole), sum(one.spoof for one in whole)) == (13, 13)
    assert compared.warnings == ("1 recordings are there more than once, by content.",)
    assert [one.path.name for one, _ in heard.unreadable] == ["broken.wav"]
    assert any("1 of 26 recordings cannot be read" in text for text in heard.warnings)
    result = checked(corpus, "--folds", "2")
    assert result.exit_code == 0, result.output
    assert "fold 1 of 2" in result.stdout
    assert "broken.wav" in result.stdout
    assert "Audit of" in result.stdout
    assert "Nothing here would stop a training." in result.stderr


def test_the_check_tells_what_it_has_before_it_decodes(corpus, monkeypatch):
    class DecodingError(Exception):
        pass

    def decoding(*_, **__):
        raise DecodingError

    monkeypatch.setattr("deepcheck.engine.data_check.gather", decoding)
    shutil.copy(corpus / "spoof" / "system0" / "s0.wav", corpus / "bonafide" / "site0" / "voice.wav")
    looks = check_data(settings(corpus))
    assert next(looks).counts
    assert "bear both labels" in next(looks).refusals[0]
    with pytest.raises(DecodingError):
        next(looks)


def test_a_recording_in_two_folds_is_refused(corpus, tmp_path):
    config = settings(corpus, "folds.count=2")
    everything = read_data(corpus)
    one, other = ({u.source for u in fold.test.utterances if u.label} for fold in folds(everything, 2))
    shutil.copy(corpus / "bonafide" / min(one) / "b0.wav", corpus / "bonafide" / min(other) / "again.wav")
    _, compared, _ = check_data(config)
    pairs = {(learnt.path.name, tested.path.name) for learnt, tested in compared.leaks.overlaps}
    assert pairs == {("b0.wav", "again.wav"), ("again.wav", "b0.wav")}
    assert compared.leaks.repeats == 0
    with pytest.raises(DataError, match="2 recordings of its test part are in the training part of a fold as well"):
        list(train(config, tmp_path / "run"))
    result = checked(corpus, "--folds", "2")
    assert result.exit_code == 1
    assert "The same content" in result.stdout
    assert result.stderr.startswith("Refused: 2 recordings of its test part")


def test_both_labels_end_a_training_over_folds(corpus, tmp_path):
    shutil.copy(corpus / "spoof" / "system0" / "s0.wav", corpus / "bonafide" / "site0" / "voice.wav")
    with pytest.raises(DataError, match="bear both labels"):
        list(train(settings(corpus, "folds.count=2"), tmp_path / "run"))


def test_a_recording_that_crashes_its_decoder_is_one_that_cannot_be_read(corpus, monkeypatch):
    shutil.copy(corpus / "spoof" / "system0" / "s0.wav", corpus / "spoof" / "system0" / "crash.wav")
    isolated.close()
    monkeypatch.setattr(isolated, "_START", ODD)
    *_, heard = check_data(settings(corpus), jobs=1)
    isolated.close()
    [(utterance, reason)] = heard.unreadable
    assert utterance.path.name == "crash.wav"
    assert "SIGSEGV" in reason


def test_the_check_refuses_what_a_training_would(corpus):
    for file in (corpus / "bonafide").rglob("*.wav"):
        file.write_bytes(b"RIFF")
    result = checked(corpus)
    assert result.exit_code == 1
    assert "None of the bonafide recordings" in " ".join(result.stderr.split())
    shutil.rmtree(corpus / "bonafide")
    result = checked(corpus)
    assert result.exit_code == 1
    assert "Refused:" in result.stderr


def test_a_training_in_which_a_label_cannot_be_read_ends_with_the_reason(corpus, dev, tmp_path):
    for i, file in enumerate((corpus / "bonafide").rglob("*.wav")):
        file.write_bytes(b"RIFF" + bytes([i]))
    with pytest.raises(DataError, match="None of the bonafide recordings of an epoch could be decoded"):
        list(train(settings(corpus, f"data.dev.path={dev}"), tmp_path / "run"))


def test_a_loss_that_is_no_number_ends_the_training_at_once(corpus, dev, tmp_path, monkeypatch):
    def diverged(self, batch, generator):
        return float("nan")

    monkeypatch.setattr("deepcheck.engine.objective.Objective.backward", diverged)
    with pytest.raises(DataError, match=r"The loss is nan in step 1 of epoch 1: the training has diverged") as caught:
        list(train(settings(corpus, f"data.dev.path={dev}"), tmp_path / "run"))
    assert "smaller --lr than 0.001" in caught.value.hint


def test_a_small_development_set_is_told_at_the_start(corpus, dev, tmp_path):
    started = next(iter(train(settings(corpus, f"data.dev.path={dev}"), tmp_path / "run")))
    assert "The development set has 5 bona fide and 5 spoof recordings: fewer than 50" in started.note
    assert few(read_data(dev)) == started.note


def test_swapped_labels_are_asked_about_only_where_the_scores_are_clear():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    low, high = rng.normal(-1, 1, 60), rng.normal(1, 1, 60)
    assert "are the labels of one of the sets swapped?" in swapped(low, high)
    assert swapped(high, low) == ""
    assert swapped(low, rng.normal(-1, 1, 60)) == ""
    assert swapped(low[:2], high[:2]) == ""  # four recordings say nothing
