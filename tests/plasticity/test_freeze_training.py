"""Frozen training stays exact in the regimes in which people train."""

import pytest
import torch
import torch.nn.functional as F
from test_families import WIDTHS, features_of, grow_groups, lived_in

from deepcheck.checkpoint import same_tensors
from deepcheck.config import OptimizerConfig
from deepcheck.engine.optimizer import RunningMean, make_optimizer, set_learning_rate
from deepcheck.plasticity.freeze import Freeze, new_entries
from deepcheck.plasticity.growth import prune
from deepcheck.runtime import autocast, move

GROWTHS = {
    "resnet18": ["blocks.0.conv1", "blocks.1.conv1", "blocks.5.conv1"],
    "bi-gru": ["layers.0.units"],
    "wav2vec2": list(WIDTHS["wav2vec2"])[3:] + list(WIDTHS["wav2vec2"])[:1],
    "distilled": list(WIDTHS["distilled"])[2:],
}
OPTIMIZERS = {
    "adamw": lambda p: torch.optim.AdamW(p, lr=3e-3, weight_decay=0.1),
    "adamw-foreach": lambda p: torch.optim.AdamW(p, lr=3e-3, weight_decay=0.1, foreach=True),
    "adamw-fused": lambda p: torch.optim.AdamW(p, lr=3e-3, weight_decay=0.1, fused=True, amsgrad=True),
    "adam-l2": lambda p: torch.optim.Adam(p, lr=3e-3, weight_decay=0.1),
    "sgd-nesterov": lambda p: torch.optim.SGD(p, lr=0.03, momentum=0.9, nesterov=True, weight_decay=0.01),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=3e-3, momentum=0.9, weight_decay=0.1),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=1e-2, weight_decay=0.1, initial_accumulator_value=0.1),
    "nadam": lambda p: torch.optim.NAdam(p, lr=3e-3, weight_decay=0.1),
    "radam": lambda p: torch.optim.RAdam(p, lr=3e-3, weight_decay=0.1, decoupled_weight_decay=True),
}
CPU = torch.device("cpu")


def copied(model):
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in model.state_dict().items()}


class Patient:
    """A grown detector, frozen but for what is new, and all that is needed to see whether it was."""

    def __init__(self, family, device=CPU):
        self.family, self.device = family, device
        self.model = lived_in(family)
        self.original = copied(self.model)
        self.before = grow_groups(self.model, dict.fromkeys(GROWTHS[family], 3))
        move(self.model, device)  # channels last, as the engine has it
        self.masks = new_entries(self.model, self.model.groups(), self.before)
        self.start = copied(self.model)

    def freeze(self):
        self.frozen = Freeze(self.model, self.masks)
        self.frozen.train_mode()
        return self.frozen

    def loss(self, number=0, batch=6):
        features = features_of(self.family, batch, 20 + number, torch.float32).to(self.device)
        labels = torch.arange(batch, device=self.device).remainder(2).float()
        return F.binary_cross_entropy_with_logits(self.model.logit(features).float(), labels)

    def check(self, model=None):
        """Old entries and counters of the model, or of a copy of it, are what they were, and new ones are not;
        without the new units the old network is back."""
        model = model or self.model
        for name, tensor in copied(model).items():
            new = self.masks[name].cpu() if name in self.masks else torch.zeros_like(tensor, dtype=torch.bool)
            assert torch.equal(tensor[~new], self.start[name][~new]), name
            assert tensor.isfinite().all(), name
            if name in self.masks and (tensor.dim() > 1 or "running" in name):
                assert not torch.equal(tensor[new], self.start[name][new]), name
            if name.endswith("num_batches_tracked"):
                assert tensor == self.original[name], name
        self.frozen.release()
        prune(model, {name: torch.arange(width) for name, width in self.before.items()})
        assert same_tensors(copied(model), self.original)


def plain(patient, optimizer, steps=6):
    for number in range(steps):
        optimizer.zero_grad()
        patient.loss(number).backward()
        optimizer.step()


def clipped_by_value(patient, optimizer):
    for number in range(6):
        optimizer.zero_grad()
        patient.loss(number).backward()
        torch.nn.utils.clip_grad_value_(patient.model.parameters(), 1e-3)
        optimizer.step()


def accumulated(patient, optimizer):
    for number in range(5):
        optimizer.zero_grad()
        for part in range(3):
            (patient.loss(10 * number + part, batch=4) / 3).backward()
        torch.nn.utils.clip_grad_norm_(patient.model.parameters(), 0.5)
        optimizer.step()


def gradients_kept_as_zeros(patient, optimizer):
    for number in range(6):
        patient.model.zero_grad(set_to_none=False)
        patient.loss(number).backward()
        optimizer.step()


def in_bfloat16(patient, optimizer):
    for number in range(6):
        optimizer.zero_grad()
        with autocast(patient.device, torch.bfloat16):
            loss = patient.loss(number)
        loss.backward()
        optimizer.step()


def with_a_schedule(patient, optimizer):
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 3)
    for number in range(8):
        optimizer.zero_grad()
        patient.loss(number).backward()
        optimizer.step()
        schedule.step()


def for_long(patient, optimizer):
    plain(patient, optimizer, steps=60)


def resumed(patient, optimizer):
    """The optimiser's state goes through a file to one that is made anew."""
    plain(patient, optimizer, steps=4)
    again = type(optimizer)(patient.frozen.parameters())
    again.load_state_dict(optimizer.state_dict())
    patient.frozen.attach(again)
    plain(patient, again, steps=4)


