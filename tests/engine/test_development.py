"""What is measured of a finished model: with a detector whose every score can be foretold."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import write_wav

from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import load_checkpoint, same_tensors, save_checkpoint, snapshot
from deepcheck.config import CalibrationConfig, DataConfig, SourceConfig, TrainConfig, to_dict
from deepcheck.data.protocols import read_data
from deepcheck.data.split import hold_out
from deepcheck.detectors import DETECTORS
from deepcheck.detectors.base import Detector
from deepcheck.engine import development
from deepcheck.engine.bands import UNFAMILIAR
from deepcheck.engine.calibrate import fit, score
from deepcheck.engine.dev_scores import dev_scores_of, id_of
from deepcheck.engine.development import Part, calibration_of, develop, recalibrated
from deepcheck.engine.reference import reference_of
from deepcheck.engine.score import Scorer
from deepcheck.errors import ConfigError, DataError
from deepcheck.metrics.calibration import Calibration, Thresholds

CPU = torch.device("cpu")
LENIENT = CalibrationConfig(false_alarm=0.4, miss=0.4, confidence=0.6, conditions=["telephone"])


class Brightness(Detector):
    """The logit is how bright a sound is: the mean step from one sample to the next, in units of the level."""

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.spec = DetectorSpec("brightness", {"gain": gain})
        self.window_s = 1.0
        self.register_buffer("gain", torch.tensor(gain))

    def features(self, waveform):
        return waveform.unsqueeze(1)

    def embedded(self, features):
        sound = features.squeeze(1)
        level = sound.square().mean(1).sqrt()
        step, jerk = (torch.diff(sound, n=n).abs().mean(1) for n in (1, 2))
        return torch.stack([step / level, jerk / level], 1)

    def logit_of(self, embedding):
        return self.gain * embedding[:, 0]

    def groups(self):
        return []


class NoEmbedding(Brightness):
    """The same without telling what it is made from."""

    def logit(self, features):
        return self.logit_of(self.embedded(features))


def make_known(monkeypatch):
    for kind in (Brightness, NoEmbedding):
        monkeypatch.setitem(DETECTORS._rows, kind.__name__.lower(), f"{__name__}:{kind.__name__}")
    monkeypatch.setattr(development, "_FEWEST", 3)


@pytest.fixture(autouse=True)
def known(monkeypatch):
    make_known(monkeypatch)


def write_data(folder):
    """Genuine recordings are bright noise, synthetic ones dull; six sites, five of each label at each."""
    rng = np.random.default_rng(0)
    rows = ["path,label,source"]
    for i in range(60):
        noise = rng.standard_normal(16_000)
        dull = np.convolve(noise, np.ones(2 + i % 3) / 2, "same")
        bright = noise + rng.uniform(0, 1) * dull
        sound, label = (bright, "bonafide") if i % 2 else (dull, "spoof")
        write_wav(folder / f"{i}.wav", (0.1 * sound / sound.std()).astype(np.float32))
        rows.append(f"{i}.wav,{label},site{i % 6 // 2 + 3 * (i % 4 // 2)}")
    (folder / "data.csv").write_text("\n".join(rows))
    return read_data(folder / "data.csv")


@pytest.fixture
def data(tmp_path):
    """Recordings that a test may spoil."""
    return write_data(tmp_path)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    """(the same recordings, what is measured on them)."""
    data = write_data(tmp_path_factory.mktemp("lasting"))
    with pytest.MonkeyPatch.context() as patch:
        make_known(patch)
        return data, develop([Part(Brightness(), data, data)], LENIENT, device=CPU)


def checkpoint_of(model=None, **card):
    model = model or Brightness()
    return snapshot(model, Card("bright", model.spec, **card))


def trained(recordings, **settings):
    """What a card says of a training on `recordings`, of which a part was kept aside."""
    _, dev = hold_out(recordings, 0.3, "source", 7)
    config = TrainConfig(
        seed=7, data=DataConfig(SourceConfig("x"), holdout=0.3, holdout_by="source"), calibration=LENIENT
    )
    return {"stage": "train", "dev": dev.describe(), "config": to_dict(replace(config, **settings))}


def test_all_comes_from_one_pass(lasting):
    data, found = lasting
    bonafide, spoof = score(Scorer(Brightness(), device="cpu"), data).by_label()
    expected = fit(bonafide, spoof, LENIENT)
    assert found.fitted.calibration.scale == pytest.approx(expected.calibration.scale)
    assert found.fitted.thresholds.spoof == pytest.approx(expected.thresholds.spoof)
    assert found.fitted.rates == expected.rates
    scores = dev_scores_of(found.evidence)
    assert scores.ids.tolist() == [id_of(str(i)) for i in range(60)]
    assert scores.labels.tolist() == [i % 2 for i in range(60)]
    np.testing.assert_allclose(scores.by_label()[0], bonafide)
    card = found.onto(Card("x", DetectorSpec("brightness")))
    assert card.bands == found.fitted.bands
    assert card.metrics["dev_eer.telephone"] == found.fitted.metrics["dev_eer.telephone"]


def test_a_band_is_what_the_condition_does_to_the_scores(lasting):
    _, found = lasting
    telephone = found.fitted.bands["telephone"]
    # A telephone takes the brightness of everything, so that genuine recordings would be called spoof by thresholds
    # that do not know.
    assert telephone.spoof < found.fitted.thresholds.spoof
    assert telephone.bonafide < found.fitted.thresholds.bonafide
    assert set(found.fitted.bands) == {"telephone", UNFAMILIAR}


def test_distance_one_is_where_the_farthest_hundredth_begins(lasting):
    data, found = lasting
    reference = reference_of(found.evidence)
    distances = score(Scorer(Brightness(), device="cpu", reference=reference), data).distances
    assert np.quantile(distances, 0.99) == pytest.approx(1.0, rel=1e-4)


def test_without_conditions_there_are_no_bands(data):
    config = replace(LENIENT, conditions=[], reference_recordings=0)
    found = develop([Part(Brightness(), data, data)], config, device=CPU)
    assert found.fitted.bands == {}
    assert reference_of(found.evidence) is None
    assert dev_scores_of(found.evidence) is not None


def test_too_few_recordings_have_no_bands(data):
    strict = CalibrationConfig(conditions=["telephone"])  # 1 % takes 299 genuine ones, 5 % 59 spoofs
    told = []
    found = develop([Part(Brightness(), data, data)], strict, device=CPU, progress=told.append)
    assert found.fitted.bands == {}
    assert "too few to show" in found.fitted.note
    assert told == ["what the model was trained on", "the development set"]


def test_a_detector_without_an_embedding_has_no_distance(data):
    found = develop([Part(NoEmbedding(), data, data)], LENIENT, device=CPU)
    assert reference_of(found.evidence) is None
    assert set(found.fitted.bands) == {"telephone"}
    [scores] = Scorer(NoEmbedding(), device="cpu").recordings([data.utterances[0].path])
    assert np.isnan(scores.distance())


def test_a_detector_that_is_no_better_than_chance(data):
    found = develop([Part(Brightness(-1.0), data, data)], LENIENT, device=CPU)
    assert (found.fitted.calibration, found.fitted.thresholds, found.fitted.bands) == (None, None, {})
    assert "no better than chance" in found.fitted.note
    assert dev_scores_of(found.evidence) is not None


def test_recalibrated_on_recordings_of_ones_own(data):
    before = checkpoint_of(calibration=Calibration(1.0, 5.0), thresholds=Thresholds(9.0, 9.0))
    made, note = recalibrated(before, data, name="desk", config=LENIENT, device="cpu")
    assert note == ""
    assert (made.card.name, made.card.parent) == ("desk", "bright")
    assert same_tensors(made.tensors, before.tensors)
    assert made.card.rates["bonafide"] == 30
    assert made.card.calibration != before.card.calibration
    assert made.card.history[-1]["stage"] == "calibrate"
    assert made.card.history[-1]["dev"] == data.describe()
    assert len(dev_scores_of(made.evidence).ids) == 60
    assert reference_of(made.evidence) is not None  # of a half of the recordings


def test_what_is_known_of_the_training_data_is_kept(data):
    first, _ = recalibrated(checkpoint_of(), data, name="a", config=LENIENT, device="cpu")
    part = data.where(lambda utterance: int(utterance.id) < 30)
    second, _ = recalibrated(first, part, name="b", config=LENIENT, device="cpu")
    for name in ("reference.mean", "reference.axes", "reference.variances"):
        assert torch.equal(second.evidence[name], first.evidence[name])


def test_the_part_that_training_kept_aside(data):
    rest, dev = hold_out(data, 0.3, "source", 7)
    before = checkpoint_of(history=(trained(data),))
    told = []
    made, _ = recalibrated(before, data, name="again", held_out=True, device="cpu", progress=told.append)
    assert dev_scores_of(made.evidence).ids.tolist() == [id_of(u.id) for u in dev.utterances]
    expected = develop([Part(Brightness(), dev, rest)], LENIENT, device=CPU)
    assert made.card.thresholds == expected.fitted.thresholds
    assert made.card.bands == expected.fitted.bands
    assert same_tensors(made.evidence, expected.evidence)
    assert told == ["what the model was trained on", "the development set", "telephone"]


def test_held_out_of_other_data_is_noticed(data):
    before = checkpoint_of(history=(trained(data),))
    fewer = data.where(lambda utterance: int(utterance.id) < 50)
    with pytest.raises(DataError, match=r"not the recordings that .bright. was trained with"):
        recalibrated(before, fewer, name="x", held_out=True, device="cpu")


def test_held_out_of_nothing(data):
    with pytest.raises(ConfigError, match="not known how"):
        recalibrated(checkpoint_of(), data, name="x", held_out=True, device="cpu")
    own = trained(data, data=DataConfig(SourceConfig("x"), dev=SourceConfig("y")))
    with pytest.raises(ConfigError, match="development set of its own"):
        recalibrated(checkpoint_of(history=(own,)), data, name="x", held_out=True, device="cpu")


def test_recalibration_needs_both_labels_and_a_detector_that_tells_them_apart(data):
    with pytest.raises(DataError, match="no spoof recording"):
        recalibrated(checkpoint_of(), data.where(lambda u: bool(u.label)), name="x", config=LENIENT, device="cpu")
    with pytest.raises(DataError, match="no better than chance"):
        recalibrated(checkpoint_of(Brightness(-1.0)), data, name="x", config=LENIENT, device="cpu")


def test_recordings_that_cannot_be_decoded_are_told_and_left_out(data):
    path = data.utterances[3].path
    path.write_bytes(b"RIFF")
    told = []
    made, _ = recalibrated(
        checkpoint_of(), data, name="x", config=LENIENT, device="cpu", on_error=lambda *error: told.append(error)
    )
    assert [error[0] for error in told] == [path]
    assert len(dev_scores_of(made.evidence).ids) == 59


def test_settings_are_those_of_the_last_calibration(data):
    plain = Card("x", DetectorSpec("brightness"))
    assert calibration_of(plain) == CalibrationConfig()
    row = trained(data)
    assert calibration_of(replace(plain, history=(row,))) == LENIENT
    later = {"stage": "calibrate", "calibration": to_dict(replace(LENIENT, miss=0.2))}
    grown = {"stage": "grow", "changes": []}
    assert calibration_of(replace(plain, history=(row, later, grown))).miss == 0.2
    assert calibration_of(replace(plain, history=(row, later)), miss=0.1, conditions=[]).conditions == []
    # Before there were conditions, and what strangers write.
    del row["config"]["calibration"]["conditions"]
    assert calibration_of(replace(plain, history=(row,))).conditions == CalibrationConfig().conditions
    for odd in ({"calibration": {"miss": "often"}}, {"calibration": 3}, {"config": None}, "train"):
        assert calibration_of(replace(plain, history=(odd,))) == CalibrationConfig()


def test_it_is_stored_whole(tmp_path, data):
    made, _ = recalibrated(checkpoint_of(), data, name="desk", config=LENIENT, device="cpu")
    save_checkpoint(made, tmp_path / "x")
    again = load_checkpoint(tmp_path / "x")
    assert again.card == replace(made.card, history=again.card.history)
    assert same_tensors(again.evidence, made.evidence)
    assert again.card.history == made.card.history
