"""Growth in rounds: where the data say, until the development set gains nothing, and from where it was stopped."""

from dataclasses import replace

import pytest
from engine.test_stages import settings

from deepcheck.checkpoint import load_checkpoint, same_tensors
from deepcheck.config import CalibrationConfig, SamplingConfig, StageConfig
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
    return settings(corpus, STAGES, start=stored_model("base"), rounds=2, **quick)


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


def test_rounds_grow_end_with_the_best_and_survive_being_stopped(config, tmp_path, monkeypatch):
    with_eers(monkeypatch, [0.2, 0.25, 0.2, 0.25])
    events = list(train(config, tmp_path / "one"))
    made = rows(events)
    assert [(one.number, one.dev_eer, one.best) for one in made] == [(0, 0.4, True), (1, 0.2, True), (2, 0.25, False)]
    sizes = [one.parameters for one in made]
    assert sizes == sorted(set(sizes))  # each round grows from where the one before left
    done = events[-1]
    assert isinstance(done, Done)
    card = done.checkpoint.card
    assert (card.name, card.parent, card.parameters) == ("mine", "base", sizes[1])
    assert card.thresholds is not None
    before, first, second = (load_checkpoint(tmp_path / "one" / f"round-{n}.safetensors") for n in range(3))
    assert same_tensors(done.checkpoint.tensors, first.tensors)
    assert done.reason == "2 rounds done; the model is that of round 1"
    # A quarter of the layer that was chosen.
    assert made[0].what == "before"
    layer = int(made[1].what.split()[-1])
    width = 4 << (layer - 1) // 2
    assert made[1].what == f"{width // 4} channels in layer {layer}"
    assert first.card.widths == {f"blocks.{layer - 1}.conv1": width + width // 4}
    assert [row["stage"] for row in second.card.history] == ["grow", "train", "grow", "train"]
    # Frozen, a round moves nothing of the round before.
    for name, tensor in before.tensors.items():
        assert first.tensors[name][tuple(map(slice, tensor.shape))].equal(tensor), name

    # Stopped after the first round, and once more within the second.
    for last in (lambda event: isinstance(event, RoundDone) and event.number == 1, lambda event: type(event) is Step):
        run = train(config, tmp_path / "two")
        for event in run:
            if last(event):
                break
        run.close()
    [*again, resumed] = train(config, tmp_path / "two")
    assert [(one.what, one.dev_eer) for one in rows(again)] == [(one.what, one.dev_eer) for one in made]
    assert same_tensors(resumed.checkpoint.tensors, done.checkpoint.tensors)
    assert same_tensors(load_checkpoint(tmp_path / "two" / "round-2.safetensors").tensors, second.tensors)
    with pytest.raises(ConfigError, match=r"other settings: rounds_patience"):
        list(train(replace(config, rounds_patience=1), tmp_path / "two"))


def test_it_ends_when_patience_does_and_keeps_the_model_before(config, tmp_path, monkeypatch, home):
    with_eers(monkeypatch, [0.4, 0.1])
    config = replace(config, rounds=9, rounds_patience=1)
    events = list(train(config, tmp_path))
    assert [one.best for one in rows(events)] == [True, False]
    assert events[-1].reason == "no better development EER in 1 rounds; no round was better than the model before"
    base = load_checkpoint(home / "models" / "base.safetensors")
    assert same_tensors(events[-1].checkpoint.tensors, base.tensors)


def test_what_makes_no_rounds(config, tmp_path, monkeypatch):
    for wrong in ({"start": None}, {"stages": ()}, {"stages": (StageConfig("train"),)}):
        with pytest.raises(ConfigError, match="Rounds repeat stages that begin with growth"):
            list(train(replace(config, **wrong), tmp_path))
    for wrong in ({"rounds": -1}, {"rounds_patience": 0}):
        with pytest.raises(ConfigError, match="rounds_patience"):
            list(train(replace(config, **wrong), tmp_path))
    for stage in (StageConfig("grow", share=1.5), StageConfig("prune", share=0.5, criterion="newest")):
        with pytest.raises(ConfigError, match=r"stages\[0\] has a share"):
            list(train(replace(config, stages=(stage, StageConfig("train"))), tmp_path / "other"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="no work for torchrun"):
        list(train(config, tmp_path))
