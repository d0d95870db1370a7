"""What training tells while it runs; the command line draws it, a script may print it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepcheck.checkpoint import Checkpoint
from deepcheck.engine.fold_check import FoldCheck
from deepcheck.engine.surgery import Surgery


@dataclass(frozen=True)
class Started:
    """The plan: what is trained on what, from which epoch on (more than 1 after a resume). `dev` is empty without a
    development set; `learning` is how many of the parameters change (frozen, only the entries that growth added)."""

    train: str
    dev: str
    parameters: int
    learning: int
    device: str
    precision: str
    epochs: int
    first_epoch: int
    steps_per_epoch: int
    note: str = ""


@dataclass(frozen=True)
class Step:
    """One optimiser step; `loss` is the running mean of the epoch, `clips` how many clips it was made on."""

    epoch: int
    step: int
    loss: float
    clips: int


@dataclass(frozen=True)
class Skipped:
    """A recording that could not be decoded and was left out."""

    path: str
    reason: str


@dataclass(frozen=True)
class EpochDone:
    """The end of an epoch: mean training loss, EER on the development set (None without one), and whether it is the
    best so far."""

    epoch: int
    loss: float
    dev_eer: float | None
    best: bool
    seconds: float
    clips_per_s: float
    waiting: float
    """Share of the training time that was spent waiting for data."""


@dataclass(frozen=True)
class Done:
    """The end: the best weights, calibrated, with thresholds; `note` says what was not as promised."""

    checkpoint: Checkpoint
    best_epoch: int | None
    reason: str
    metrics: Mapping[str, Any]
    note: str = ""


@dataclass(frozen=True)
class StageDone:
    """The end of a stage of a schedule: what was done, the parameters, and the development EER after it.

    `surgery` is what a stage that grows or prunes did; None if it had been done before the run was stopped.
    """

    number: int
    total: int
    what: str
    parameters: int
    dev_eer: float
    path: str
    surgery: Surgery | None = None


@dataclass(frozen=True)
class RoundDone:
    """The end of a round of growth: what grew, the parameters and the development EER after it, whether it is the best
    so far, and where its model lies. Round 0 is the model before."""

    number: int
    most: int
    what: str
    parameters: int
    dev_eer: float
    best: bool
    path: str


@dataclass(frozen=True)
class FoldDone:
    """The model of a fold is trained; `test` are the recordings that it has not heard."""

    number: int
    total: int
    test: str


@dataclass(frozen=True)
class FoldsChecked:
    """How far what the other folds promise holds in each; `folder` has the scores and curves behind it."""

    checks: tuple[FoldCheck, ...]
    folder: str


Event = Started | Step | Skipped | EpochDone | StageDone | RoundDone | FoldDone | FoldsChecked | Done
