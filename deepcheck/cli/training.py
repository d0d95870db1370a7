"""Drawing the events of a training: a bar of the epoch under a line per finished one."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich import box
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from deepcheck.cli.console import err, say, show
from deepcheck.cli.fold_picture import draw_folds
from deepcheck.cli.fold_sheet import fold_sheet
from deepcheck.cli.surgery import change_table
from deepcheck.engine.events import (
    Done,
    EpochDone,
    Event,
    FoldDone,
    FoldsChecked,
    RoundDone,
    Skipped,
    StageDone,
    Started,
    Step,
)
from deepcheck.engine.processes import is_main
from deepcheck.errors import DeepcheckError


class TrainingView:
    """Draws on stderr; where that is no terminal, one line an epoch remains. Optionally feeds TensorBoard.

    Of a schedule a table of its stages goes to stdout at the end, of folds one of what their promises came to. Of
    several processes only the first one draws.
    """

    def __init__(self, tensorboard: Path | None = None) -> None:
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("{task.fields[speed]} clips/s"),
            TimeRemainingColumn(),
            console=err(),
            transient=True,
            disable=not (err().is_terminal and is_main()),
        )
        self.writer = _writer(tensorboard) if is_main() else None
        self.stages: list[StageDone] = []
        self.rounds: list[RoundDone] = []
        self.judged_on = "the development set"
        self.skipped = 0
        self.epochs = 0

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()
        if self.writer is not None:
            self.writer.close()

    def draw(self, event: Event) -> None:
        """Show one event."""
        if is_main():
            _DRAW[type(event)](self, event)

    def started(self, event: Started) -> None:
        say(f"Training on {event.train}")
        if event.dev:
            say(f"Development set {event.dev}")
        if event.note:
            say(f"Note: {event.note}", style="yellow")
        some = f" ({event.learning:,} of them learn)" if event.learning < event.parameters else ""
        say(f"{event.parameters:,} parameters{some}, {event.device}, {event.precision}, {event.epochs} epochs")
        if event.first_epoch > 1:
            say(f"Going on with epoch {event.first_epoch} of an unfinished training.")
        self.epochs = event.epochs
        for task in self.bar.task_ids:
            self.bar.remove_task(task)
        self.task = self.bar.add_task("", total=event.steps_per_epoch, epoch=event.first_epoch, loss="-", speed="-")

    def step(self, event: Step) -> None:
        task = self.bar.tasks[0]
        speed = f"{event.clips / task.elapsed:.0f}" if task.elapsed else "-"
        self.bar.update(
            self.task, completed=event.step, epoch=f"{event.epoch}/{self.epochs}", loss=f"{event.loss:.4f}", speed=speed
        )

    def skip(self, event: Skipped) -> None:
        self.skipped += 1
        say(f"Left out: {event.path}: {event.reason}", style="yellow")

    def epoch(self, event: EpochDone) -> None:
        self.bar.reset(self.task)
        eer = "" if event.dev_eer is None else f"  dev EER {100 * event.dev_eer:.2f} %"
        say(
            f"epoch {event.epoch}/{self.epochs}  loss {event.loss:.4f}{eer}"
            f"  {event.clips_per_s:.0f} clips/s  {event.seconds:.0f} s  waited for data {event.waiting:.0%}"
            + ("  best so far" if event.best else "")
        )
        if self.writer is not None:
            self.writer.add_scalar("train/loss", event.loss, event.epoch)
            self.writer.add_scalar("train/waiting", event.waiting, event.epoch)
            if event.dev_eer is not None:
                self.writer.add_scalar("dev/eer", event.dev_eer, event.epoch)

    def stage(self, event: StageDone) -> None:
        """The end of a stage of a schedule."""
        self.stages.append(event)
        if event.surgery is not None:
            show(change_table(event.surgery))
        say(
            f"stage {event.number}/{event.total}  {event.what}  {event.parameters:,} parameters"
            f"  dev EER {100 * event.dev_eer:.2f} %",
            style="bold",
        )

    def round(self, event: RoundDone) -> None:
        """The end of a round of growth."""
        self.rounds.append(event)
        say(
            f"round {event.number}/{event.most}  {event.what}  {event.parameters:,} parameters"
            f"  dev EER {100 * event.dev_eer:.2f} %" + ("  best so far" if event.best and event.number else ""),
            style="bold",
        )

    def fold(self, event: FoldDone) -> None:
        """The end of the training of a fold."""
        say(f"fold {event.number}/{event.total}  not heard: {event.test}", style="bold")

    def checked(self, event: FoldsChecked) -> None:
        """What the promises of the folds came to."""
        show(fold_sheet(event.checks).drawn())
        draw_folds(Path(event.folder))
        say(f"The models of the folds, their scores and curves: {event.folder}")
        self.judged_on = "the folds, each by a model that has not heard it"

    def done(self, event: Done) -> None:
        if self.rounds:
            show(round_table(self.rounds))
        elif self.stages:
            show(stage_table(self.stages))
        thresholds, calibration = event.checkpoint.card.thresholds, event.checkpoint.card.calibration
        which = f" The weights are those of epoch {event.best_epoch}." if event.best_epoch else ""
        say(f"Stopped: {event.reason}.{which}")
        if thresholds is None or calibration is None:
            say(f"Not calibrated, so not fit for scan. {event.note}", style="bold yellow")
            return
        figures = event.metrics
        say(
            f"On {self.judged_on}: EER {100 * figures['dev_eer']:.2f} %, AUC {figures['dev_auc']:.4f}, "
            f"Cllr {figures['dev_cllr']:.3f} bit; spoof at {thresholds.spoof:+.2f} or below, "
            f"bona fide at {thresholds.bonafide:+.2f} or above."
        )
        if event.note:
            say(f"Note: {event.note}", style="yellow")


def stage_table(stages: list[StageDone]) -> Table:
    """What each stage did, the parameters of the model after it, and its EER on the development set."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("stage", justify="right")
    table.add_column("what")
    table.add_column("parameters", justify="right")
    table.add_column("dev EER", justify="right")
    for stage in stages:
        table.add_row(str(stage.number), stage.what, f"{stage.parameters:,}", f"{100 * stage.dev_eer:.2f} %")
    return table


def round_table(rounds: list[RoundDone]) -> Table:
    """What grew in each round, the parameters and the EER on the development set after it; the best one is marked."""
    best = [one.number for one in rounds if one.best][-1]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("round", justify="right")
    table.add_column("what grew")
    table.add_column("parameters", justify="right")
    table.add_column("dev EER", justify="right")
    table.add_column("")
    for one in rounds:
        mark = "best" if one.number == best else ""
        table.add_row(str(one.number), one.what, f"{one.parameters:,}", f"{100 * one.dev_eer:.2f} %", mark)
    return table


_DRAW: dict[type, Any] = {
    Started: TrainingView.started,
    Step: TrainingView.step,
    Skipped: TrainingView.skip,
    EpochDone: TrainingView.epoch,
    StageDone: TrainingView.stage,
    RoundDone: TrainingView.round,
    FoldDone: TrainingView.fold,
    FoldsChecked: TrainingView.checked,
    Done: TrainingView.done,
}


def _writer(folder: Path | None) -> Any:
    if folder is None:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise DeepcheckError(
            "TensorBoard is not installed.", "Install it with: pip install 'deepcheck[tensorboard]'"
        ) from None
    return SummaryWriter(str(folder))
