"""`deepcheck models fuse`: several trainings over folds as one model in one file."""

from pathlib import Path
from typing import Annotated

import typer

from deepcheck.cli.calibrate import listed
from deepcheck.cli.options import Device, FalseAlarm, Miss, ProtocolName, Replace, Subset


def command(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Trainings over folds: names of models, or folders of runs."),
    ],
    data: Annotated[
        Path, typer.Option("--data", "--root", help="What they were trained on: a manifest CSV, or a folder.")
    ],
    name: Annotated[str, typer.Option(help="What to call the result.")],
    protocol: ProtocolName = None,
    subset: Subset = None,
    conditions: Annotated[
        str | None,
        typer.Option(
            help="Under which to measure: none, or such as telephone,opus:16k,noise:10dB; by default those of the "
            "first run.",
            show_default=False,
        ),
    ] = None,
    false_alarm: FalseAlarm = None,
    miss: Miss = None,
    half: Annotated[
        bool, typer.Option("--half", help="Keep the weights in half the space, rounded to 16 bits.")
    ] = False,
    device: Device = "auto",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write the checkpoint here.", show_default=False)
    ] = None,
    replace: Replace = False,
) -> None:
    """Make one model of several that were trained over the same folds, and store it.

    Its score is a weighted sum of theirs. Weights, calibration, thresholds
    and the table of what the folds promise each other come from recordings
    that the judging models have not heard; the weights that judge a fold
    are fitted on the others. A model that does not help is left out.

    Examples:

      deepcheck models fuse encoder spectrogram --name both --data corpus/manifest.csv --subset train

      deepcheck models fuse runs/a runs/b runs/c --name committee --data corpus/manifest.csv --half
    """
    from deepcheck import store
    from deepcheck.checkpoint import save_checkpoint
    from deepcheck.cli.console import say
    from deepcheck.cli.training import TrainingView
    from deepcheck.data.protocols import read_data
    from deepcheck.engine.committee import fuse
    from deepcheck.engine.development import calibration_of
    from deepcheck.engine.events import Done
    from deepcheck.engine.fold_run import read_run
    from deepcheck.engine.folds import SETTINGS
    from deepcheck.errors import ModelError

    place, run_dir = store.place_of(name), store.run_dir(name)
    if (run_dir / SETTINGS).exists():
        raise ModelError(f'"{name}" is a training over folds.', "Choose another --name.")
    if place.exists() and not replace:
        raise ModelError(f'There is a model "{name}" already.', "Choose another --name, or add --replace.")
    found = [read_run(_folder(run)) for run in runs]
    changes = {"false_alarm": false_alarm, "miss": miss, "conditions": listed(conditions)}
    config = calibration_of(
        found[0].models[0].card, **{key: value for key, value in changes.items() if value is not None}
    )
    with TrainingView() as view:
        for event in fuse(
            found,
            read_data(data, protocol, subset),
            name,
            run_dir,
            config=config,
            half=half,
            device=device,
            progress=lambda what: say(f"Measuring: {what}"),
        ):
            view.draw(event)
    assert isinstance(event, Done)
    for path in filter(None, (place, output)):
        save_checkpoint(event.checkpoint, path)
        say(f"Saved {path}")
    for member in event.checkpoint.card.history[-1]["members"]:
        say(f"{member['gain']:.3f} x {member['name']}")
    say(f"Next: deepcheck eval {name} --data ...    or: deepcheck models use {name}")


def _folder(run: str) -> Path:
    """A run by the name of its model, else by its folder."""
    from deepcheck import store

    named = store.run_dir(run) if Path(run).name == run else Path(run)
    return named if named.is_dir() else Path(run)
