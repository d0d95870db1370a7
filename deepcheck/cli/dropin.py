"""The two ways of `deepcheck grow`: grow and store at once, or grow and train."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deepcheck import store
from deepcheck.card import Card
from deepcheck.checkpoint import Checkpoint, load_checkpoint
from deepcheck.cli.conduct import as_overrides, conduct, data_flags
from deepcheck.cli.console import say, show
from deepcheck.cli.surgery import change_table, child_name, keep
from deepcheck.config import FoldsConfig, StageConfig, TrainConfig, load_config
from deepcheck.data.protocols import read_data
from deepcheck.data.utterance import Protocol
from deepcheck.detectors.base import Detector
from deepcheck.engine.columns import with_room
from deepcheck.engine.gradients import Probe
from deepcheck.engine.layer_signal import AUTO, Signal, layer_signals, layers_named
from deepcheck.engine.surgery import grown
from deepcheck.engine.training_sets import read_sets
from deepcheck.plasticity.inits import EXACT
from deepcheck.plasticity.plan import Change, plan_growth

_MOST_ROUNDS = 8


@dataclass(frozen=True)
class Trials:
    """The flags that say where recordings come from."""

    data: Path | None
    protocol: str | None
    subset: str | None
    dev: Path | None
    dev_subset: str | None


@dataclass(frozen=True)
class Growth:
    """What was asked for: the model, the growth, and how the training that follows differs from its settings."""

    model: str | None
    stage: StageConfig
    trials: Trials
    mode: str
    config: Path | None
    flags: Mapping[str, Any]
    settings: Sequence[str]
    seed: int
    name: str | None

    def parent(self) -> tuple[str, Checkpoint]:
        """How to find the model that grows, and its checkpoint under the name by which its user calls it."""
        entry = store.resolve(self.model)
        return str(entry.path), with_room(load_checkpoint(entry.path).named(entry.name), self.stage.part)

    def child_name(self, parent: Card, kind: str, replace: bool) -> str:
        """The name that was given, else one that tells what was done to the parent."""
        layer = self.stage.layer.replace(",", "+")
        many = self.stage.neurons or AUTO
        return child_name(self.name, parent.name, f"-{kind}-{layer}x{many}", replace)

    def training(self, start: str, parent: Card, name: str) -> TrainConfig:
        """The settings of what follows: those of the YAML, else those that the parent was trained with."""
        trials = self.trials
        flags = {
            **data_flags(trials.data, trials.protocol, trials.subset, trials.dev, trials.dev_subset),
            **self.flags,
        }
        base = None if self.config else _recipe(parent)
        config = load_config(self.config, [*as_overrides(flags), *self.settings], base)
        if self.mode == "unfrozen" and flags.get("optimizer.lr") is None and not self.config:
            # What has been learnt is to be refined, not shaken; the paper halves as well (arXiv:2603.24343).
            config = replace(config, optimizer=replace(config.optimizer, lr=config.optimizer.lr / 2))
        rounds = (config.rounds or _MOST_ROUNDS) if self.stage.share else 0
        config = replace(config, stages=(), folds=FoldsConfig(), rounds=rounds)
        return replace(config, name=name, start=start, seed=self.seed, mode="unfrozen")

    def stages(self) -> tuple[StageConfig, ...]:
        """To grow, and to train; adapters come once what is new has found its place, as in their mode it is still."""
        modes = ("frozen", "lora") if self.mode == "lora" else (self.mode,)
        return self.stage, *(StageConfig("train", mode=mode) for mode in modes)

    def changes(self, parent: Checkpoint, trials: Callable[[], Protocol] | None) -> list[Change]:
        """Which groups grow; tells the signals if these decide."""
        groups = parent.build().groups()
        stage = self.stage
        layers = layers_named(
            stage.layer, groups, self.seed, trials and (lambda: self._signals(parent, trials())), stage.part
        )
        return plan_growth(groups, layers, stage.neurons, stage.part, stage.share)

    def probe(self, trials: Protocol) -> Callable[[Detector], Probe]:
        """What looks at gradients on `trials`."""
        return lambda detector: Probe(detector, trials, recordings=self.stage.recordings, seed=self.seed)

    def _signals(self, parent: Checkpoint, trials: Protocol) -> list[Signal]:
        say(f"Looking at {trials.describe()}")
        signals = layer_signals(
            parent, self.stage.neurons, self.stage.part, self.probe(trials), self.seed, self.stage.share
        )
        told = ", ".join(f"layer {signal.layer}: {signal.strength:.1e}" for signal in signals)
        say(f"Squared gradient by parameter, the strongest first: {told}.")
        return signals


def usual_mode(model: str | None, part: str | None) -> str:
    """unfrozen, which did better wherever both were tried (examples/study); frozen where the old is kept as it is: for
    blocks and columns, and where layers that could grow do not learn."""
    if part in ("block", "column"):
        return "frozen"
    detector = load_checkpoint(store.resolve(model).path).build()
    known = dict(detector.named_parameters())
    could_grow = {span.tensor for group in detector.groups() for span in group.spans} & known.keys()
    return "unfrozen" if all(known[name].requires_grad for name in could_grow) else "frozen"


def grow_only(growth: Growth, *, replace: bool, dry_run: bool) -> None:
    """Grow, show what changed, and store the child as the current model."""
    _, parent = growth.parent()
    flags = growth.trials
    trials = read_data(flags.data, flags.protocol, flags.subset) if flags.data else None
    changes = growth.changes(parent, (lambda: trials) if trials else None)
    name = growth.child_name(parent.card, "grown", replace or dry_run)
    surgery = grown(
        parent,
        changes,
        name=name,
        init=growth.stage.init,
        seed=growth.seed,
        probe=growth.probe(trials) if trials else None,
    )
    show(change_table(surgery))
    if dry_run:
        say("Nothing was saved.")
        return
    keep(surgery)
    if surgery.child.card.thresholds is not None:
        mode = " --mode frozen" if growth.mode == "frozen" else ""
        say(f"Next: deepcheck train --start {name}{mode} --data ...")
    if growth.stage.init != "net2net":  # whose copies take over a share of what is read
        say("Undo, while it is untrained: deepcheck prune --criterion newest")


def grow_and_train(growth: Growth, *, fresh: bool, dry_run: bool) -> None:
    """Grow, train, and store the child as the current model; goes on where an unfinished run was."""
    start, parent = growth.parent()
    name = growth.child_name(parent.card, growth.mode, fresh or dry_run)
    config = growth.training(start, parent.card, name)
    stage, *trainings = growth.stages()
    changes = growth.changes(parent, lambda: read_sets(config)[0]) if dry_run or not config.rounds else []
    if changes and stage.layer in (AUTO, "random"):
        stage = replace(stage, layer=str(changes[0].group.layer))
    if dry_run:
        exact = "zero" if stage.init in EXACT else stage.init  # some of which need a look at the data
        surgery = grown(parent, changes, name=name, init=exact, seed=growth.seed)
        show(change_table(surgery))
        rounds = f", in up to {config.rounds} rounds" if config.rounds else ""
        modes = " and as many in mode ".join(training.mode for training in trainings)
        say(f"Nothing was saved. {config.epochs} epochs in mode {modes} would follow{rounds}.")
        return
    child = conduct(replace(config, stages=(stage, *trainings)), fresh=fresh)
    if child.card.thresholds is not None:
        store.set_current(name)
        say(f"{name} is now the current model (parent: {parent.card.name}).")
        say(f"Next: deepcheck eval {parent.card.name} --data ...    and: deepcheck eval {name} --data ...")


def _recipe(card: Card) -> dict[str, Any] | None:
    """The settings of the last training in the life of a model, but for where its data lay."""
    for row in reversed(card.history):
        if row.get("stage") == "train" and isinstance(row.get("config"), dict):
            recipe = dict(row["config"])
            data = dict(recipe.get("data") or {})
            recipe["data"] = {key: value for key, value in data.items() if key not in ("train", "dev")}
            recipe.pop("distil", None)  # of the teacher only the name is known
            return recipe
    return None
