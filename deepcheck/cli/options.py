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
