import pytest
import torch
from torch import nn

from deepcheck.engine.train_state import Progress, load_state, restore_optimizer, save_state
from deepcheck.errors import ModelError

PROGRESS = Progress(
    epoch=3,
    step=17,
    loss_sum=0.1 + 0.2,
    clips=123,
    seconds=4.5,
    best_epoch=1,
    best_eer=1 / 3,
    history=[{"epoch": 1, "loss": 0.5, "dev_eer": 0.25}],
)
CONFIG = {"name": "mine", "optimizer": {"lr": 1e-3}, "augment": [{"name": "gain"}], "patience": None}


def model_and_optimizer(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 1))
    model.to(memory_format=torch.channels_last)
    return model, torch.optim.AdamW(model.parameters(), lr=0.01)


def step(model, optimizer, seed):
    torch.manual_seed(seed)
    optimizer.zero_grad()
    model(torch.randn(5, 3, 4, 4)).square().sum().backward()
    optimizer.step()


def test_no_state(tmp_path):
    assert load_state(tmp_path / "state.safetensors") is None


def test_what_was_saved_comes_back(tmp_path):
    path = tmp_path / "run" / "state.safetensors"
    model, optimizer = model_and_optimizer()
    step(model, optimizer, 1)
    best = {"0.weight": torch.arange(6.0).reshape(2, 3).T}  # not contiguous
    save_state(path, PROGRESS, CONFIG, {"model": model.state_dict(), "best": best}, optimizer)
    state = load_state(path)
    assert state.progress == PROGRESS
    assert state.config == CONFIG
    assert state.tensors.keys() == {"model", "best"}
    for name, tensor in model.state_dict().items():
        assert torch.equal(state.tensors["model"][name], tensor), name
    assert torch.equal(state.tensors["best"]["0.weight"], best["0.weight"])


def test_an_empty_set_and_a_fresh_optimizer(tmp_path):
    model, optimizer = model_and_optimizer()
    save_state(tmp_path / "s", Progress(), {}, {"model": model.state_dict(), "best": {}}, optimizer)
    state = load_state(tmp_path / "s")
    assert state.progress == Progress()
    assert state.progress.best_eer == float("inf")
    assert state.tensors.get("best", {}) == {}
    assert state.optimizer == {}


def test_steps_after_a_restart_are_those_without(tmp_path):
    model, optimizer = model_and_optimizer()
    for seed in range(3):
        step(model, optimizer, seed)
    save_state(tmp_path / "s", Progress(), {}, {"model": model.state_dict()}, optimizer)

    again, other = model_and_optimizer(seed=9)
    for group in other.param_groups:
        group["lr"] = 0.01
    state = load_state(tmp_path / "s")
    again.load_state_dict(state.tensors["model"])
    restore_optimizer(other, state.optimizer)
    for seed in range(3, 6):
        step(model, optimizer, seed)
        step(again, other, seed)
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_without_the_moments_the_steps_would_differ(tmp_path):
    # That the test before can fail.
    model, optimizer = model_and_optimizer()
    step(model, optimizer, 0)
    again, other = model_and_optimizer(seed=9)
    again.load_state_dict(model.state_dict())
    step(model, optimizer, 1)
    step(again, other, 1)
    assert not torch.equal(again[0].weight, model[0].weight)


def test_the_settings_of_the_optimizer_stay_what_they_are(tmp_path):
    model, optimizer = model_and_optimizer()
    step(model, optimizer, 0)
    save_state(tmp_path / "s", Progress(), {}, {}, optimizer)
    other = torch.optim.AdamW(model.parameters(), lr=0.5, weight_decay=0.25)
    restore_optimizer(other, load_state(tmp_path / "s").optimizer)
    assert (other.param_groups[0]["lr"], other.param_groups[0]["weight_decay"]) == (0.5, 0.25)
    assert len(other.state) == len(list(model.parameters()))


@pytest.mark.parametrize("size", [0, 5, 100, -1])
def test_a_damaged_state_says_how_to_go_on(tmp_path, size):
    path = tmp_path / "state.safetensors"
    model, optimizer = model_and_optimizer()
    save_state(path, PROGRESS, CONFIG, {"model": model.state_dict()}, optimizer)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ModelError, match=r"state\.safetensors is damaged") as caught:
        load_state(path)
    assert "--fresh" in caught.value.hint


def test_a_file_of_another_program_is_damaged_too(tmp_path):
    from safetensors.torch import save_file

    save_file({"model/x": torch.zeros(1)}, tmp_path / "state.safetensors")
    with pytest.raises(ModelError, match="is damaged"):
        load_state(tmp_path / "state.safetensors")
