"""`python -m tests.campaign [PART ...]`: tries to break the promises, prints a table, and exits with 1 if it did."""

import argparse
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

from . import PARTS
from .tally import Tally, table


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"by default all: {', '.join(PARTS)}")
    parser.add_argument("--cases", type=int, default=5_000, help="how many to try in each part that has a choice")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="leave the files there instead of in a temporary folder")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(prefix="campaign-") as temporary:
        tallies = []
        for part in arguments.parts or PARTS:
            folder = (arguments.keep or Path(temporary)) / part
            folder.mkdir(parents=True)
            tallies.append(attempt(part, folder, arguments.cases, arguments.seed))
    print(table(tallies))
    for tally in tallies:
        for what in tally.broken:
            print(f"{tally.part}: {what}")
    return 0 if all(tally.kept for tally in tallies) else 1


def attempt(part: str, folder: Path, cases: int, seed: int) -> Tally:
    """Carries out one part."""
    module, _, name = PARTS[part].partition(":")
    began = time.monotonic()
    tally: Tally = getattr(import_module(module, __package__), name)(folder, cases, seed)
    tally.seconds = time.monotonic() - began
    return tally


if __name__ == "__main__":
    sys.exit(main())