def with_a_closure(patient, optimizer):
    for number in range(6):

        def again(number=number):
            optimizer.zero_grad()
            loss = patient.loss(number)
            loss.backward()
            return loss

        optimizer.step(again)


def with_looks_in_between(patient, optimizer):
    """A look at a loss in train mode moves running statistics, and no step puts them back."""
    plain(patient, optimizer)
    with torch.no_grad():
        patient.loss(99)
    patient.frozen.restore()


REGIMES = [
    accumulated,
    clipped_by_value,
    for_long,
    gradients_kept_as_zeros,
    in_bfloat16,
    resumed,
    with_a_closure,
    with_a_schedule,
    with_looks_in_between,
]


def train(family, optimizer, regime):
    patient = Patient(family)
    freeze = patient.freeze()
    steps = OPTIMIZERS[optimizer](freeze.parameters())
    freeze.attach(steps)
    regime(patient, steps)
    patient.check()


@pytest.mark.parametrize("regime", REGIMES, ids=lambda regime: regime.__name__)
@pytest.mark.parametrize("optimizer", ["adamw", "sgd-nesterov"])
@pytest.mark.parametrize("family", GROWTHS)
def test_every_regime(family, optimizer, regime):
    train(family, optimizer, regime)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("family", GROWTHS)
def test_every_optimizer(family, optimizer):
    train(family, optimizer, accumulated)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("family", GROWTHS)
def test_momentum_from_before_the_freeze(family, optimizer):
    # An optimiser that has moved everything still wants to.
    patient = Patient(family)
    steps = OPTIMIZERS[optimizer](patient.model.parameters())
    patient.model.train()
    plain(patient, steps, steps=3)
    patient.model.load_state_dict(patient.start)
    freeze = patient.freeze()
    freeze.attach(steps)
    steps.zero_grad()
    plain(patient, steps, steps=3)
    patient.check()


@pytest.mark.parametrize("family", GROWTHS)
def test_the_optimizer_of_the_engine(family):
    # Its own groups and schedule, a rate of its own for new units, and a running mean of the weights.
    patient = Patient(family)
    mean = RunningMean(patient.model, 0.9)
    freeze = patient.freeze()
    config = OptimizerConfig(lr=3e-3, weight_decay=0.1, warmup_steps=2, new_rate=8.0)
    steps = make_optimizer(patient.model, config, patient.masks)
    freeze.attach(steps)
    for number in range(8):
        set_learning_rate(steps, config, number, 8)
        steps.zero_grad(set_to_none=True)
        patient.loss(number).backward()
        torch.nn.utils.clip_grad_norm_(patient.model.parameters(), config.clip_norm)
        steps.step()
        mean.update(number)
    assert not same_tensors(copied(mean.model), copied(patient.model))
    patient.check(mean.model)
    patient.check()


def scaled(patient, optimizer, dtype):
    """Mixed precision with a scaled loss; where it overflows, a step is left out, and so is what puts entries back."""
    scaler = torch.amp.GradScaler(patient.device.type)
    scales = []
    for number in range(12):
        optimizer.zero_grad()
        with torch.autocast(patient.device.type, dtype=dtype):
            loss = patient.loss(number)
        scaler.scale(loss * (torch.inf if number in (3, 7) else 1.0)).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(patient.model.parameters(), 0.5)
        scaler.step(optimizer)
        scaler.update()
        scales.append(scaler.get_scale())
    assert scales[3] < scales[2]
    assert scales[7] < scales[6]


SCALED = ["adamw", "adamw-fused", "sgd-nesterov"]  # fused ones leave steps out themselves


@pytest.mark.parametrize("optimizer", SCALED)
@pytest.mark.parametrize("family", GROWTHS)
def test_a_gradient_scaler(family, optimizer):
    patient = Patient(family)
    freeze = patient.freeze()
    steps = OPTIMIZERS[optimizer](freeze.parameters())
    freeze.attach(steps)
    scaled(patient, steps, torch.bfloat16)
    patient.check()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("optimizer", SCALED)
@pytest.mark.parametrize("family", GROWTHS)
def test_a_gradient_scaler_on_a_gpu(family, optimizer, dtype):
    patient = Patient(family, torch.device("cuda"))
    freeze = patient.freeze()
    steps = OPTIMIZERS[optimizer](freeze.parameters())
    freeze.attach(steps)
    scaled(patient, steps, dtype)
    patient.check()


def test_each_optimizer_moves_old_entries_that_nobody_holds():
    # The control: masked gradients alone, under every optimiser of the table.
    for make in OPTIMIZERS.values():
        patient = Patient("bi-gru")
        plain(patient, make(patient.freeze().parameters()), steps=3)
        drift = (patient.model.head.weight - patient.start["head.weight"])[~patient.masks["head.weight"]]
        assert drift.abs().max() > 1e-6
        patient.frozen.restore()
        patient.check()


def test_normalisations_that_did_not_grow_stay_in_eval_mode():
    patient = Patient("resnet18")
    freeze = patient.freeze()
    modes = {name: module.training for name, module in patient.model.named_modules() if "bn" in name or "norm" in name}
    assert {name for name, training in modes.items() if training} == {"blocks.0.bn1", "blocks.1.bn1", "blocks.5.bn1"}
    assert patient.model.head.training
    freeze.train_mode()
    assert modes == {name: patient.model.get_submodule(name).training for name in modes}
