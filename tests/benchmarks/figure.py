"""A figure beside its target, as a line of text."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """What was measured of `what`, in `unit`, beside the `target`, which it has to reach, or to stay below (`at_most`).

    `beside` says what else was seen: seconds on the clock and of the processor, the size of the work.
    """

    what: str
    value: float
    target: float
    unit: str = "x"
    at_most: bool = False
    beside: str = ""

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.value <= self.target if self.at_most else self.value >= self.target

    def line(self) -> str:
        """`met    1.23 x  at most 1.50 x  what (beside)`"""
        bound = "at most " if self.at_most else "at least"
        beside = f" ({self.beside})" if self.beside else ""
        verdict = "met" if self.met else "MISSED"
        return (
            f"{verdict:6} {self.value:9.2f} {self.unit:3} {bound} {self.target:7.2f} {self.unit:3} {self.what}{beside}"
        )
