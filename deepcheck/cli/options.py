"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N. auto takes the GPU if there is one.")]
Jobs = Annotated[
    int | None, typer.Option(min=1, help="Threads that decode audio; by default one per core.", show_default=False)
]
Data = Annotated[
    Path | None,
    typer.Option(help="A manifest CSV (path,label,...), or the folder of a corpus.", show_default=False),
]
ProtocolName = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        help="The format of the data: manifest, folders, asvspoof2019-la ... Recognised if it is one of the first two.",
        show_default=False,
    ),
]
Subset = Annotated[str | None, typer.Option(help="Part of the data: train, dev, eval, val ...", show_default=False)]

# What growing and pruning share.
Model = Annotated[
    str | None, typer.Argument(help="A model by name or file; by default the current one.", show_default=False)
]
Layer = Annotated[str, typer.Option(help="3, 1,3,5, 2-4, all or random; layers count from 1.")]
Part = Annotated[
    str | None,
    typer.Option(help="channels, units, attention, heads, head-dims or ffn, as the model has it.", show_default=False),
]
Recordings = Annotated[int, typer.Option(min=2, help="How many recordings to look at.")]
ChildName = Annotated[str | None, typer.Option("--name", help="What to call the child.", show_default=False)]
Replace = Annotated[bool, typer.Option("--replace", help="Replace a model of that name.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and stop.")]
