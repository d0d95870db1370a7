"""Growth in rounds: where the data say, until the development set gains nothing, and from where it was stopped."""

from dataclasses import replace

import pytest
from engine.test_stages import settings

from deepcheck.checkpoint import load_checkpoint, same_tensors
from deepcheck.config import CalibrationConfig, RoundsConfig, SamplingConfig, StageConfig, load_config
from deepcheck.engine import rounds
from deepcheck.engine.events import Done, RoundDone, Step
from deepcheck.engine.train import train
from deepcheck.errors import ConfigError

STAGES = (
    StageConfig("grow", layer="auto", share=0.25, recordings=8),
    StageConfig("train", epochs=1, mode="frozen", lr=1e-2),
)


@pytest.fixture
def config(corpus, stored_model):
    quick = {"calibration": CalibrationConfig(conditions=()), "sampling": SamplingConfig(samples_per_epoch=16)}
    return settings(corpus, STAGES, start=stored_model("base"), rounds=RoundsConfig(most=3, patience=2), **quick)


def rows(events):
    return [event for event in events if isinstance(event, RoundDone)]


def with_eers(monkeypatch, eers):
    """The development EERs of the models in turn: what rounds decide by."""
    real, told = rounds._round, iter(eers)

    def round_with(*arguments):
        checkpoint = yield from real(*arguments)
        card = replace(checkpoint.card, metrics={**checkpoint.card.metrics, "dev_eer": next(told)})
        return replace(checkpoint, card=card)

    monkeypatch.setattr(rounds, "_round", round_with)
    monkeypatch.setattr(rounds, "eer", lambda *scores: (0.4, 0.0))


def test_rounds_grow_and_end_with_the_best(config, tmp_path, monkeypatch):
    with_eers(monkeypatch, [0.3, 0.2, 0.25])
    events = list(train(config, tmp_path))
    made = rows(events)
    assert [(one.number, one.dev_eer, one.best) for one in made] == [
        (0, 0.4, True),
        (1, 0.3, True),
        (2, 0.2, True),
        (3, 0.25, False),
    ]
    sizes = [one.parameters for one in made]
    assert sizes == sorted(set(sizes))  # each round grows from where the one before left
    layers = [int(one.what.split()[-1]) for one in made[1:]]
    assert made[0].what == "before"
    done = events[-1]
    assert isinstance(done, Done)
    card = done.checkpoint.card
    assert (card.name, card.parent, card.parameters) == ("mine", "base", sizes[2])
    assert card.thresholds is not None
    assert same_tensors(done.checkpoint.tensors, load_checkpoint(tmp_path / "round-2.safetensors").tensors)
    assert "the model is that of round 2" in done.reason
    # A quarter of the layer that was chosen, or of what it had become.
    first = f"blocks.{layers[0] - 1}.conv1"
    width = 4 << (layers[0] - 1) // 2
    assert load_checkpoint(tmp_path / "round-1.safetensors").card.widths == {first: width + width // 4}
    assert [row["stage"] for row in card.history] == ["grow", "train", "grow", "train"]
    # Frozen, a round moves nothing of the round before.
    before, after = (load_checkpoint(tmp_path / f"round-{n}.safetensors").tensors for n in (0, 1))
    for name, tensor in before.items():
        assert after[name][tuple(map(slice, tensor.shape))].equal(tensor), name


def test_it_ends_when_patience_does_and_keeps_the_model_before(config, tmp_path, monkeypatch, home):
    with_eers(monkeypatch, [0.45, 0.4, 0.1])
    config = replace(config, rounds=RoundsConfig(most=9, patience=2))
    events = list(train(config, tmp_path))
    assert [one.best for one in rows(events)] == [True, False, False]
    assert events[-1].reason == "no better development EER in 2 rounds; no round was better than the model before"
    base = load_checkpoint(home / "models" / "base.safetensors")
    assert same_tensors(events[-1].checkpoint.tensors, base.tensors)


def test_stopped_and_started_again_it_ends_with_the_same_model(config, tmp_path):
    config = replace(config, rounds=RoundsConfig(most=2, patience=2))
    [*whole, done] = train(config, tmp_path / "one")
    for last in (lambda event: isinstance(event, RoundDone) and event.number == 1, lambda event: type(event) is Step):
        run = train(config, tmp_path / "two")
        for event in run:
            if last(event):
                break
        run.close()
    [*again, resumed] = train(config, tmp_path / "two")
    assert [(one.what, one.dev_eer) for one in rows(again)] == [(one.what, one.dev_eer) for one in rows(whole)]
    assert same_tensors(resumed.checkpoint.tensors, done.checkpoint.tensors)
    with pytest.raises(ConfigError, match=r"other settings: rounds\.patience"):
        list(train(replace(config, rounds=RoundsConfig(most=2, patience=1)), tmp_path / "two"))


def test_what_makes_no_rounds(config, tmp_path, monkeypatch):
    for wrong in ({"start": None}, {"stages": ()}, {"stages": (StageConfig("train"),)}):
        with pytest.raises(ConfigError, match="Rounds repeat stages that begin with growth"):
            list(train(replace(config, **wrong), tmp_path))
    for setting in ("rounds.most=-1", "rounds.patience=0"):
        with pytest.raises(ConfigError, match=setting.partition("=")[0]):
            load_config(None, [setting])
    for stage in (StageConfig("grow", share=1.5), StageConfig("prune", share=0.5, criterion="newest")):
        with pytest.raises(ConfigError, match=r"stages\[0\] has a share"):
            list(train(replace(config, stages=(stage, StageConfig("train"))), tmp_path / "other"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="no work for torchrun"):
        list(train(config, tmp_path))
