"""What a part of the campaign has found."""

from dataclasses import dataclass, field

COLUMNS = ("part", "cases", "crashes", "hangs", "files lost", "network", "contained", "peak MB", "seconds")
"""Zero is promised from `crashes` to `network`. `contained` are crashes, hangs and hungers of a worker that cost
the one file that caused them."""


@dataclass
class Tally:
    """Numbers of cases; `broken` says of each promise that was not kept how to find it."""

    part: str
    cases: int = 0
    crashes: int = 0
    hangs: int = 0
    lost: int = 0
    network: int = 0
    contained: int = 0
    peak_mb: float = 0.0
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)

    def row(self) -> tuple[str, ...]:
        """As text, in the order of `COLUMNS`."""
        counts = (self.cases, self.crashes, self.hangs, self.lost, self.network, self.contained)
        return (self.part, *(f"{count:,}" for count in counts), f"{self.peak_mb:,.0f}", f"{self.seconds:,.0f}")

    @property
    def kept(self) -> bool:
        """Whether all promises were."""
        return not (self.broken or self.crashes or self.hangs or self.lost or self.network)


def table(tallies: list[Tally]) -> str:
    """For the terminal, and for a README."""
    rows = [COLUMNS, *(tally.row() for tally in tallies)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(_aligned(row, widths)) for row in rows)


def _aligned(row: tuple[str, ...], widths: list[int]) -> list[str]:
    cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
    return [row[0].ljust(widths[0]), *cells[1:]]
