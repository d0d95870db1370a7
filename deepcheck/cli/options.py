"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N. auto takes the GPU if there is one.")]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, help="Files that are decoded at once; by default one per core.", show_default=False),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data", "--root", help="A manifest CSV (path,label,...), or the folder of a corpus.", show_default=False
    ),
]
ProtocolName = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        help="The format of the data: manifest or folders (recognised), asvspoof2019-la, asvspoof2019-pa, "
        "asvspoof2021-la, asvspoof2021-df, asvspoof5, in-the-wild, fake-or-real, wavefake, mlaad, add2022, add2023.",
        show_default=False,
    ),
]
Subset = Annotated[str | None, typer.Option(help="Part of the data: train, dev, eval, val ...", show_default=False)]

# What calibrating and fusing share.
FalseAlarm = Annotated[
    float | None, typer.Option(help="Share of genuine recordings that may be called spoof.", show_default=False)
]
Miss = Annotated[float | None, typer.Option(help="Share of spoofs that may be called bona fide.", show_default=False)]

# What growing and pruning share.
Model = Annotated[
    str | None, typer.Argument(help="A model by name or file; by default the current one.", show_default=False)
]
Layer = Annotated[str, typer.Option(help="3, 1,3,5, 2-4, all, random, or (grow, with data) auto; layers count from 1.")]
Part = Annotated[
    str | None,
    typer.Option(
        help="channels, units, attention, heads, head-dims, ffn, block or column, as the model has it.",
        show_default=False,
    ),
]
Recordings = Annotated[int, typer.Option(min=2, help="How many recordings to look at.")]
ChildName = Annotated[str | None, typer.Option("--name", help="What to call the child.", show_default=False)]
Replace = Annotated[bool, typer.Option("--replace", help="Replace a model of that name.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and stop.")]

# The training that may follow a growth.
_FOLLOWS = "The training that follows, with --data"
Dev = Annotated[
    Path | None,
    typer.Option(
        help="A development set of its own; else whole sources are kept aside.",
        show_default=False,
        rich_help_panel=_FOLLOWS,
    ),
]
DevSubset = Annotated[
    str | None,
    typer.Option(
        help="The part of --dev, else of --data, to develop on.", show_default=False, rich_help_panel=_FOLLOWS
    ),
]
Mode = Annotated[
    str | None,
    typer.Option(
        help="unfrozen: all learns; frozen: only what was added does; lora: what was added, then adapters.",
        show_default=False,
        rich_help_panel=_FOLLOWS,
    ),
]
Recipe = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Settings as YAML; by default those that the model was trained with.",
        show_default=False,
        rich_help_panel=_FOLLOWS,
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(min=0, help="0: look at the data only.", show_default=False, rich_help_panel=_FOLLOWS),
]
Rate = Annotated[
    float | None,
    typer.Option(
        help="Learning rate; by default that of the settings, half of it in mode unfrozen.",
        show_default=False,
        rich_help_panel=_FOLLOWS,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Any other setting, such as batch_size=64.", show_default=False, rich_help_panel=_FOLLOWS
    ),
]
TrainDevice = Annotated[
    str | None,
    typer.Option("--device", help="auto, cpu, cuda or cuda:N.", show_default=False, rich_help_panel=_FOLLOWS),
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Forget an unfinished training of this name.", rich_help_panel=_FOLLOWS)
]

# The layer sweep.
_SWEEP = "The layer sweep"
Sweep = Annotated[
    bool,
    typer.Option(
        "--sweep", help="Train a growth of each layer in turn, and compare their EERs.", rich_help_panel=_SWEEP
    ),
]
Test = Annotated[
    Path | None,
    typer.Option(help="Recordings to compare on; by default --data.", show_default=False, rich_help_panel=_SWEEP),
]
TestSubset = Annotated[
    str | None,
    typer.Option(
        help="The subset to compare on; without --test and this, the development set.",
        show_default=False,
        rich_help_panel=_SWEEP,
    ),
]
SweepPlot = Annotated[
    Path | None,
    typer.Option("--plot", help="Draw EER by layer: png, svg or pdf.", show_default=False, rich_help_panel=_SWEEP),
]
SweepOutput = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Also write the figures as JSON.", show_default=False, rich_help_panel=_SWEEP),
]
