"""What an engine needs to know to judge as the others do."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deepcheck.audio.isolated import TIMEOUT_S
from deepcheck.engine.model import Model
from deepcheck.scanner.panel import Panel
from deepcheck.scanner.result import Basis, FileResult
from deepcheck.scanner.stamp import Stamp

Files = Sequence[tuple[Path, Stamp | None]]
"""Paths, each with its stamp as it was when the scan began."""
Results = Generator[tuple[int, FileResult], None, None]


@dataclass(frozen=True)
class Judging:
    """Models and settings, with the meaning that they have in `run.Scan`."""

    models: Sequence[Model]
    threshold: float | None = None
    prior: float = 0.5
    device: str = "auto"
    precision: str = "auto"
    runtime: str = "auto"
    jobs: int | None = None
    timeout_s: float = TIMEOUT_S

    def panel(self) -> Panel:
        """The models as judges."""
        return Panel(
            self.models,
            threshold=self.threshold,
            prior=self.prior,
            device=self.device,
            precision=self.precision,
            runtime=self.runtime,
        )


class Engine(Protocol):
    """As the package says."""

    def __init__(self, judging: Judging) -> None: ...
    def basis(self) -> Basis: ...
    def results(self, files: Files) -> Results: ...
    def close(self) -> None: ...
